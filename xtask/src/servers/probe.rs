//! Questions to a server that need no client library: free ports and the first line of an answer.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Result;

/// Time for one connection, write or read.
const PATIENCE: Duration = Duration::from_secs(5);

/// No first line of a server is longer.
const LINE_LEN_MAX: u64 = 4096;

/// A port of loopback that nobody listens on now.
///
/// Somebody may take it before the server does; then the server does not start, and says so.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The request of somebody without credentials for `path`.
pub(super) fn http_get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
}

/// The first line of the answer to `request`.
pub(super) fn first_line(port: u16, request: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LINE_LEN_MAX)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_first_line_is_read_and_no_more_is_waited_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"-NOAUTH who are you\r\nmore").unwrap();
            let mut request = [0; 6];
            stream.read_exact(&mut request).unwrap();
            (stream, request)
        });
        assert_eq!(first_line(port, "PING\r\n").unwrap(), "-NOAUTH who are you");
        assert_eq!(&server.join().unwrap().1, b"PING\r\n");
    }

    #[test]
    fn where_nobody_listens_is_an_error() {
        let port = free_port().unwrap();
        assert!(first_line(port, "").is_err());
    }
}
