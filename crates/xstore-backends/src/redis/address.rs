//! `Address`: where the server is, which of its databases, and the names in it.

use redis::ConnectionAddr;

use crate::network::{install_tls, is_local};
use crate::url::{Place, Reason};

/// The port of Redis, with and without TLS.
const PORT: u16 = 6379;

/// What a URL says.
pub(super) struct Address {
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    is_plain: bool,
    pub(super) database: u16,
    /// In front of every key.
    pub(super) prefix: String,
}

impl Address {
    /// Takes all of `redis://host:port/database?prefix=NAME` and of `rediss://` the same.
    ///
    /// Without TLS it leaves this computer only on request: whoever listens reads the password.
    pub(super) fn take(mut place: Place) -> Result<Self, Reason> {
        let allowed = place.take_flag("allow-plaintext")?;
        let prefix = prefix(place.take("prefix"))?;
        let is_plain = place.scheme() == "redis";
        let authority = place.authority("a host")?;
        if is_plain && !is_local(authority) && !allowed {
            let words = "redis:// leads beyond this computer; write rediss:// for TLS, or add \
                         allow-plaintext=true to send the password and all bytes in the clear";
            return Err(Reason::new(words));
        }
        let (host, port) = host_and_port(authority)?;
        let database = database(&place.segments()?)?;
        place.finish()?;
        Ok(Self {
            host,
            port,
            is_plain,
            database,
            prefix,
        })
    }

    /// The same for the library.
    pub(super) fn to_connect_to(&self) -> ConnectionAddr {
        let host = self.host.clone();
        if self.is_plain {
            return ConnectionAddr::Tcp(host, self.port);
        }
        install_tls();
        ConnectionAddr::TcpTls {
            host,
            port: self.port,
            insecure: false,
            tls_params: None,
        }
    }
}

/// Braces make it the part that a cluster hashes, so that one slot holds all keys.
fn prefix(name: Option<String>) -> Result<String, Reason> {
    let name = name.unwrap_or_else(|| "xgene".to_owned());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.len() > 64 || !name.bytes().all(plain) {
        let words = "prefix has at most 64 letters, digits, `-`, `_` and `.`";
        return Err(Reason::new(words));
    }
    Ok(format!("{{{name}}}"))
}

fn host_and_port(authority: &str) -> Result<(String, u16), Reason> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port.map(str::parse) {
        None => PORT,
        Some(Ok(port)) if port != 0 => port,
        Some(_) => return Err(Reason::new("the port is a number from 1 to 65535")),
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_host = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(plain),
    };
    if !is_host {
        return Err(Reason::new(
            "the host is a name or an address, [in brackets] for IPv6",
        ));
    }
    Ok((bare.unwrap_or(host).to_owned(), port))
}

fn database(segments: &[String]) -> Result<u16, Reason> {
    let number = match segments {
        [] => Some(0),
        [number] => number.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Reason::new("the path is the number of a database, such as /0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address, Reason> {
        Address::take(Place::parse(url).unwrap())
    }

    #[test]
    fn each_part_has_its_default() {
        for (url, expected) in [
            ("redis://localhost", ("localhost", 6379, 0, "{xgene}")),
            ("redis://[::1]:7000/3", ("::1", 7000, 3, "{xgene}")),
            (
                "rediss://r.lab/?prefix=a.b-1",
                ("r.lab", 6379, 0, "{a.b-1}"),
            ),
            (
                "redis://r.lab?allow-plaintext=true",
                ("r.lab", 6379, 0, "{xgene}"),
            ),
        ] {
            let address = address(url).unwrap();
            let parts = (
                &*address.host,
                address.port,
                address.database,
                &*address.prefix,
            );
            assert_eq!(parts, expected, "{url}");
            assert_eq!(address.is_plain, url.starts_with("redis:"));
        }
    }

    #[test]
    fn what_is_malformed_is_refused_without_being_repeated() {
        for url in [
            "redis://secret.lab",
            "redis://secret.lab?allow-plaintext=false",
            "redis://",
            "redis://:6379",
            "redis://localhost:0",
            "redis://localhost:secret",
            "redis://localhost:65536",
            "redis://localhost/secret",
            "redis://localhost/0/secret",
            "redis://localhost/-1",
            "redis://localhost?prefix=%7bsecret",
            "redis://localhost?user=secret",
            "rediss://[secret]",
            "rediss://secret,lab",
        ] {
            let error = address(url).err().expect(url);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
