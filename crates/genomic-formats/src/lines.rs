//! Lines of text out of a stream of bytes.

/// Cuts a stream into lines; holds one unfinished line.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes off `input` until a line is whole; `None` when the input is used up.
    ///
    /// The line comes without its end, which is LF or CR LF. A line may be as long as the stream:
    /// the caller bounds the bytes it pushes.
    pub(crate) fn next_line(&mut self, input: &mut &[u8]) -> Option<Vec<u8>> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let (head, rest) = input.split_at(end.unwrap_or(input.len()));
        self.partial.extend_from_slice(head);
        *input = rest.get(1..).unwrap_or(&[]);
        end.map(|_| self.take())
    }

    /// What follows the last line end, as a line of its own; empty if nothing does.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut line = std::mem::take(&mut self.partial);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_do_not_change_the_lines() {
        let text = b"one\r\n\ntwo\nrest";
        for step in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for mut input in text.chunks(step) {
                while let Some(line) = lines.next_line(&mut input) {
                    found.push(line);
                }
            }
            assert_eq!(found, [&b"one"[..], b"", b"two"], "step {step}");
            assert_eq!(lines.take(), b"rest");
        }
    }
}
