//! What all clients are set up with.

use object_store::{ClientOptions, RetryConfig};

use crate::network::{CONNECT_TIME, install_tls, is_local};
use crate::url::{Place, Reason};

/// The provider's library tries once: what to do then is decided where the budget is known.
pub(crate) fn no_retries() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

/// HTTP as every client speaks it.
pub(crate) fn client_options(endpoint: Option<&Endpoint>) -> ClientOptions {
    install_tls();
    let plain = endpoint.is_some_and(|endpoint| endpoint.is_plain);
    ClientOptions::new()
        .with_allow_http(plain)
        .with_connect_timeout(CONNECT_TIME)
        .with_timeout_disabled()
}

/// The `endpoint` option: another server than the provider's.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Without a slash at its end.
    pub(crate) url: String,
    /// Whether it is HTTP without TLS.
    is_plain: bool,
}

impl Endpoint {
    /// Takes `endpoint` and `allow-plaintext`.
    fn take(place: &mut Place) -> Result<Option<Self>, Reason> {
        match place.take("endpoint") {
            Some(url) => Self::at(&url, place).map(Some),
            None => place.take_flag("allow-plaintext").map(|_| None),
        }
    }

    /// The server at `url`; takes `allow-plaintext`.
    ///
    /// HTTP without TLS leaves this computer only on request: whoever listens reads the names of
    /// objects, and the passwords and tokens of some providers.
    pub(crate) fn at(url: &str, place: &mut Place) -> Result<Self, Reason> {
        let allowed = place.take_flag("allow-plaintext")?;
        let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
        let host = rest.split('/').next().unwrap_or_default();
        let is_plain = match scheme {
            "https" => false,
            "http" => true,
            _ => return Err(Reason::new("endpoint starts with https://")),
        };
        if host.is_empty() || rest.contains(['@', '?', '#']) {
            return Err(Reason::new(
                "endpoint has a host, and neither user nor query",
            ));
        }
        if is_plain && !is_local(host) && !allowed {
            let words = "endpoint is http:// beyond this computer; add allow-plaintext=true to send \
                         names and tokens in the clear";
            return Err(Reason::new(words));
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            is_plain,
        })
    }
}

/// A bucket or account, the names behind it, and where it is asked.
#[derive(Debug)]
pub(crate) struct Remote {
    /// What stands behind `//`.
    pub(crate) authority: String,
    /// Decoded segments of the path.
    pub(crate) segments: Vec<String>,
    pub(crate) endpoint: Option<Endpoint>,
}

impl Remote {
    /// Takes what all three providers have in their URLs.
    pub(crate) fn take(place: &mut Place, what: &str) -> Result<Self, Reason> {
        Ok(Self {
            authority: place.authority(what)?.to_owned(),
            segments: place.segments()?,
            endpoint: Endpoint::take(place)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(query: &str) -> Result<Option<Endpoint>, Reason> {
        Endpoint::take(&mut Place::parse(&format!("s3://b?{query}")).unwrap())
    }

    #[test]
    fn http_stays_on_this_computer_unless_it_is_allowed() {
        for good in [
            "",
            "endpoint=https://s3.lab:9000/",
            "endpoint=http://127.0.0.1:9000",
            "endpoint=http://localhost",
            "endpoint=http://[::1]:9000",
            "endpoint=http://s3.lab&allow-plaintext=true",
        ] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "endpoint=http://s3.lab",
            "endpoint=http://127.0.0.1.lab",
            "endpoint=http://localhost@lab",
            "endpoint=http://[2001:db8::1]",
            "endpoint=ftp://s3.lab",
            "endpoint=s3.lab",
            "endpoint=https://",
            "endpoint=https://user:secret@s3.lab",
            "endpoint=https://s3.lab?secret",
            "allow-plaintext=yes",
        ] {
            let error = endpoint(bad).expect_err(bad);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let plain = endpoint("endpoint=http://localhost/").unwrap().unwrap();
        assert!(plain.is_plain && plain.url == "http://localhost");
    }
}
