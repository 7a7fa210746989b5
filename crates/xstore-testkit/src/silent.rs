//! `Silent`: a server that accepts connections, reads what comes and never answers.
//!
//! It is what a client sees of a machine that hangs: every time-out of the client is its own. What
//! the client sends is read, so that a large request does not block it before it waits.

use std::io;
use std::net::SocketAddr;

use tokio::io::{copy, sink};

use crate::listener::Listener;

/// A running server, which stops when dropped.
#[derive(Debug)]
pub struct Silent(Listener);

impl Silent {
    /// Starts a server on a free port of the loopback.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> io::Result<Self> {
        let listener = Listener::bind(|mut stream| async move {
            // Reading ends when the client leaves; how does not matter.
            copy(&mut stream, &mut sink()).await.ok();
        });
        Ok(Self(listener.await?))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn it_reads_and_never_answers_until_it_is_gone() {
        let silent = Silent::start().await.unwrap();
        let mut stream = TcpStream::connect(silent.address()).await.unwrap();
        stream.write_all(&vec![7; 8 << 20]).await.unwrap();
        let mut answer = [0];
        let waiting = timeout(Duration::from_millis(50), stream.read(&mut answer));
        assert!(waiting.await.is_err());
        drop(silent);
        // End of file or a reset: in either case the connection is over.
        assert!(matches!(stream.read(&mut answer).await, Ok(0) | Err(_)));
    }
}
