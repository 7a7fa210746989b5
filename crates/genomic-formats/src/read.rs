//! Reading to the end, in pieces of bounded length.

use std::io::{self, Read};

/// Length of a piece, in bytes.
const PIECE_LEN_BYTES: usize = 64 * 1024;

/// Gives everything of `reader` to `take`, piece by piece.
///
/// # Errors
/// The reader's own, interruptions excepted.
pub(crate) fn read_pieces(mut reader: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_LEN_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => take(buffer.get(..len).unwrap_or(&buffer)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
