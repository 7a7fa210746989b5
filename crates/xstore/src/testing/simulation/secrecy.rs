//! Looking for plaintext where none may be.

use std::collections::HashSet;

/// Length of the parts of a payload that are looked for: long enough never to come up by chance.
const NEEDLE_LEN: usize = 16;

/// Of longer objects only the start is searched; they are rare and their chunks are all alike.
const SEARCHED_LEN: usize = 256 << 10;

/// Parts of payloads.
#[derive(Debug)]
pub(super) struct Needles {
    parts: HashSet<[u8; NEEDLE_LEN]>,
    /// Whether any part begins with these two bytes, so that most offsets cost one look.
    begins: Vec<bool>,
}

impl Default for Needles {
    fn default() -> Self {
        Self {
            parts: HashSet::new(),
            begins: vec![false; 1 << 16],
        }
    }
}

impl Needles {
    /// Adds the start, the middle and the end of a payload that is long enough to be recognised.
    pub(super) fn watch(&mut self, payload: &[u8]) {
        let Some(last) = payload.len().checked_sub(NEEDLE_LEN) else {
            return;
        };
        for start in [0, last / 2, last] {
            if let Some(part) = payload[start..].first_chunk::<NEEDLE_LEN>() {
                self.begins[beginning(part)] = true;
                self.parts.insert(*part);
            }
        }
    }

    pub(super) fn found_in(&self, bytes: &[u8]) -> bool {
        let searched = &bytes[..bytes.len().min(SEARCHED_LEN)];
        let mut windows = searched.windows(NEEDLE_LEN);
        windows.any(|window| self.begins[beginning(window)] && self.parts.contains(window))
    }
}

fn beginning(window: &[u8]) -> usize {
    usize::from(window[0]) << 8 | usize::from(window[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_payload_is_found_at_any_offset() {
        let payload: Vec<u8> = (0..100).collect();
        let mut needles = Needles::default();
        needles.watch(&payload);
        needles.watch(b"too short");
        for offset in 0..9 {
            let mut object = vec![0xff; 64];
            object[offset..offset + NEEDLE_LEN].copy_from_slice(&payload[84..]);
            assert!(needles.found_in(&object));
            object[offset] ^= 1;
            assert!(!needles.found_in(&object));
        }
    }
}
