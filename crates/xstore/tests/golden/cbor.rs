//! An encoder of its own (RFC 8949), because the bad files need what no correct encoder writes.

/// Initial byte and argument in the shortest form (section 3).
pub(crate) fn head(major: u8, argument: u64) -> Vec<u8> {
    let be = argument.to_be_bytes();
    let (info, width) = match argument {
        0..24 => (be[7], 0),
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    [&[major << 5 | info], &be[8 - width..]].concat()
}

pub(crate) fn uint(value: u64) -> Vec<u8> {
    head(0, value)
}

pub(crate) fn bytes(content: &[u8]) -> Vec<u8> {
    [head(2, content.len() as u64), content.to_vec()].concat()
}

pub(crate) fn text(content: &str) -> Vec<u8> {
    [head(3, content.len() as u64), content.into()].concat()
}

pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// A map whose keys and values are encoded already, in the order in which they are given.
#[derive(Clone, Default)]
pub(crate) struct Map(pub(crate) Vec<(Vec<u8>, Vec<u8>)>);

impl Map {
    pub(crate) fn of(fields: &[(u64, Vec<u8>)]) -> Self {
        Self(
            fields
                .iter()
                .map(|(key, value)| (uint(*key), value.clone()))
                .collect(),
        )
    }

    /// Replaces the value of a key, or adds the key at the end.
    pub(crate) fn with(mut self, key: u64, value: Vec<u8>) -> Self {
        match self.at(key) {
            Some(at) => self.0[at].1 = value,
            None => self.0.push((uint(key), value)),
        }
        self
    }

    /// Puts the pair of an optional key where ascending order wants it.
    pub(crate) fn insert(mut self, key: u64, value: Vec<u8>) -> Self {
        let encoded = uint(key);
        let order = |key: &[u8]| (key.len(), key.to_vec());
        let at = self
            .0
            .iter()
            .position(|(other, _)| order(other) > order(&encoded))
            .unwrap_or(self.0.len());
        self.0.insert(at, (encoded, value));
        self
    }

    pub(crate) fn without(mut self, key: u64) -> Self {
        let at = self.at(key).unwrap();
        self.0.remove(at);
        self
    }

    /// Position of a key.
    pub(crate) fn at(&self, key: u64) -> Option<usize> {
        let key = uint(key);
        self.0.iter().position(|(other, _)| *other == key)
    }

    /// The pairs alone, without the head of the map.
    pub(crate) fn pairs(&self) -> Vec<u8> {
        let pair = |(key, value): &(Vec<u8>, Vec<u8>)| [key.as_slice(), value].concat();
        self.0.iter().flat_map(pair).collect()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        [head(5, self.0.len() as u64), self.pairs()].concat()
    }
}

#[test]
fn heads_are_those_of_the_rfc() {
    // RFC 8949, appendix A.
    for (value, expected) in [
        (23, vec![0x17]),
        (24, vec![0x18, 0x18]),
        (1000, vec![0x19, 0x03, 0xe8]),
        (1_000_000, vec![0x1a, 0x00, 0x0f, 0x42, 0x40]),
        (u64::MAX, vec![0x1b, 255, 255, 255, 255, 255, 255, 255, 255]),
    ] {
        assert_eq!(uint(value), expected);
    }
}
