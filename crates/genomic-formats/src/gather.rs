//! Fields of stated lengths out of a stream of bytes.

/// Collects the bytes of the next field; holds one unfinished field.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    partial: Vec<u8>,
}

impl Gather {
    /// Takes bytes off `input` until `len` are there; `None` when the input is used up.
    ///
    /// `len` stays the same until a field comes out. Memory grows with the bytes that are there,
    /// not with `len`, so that a false length costs nothing.
    pub(crate) fn next_field(&mut self, len: usize, input: &mut &[u8]) -> Option<Vec<u8>> {
        let missing = len.saturating_sub(self.partial.len());
        let (head, rest) = input.split_at(missing.min(input.len()));
        self.partial.extend_from_slice(head);
        *input = rest;
        (self.partial.len() == len).then(|| std::mem::take(&mut self.partial))
    }

    /// As [`next_field`](Self::next_field), for a little-endian number of 32 bits.
    pub(crate) fn next_u32(&mut self, input: &mut &[u8]) -> Option<u32> {
        let field = self.next_field(4, input)?;
        field.first_chunk().copied().map(u32::from_le_bytes)
    }
}
