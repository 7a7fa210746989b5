//! One change to a valid document.

use arbitrary::Arbitrary;

/// Bytes at the start of every format in which magic, version, counts and lengths lie.
const HEADER_LEN: usize = 32;

/// A change to a sequence of bytes. Places are taken modulo the length, so that each of them hits.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Damage {
    /// None: the document stays valid.
    None,
    /// Another byte within the header.
    Header {
        /// Where.
        at: u8,
        /// What stands there afterwards.
        value: u8,
    },
    /// One flipped bit anywhere.
    Flip {
        /// Byte.
        at: u16,
        /// Bit of it.
        bit: u8,
    },
    /// A rest of `len` bytes.
    Cut {
        /// Bytes that are left.
        len: u16,
    },
    /// One byte more at the end.
    Append {
        /// That byte.
        value: u8,
    },
}

impl Damage {
    /// `bytes` with the change.
    #[must_use]
    pub fn apply(self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        match self {
            Self::None => {}
            Self::Header { at, value } => {
                let header = bytes.len().min(HEADER_LEN);
                if let Some(byte) = place(&mut damaged[..header], usize::from(at)) {
                    *byte = value;
                }
            }
            Self::Flip { at, bit } => {
                if let Some(byte) = place(&mut damaged, usize::from(at)) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Cut { len } => damaged.truncate(usize::from(len) % (bytes.len() + 1)),
            Self::Append { value } => damaged.push(value),
        }
        damaged
    }
}

fn place(bytes: &mut [u8], at: usize) -> Option<&mut u8> {
    let at = at.checked_rem(bytes.len())?;
    bytes.get_mut(at)
}
