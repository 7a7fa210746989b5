//! Where a share lies: a URL whose spelling is normalised, so that one place has one name.
//!
//! Only as much of RFC 3986 is read as placement needs: scheme, host and path. Whether a scheme is
//! supported is decided by whoever opens it. Symbolic links are not followed here; that two folders
//! are one on the disk is for the application to see.

use std::fmt;
use std::path::Path;

use xstore::placement::{FailureDomain, THIS_COMPUTER};

/// A normalised endpoint. `Debug` and [`Endpoint::label`] leave out the query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    scheme: String,
    /// Host and port in lower case, or a bucket; empty for what lies on this computer.
    authority: String,
    path: String,
    /// Host and port of the `endpoint` parameter of an object store's URL.
    service: Option<String>,
}

/// Schemes whose authority is a bucket or an account, not a host.
const BUCKET_SCHEMES: [&str; 3] = ["s3", "az", "gs"];
/// Schemes without any host.
const LOCAL_SCHEMES: [&str; 3] = ["file", "sqlite", "memory"];

type Reason = &'static str;

impl Endpoint {
    /// Reads an endpoint as it stands in a sites file; `./name` is a folder below `base`.
    ///
    /// # Errors
    /// Why it is none, in words that repeat nothing of it.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Reason> {
        if text.is_empty() {
            return Err("must not be empty");
        }
        if text.contains(|c: char| c.is_control()) {
            return Err("must not contain control characters");
        }
        if let Some(relative) = text.strip_prefix("./") {
            return Self::folder(&format!("{}/{relative}", absolute(base)?));
        }
        if text.starts_with('/') {
            return Self::folder(text);
        }
        let (scheme, rest) = text.split_once(':').ok_or(
            "must be a URL, an absolute folder, or a folder written ./name below the sites file's",
        )?;
        let scheme = checked_scheme(scheme)?;
        match scheme.as_str() {
            "file" => Self::folder(local_path(rest)?),
            "sqlite" | "memory" => Self::local(scheme, rest),
            _ => Self::remote(scheme, rest),
        }
    }

    /// The URL that a backend is opened with, query included.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The scheme in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The folder of a `file:` endpoint.
    #[must_use]
    pub fn folder_path(&self) -> Option<&Path> {
        (self.scheme == "file").then(|| Path::new(&self.path))
    }

    /// The host without its port: of the URL, or of an object store's `endpoint` parameter. `None`
    /// for a bucket at its provider's usual address and for what has no host.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let authority = match &self.service {
            Some(service) => service,
            None if BUCKET_SCHEMES.contains(&self.scheme.as_str()) => return None,
            None => &self.authority,
        };
        Some(host_and_port(authority).0).filter(|host| !host.is_empty())
    }

    /// Whether it lies on the computer that reads the sites file: a folder, a local database, or a
    /// loopback address (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3).
    #[must_use]
    pub fn is_local(&self) -> bool {
        LOCAL_SCHEMES.contains(&self.scheme.as_str()) || self.host().is_some_and(is_loopback)
    }

    /// Whose credentials open it: the profile of its `credential` option, or for a bucket those that
    /// the environment has for its provider. `None` for what needs none, or has one for each host.
    #[must_use]
    pub fn credential(&self) -> Option<String> {
        if !BUCKET_SCHEMES.contains(&self.scheme.as_str()) {
            return self.option("credential").map(str::to_owned);
        }
        Some(self.option("credential").map_or_else(
            || format!("the environment's for {}", self.scheme),
            str::to_owned,
        ))
    }

    /// The provider's region, where the endpoint names one.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.option("region")
    }

    /// An option of the query, as it is written there.
    fn option(&self, name: &str) -> Option<&str> {
        let (_, query) = self.url.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(option, value)| (option == name).then_some(value))
    }

    /// Who can reach what lies here, as far as the endpoint alone tells.
    #[must_use]
    pub fn failure_domain(&self) -> FailureDomain {
        let host = if self.is_local() {
            Some(THIS_COMPUTER)
        } else {
            self.host()
        };
        FailureDomain {
            host: host.map(str::to_owned),
            credential: self.credential(),
            ..FailureDomain::default()
        }
    }

    /// Where it is, for people: host and path, without the query.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path)
    }

    /// Equal for two spellings of one place.
    pub(super) fn identity(&self) -> (String, Option<String>) {
        (self.label(), self.service.clone())
    }

    fn folder(path: &str) -> Result<Self, Reason> {
        if path.contains(['%', '?', '#']) {
            return Err(
                "a folder's name must not contain %, ? or #, which readers of URLs differ on",
            );
        }
        Self::local("file".to_owned(), path)
    }

    fn local(scheme: String, rest: &str) -> Result<Self, Reason> {
        let path = normal_path(rest)?;
        if scheme != "memory" && path.is_empty() {
            return Err("must name a folder or file below the root");
        }
        Ok(Self {
            url: format!("{scheme}://{path}"),
            scheme,
            authority: String::new(),
            path,
            service: None,
        })
    }

    fn remote(scheme: String, rest: &str) -> Result<Self, Reason> {
        let rest = rest
            .strip_prefix("//")
            .ok_or("must have // after the scheme")?;
        if rest.contains(char::is_whitespace) {
            return Err("must not contain blanks");
        }
        if rest.contains('#') {
            return Err("must not have a fragment");
        }
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let authority = checked_authority(&scheme, authority)?;
        let path = normal_path(path)?;
        let service = query.map(service_of).transpose()?.flatten();
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        Ok(Self {
            url: format!("{scheme}://{authority}{path}{query}"),
            scheme,
            authority,
            path,
            service,
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.label()).finish()
    }
}

fn absolute(base: &Path) -> Result<&str, Reason> {
    if !base.is_absolute() {
        return Err("a folder written ./name needs the absolute folder of the sites file");
    }
    base.to_str()
        .ok_or("a folder written ./name needs a sites file whose folder's name is UTF-8")
}

/// RFC 3986, section 3.1; one letter is a drive of another system, not a scheme.
fn checked_scheme(scheme: &str) -> Result<String, Reason> {
    let fits = scheme.len() >= 2
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if fits {
        Ok(scheme.to_ascii_lowercase())
    } else {
        Err("does not begin with the scheme of a URL")
    }
}

/// The absolute path in what follows `file:` (RFC 8089, section 2).
fn local_path(rest: &str) -> Result<&str, Reason> {
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
        None => rest,
    };
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err("a file URL must name an absolute folder of this computer, as file:///srv/shares")
    }
}

/// `/a/b` without empty and `.` segments and without a slash at the end; empty for the root.
fn normal_path(path: &str) -> Result<String, Reason> {
    let mut normal = String::with_capacity(path.len() + 1);
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => return Err("must not contain .., which means another folder behind a link"),
            name => {
                normal.push('/');
                normal.push_str(name);
            }
        }
    }
    Ok(normal)
}

/// Lower case, without a final dot of the host and without the scheme's usual port.
fn checked_authority(scheme: &str, authority: &str) -> Result<String, Reason> {
    if authority.contains('@') {
        return Err("must not contain credentials; name their source under credential");
    }
    let lower = authority.to_ascii_lowercase();
    let (host, port) = host_and_port(&lower);
    if host.is_empty() {
        return Err("must name a host, bucket or account after //");
    }
    let usual_port = match scheme {
        "https" => "443",
        "http" => "80",
        "redis" => "6379",
        _ => "",
    };
    match port {
        Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err("must have a number as its port")
        }
        Some(port) if port != usual_port && !port.is_empty() => Ok(format!("{host}:{port}")),
        _ => Ok(host.to_owned()),
    }
}

/// `[::1]:80` is `[::1]` and `80` (RFC 3986, section 3.2.2).
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[bracket..].find(':') {
        Some(at) => (
            &authority[..bracket + at],
            Some(&authority[bracket + at + 1..]),
        ),
        None => (authority, None),
    };
    (host.strip_suffix('.').unwrap_or(host), port)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Host and port of the URL in the `endpoint` parameter, if there is one.
fn service_of(query: &str) -> Result<Option<String>, Reason> {
    let Some(url) = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("endpoint="))
    else {
        return Ok(None);
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or("the endpoint parameter must be a URL that is not percent-encoded")?;
    let authority = rest.split('/').next().unwrap_or(rest);
    checked_authority(&scheme.to_ascii_lowercase(), authority).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text, Path::new("/srv/study")).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn spellings_of_one_place_are_one_place() {
        for (one, other) in [
            ("file:///srv/de", "file:///srv/./de/"),
            ("file:///srv/de", "file://localhost/srv//de"),
            ("file:/srv/de", "/srv/de"),
            ("./shares/de", "file:///srv/study/shares/de/."),
            ("HTTPS://Store.Example:443/a", "https://store.example./a/"),
            ("s3://bucket/p?region=eu-central-1", "s3://bucket/p/"),
        ] {
            assert_eq!(
                endpoint(one).identity(),
                endpoint(other).identity(),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn different_places_stay_different() {
        for (one, other) in [
            ("file:///srv/de", "file:///srv/DE"),
            ("https://a.example/x", "https://a.example:8443/x"),
            (
                "s3://b/p?endpoint=http://one:1",
                "s3://b/p?endpoint=http://two:1",
            ),
            ("s3://b/p", "gs://b/p"),
        ] {
            assert_ne!(
                endpoint(one).identity(),
                endpoint(other).identity(),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn a_host_is_a_machine_and_not_a_bucket() {
        for (text, host, local) in [
            ("https://de.store/a", Some("de.store"), false),
            ("redis://r.example:7000/0", Some("r.example"), false),
            ("s3://bucket/p", None, false),
            (
                "s3://bucket/p?region=x&endpoint=https://s3.lab:9000",
                Some("s3.lab"),
                false,
            ),
            ("https://[2001:db8::1]:8443/a", Some("[2001:db8::1]"), false),
            ("http://127.0.0.1:8080/a", Some("127.0.0.1"), true),
            ("http://[::1]/a", Some("[::1]"), true),
            ("sqlite:///srv/a.db", None, true),
            ("memory:", None, true),
            ("./a", None, true),
        ] {
            let read = endpoint(text);
            assert_eq!((read.host(), read.is_local()), (host, local), "{text}");
        }
    }

    #[test]
    fn a_credential_is_a_profile_or_that_of_the_environment() {
        for (text, credential) in [
            ("s3://b/p?region=x&credential=berlin", Some("berlin")),
            ("s3://b/p", Some("the environment's for s3")),
            ("gs://b/p", Some("the environment's for gs")),
            ("https://de.store/x", None),
            ("./a", None),
        ] {
            assert_eq!(endpoint(text).credential().as_deref(), credential, "{text}");
        }
        let local = endpoint("s3://b?endpoint=http://127.0.0.1:9000").failure_domain();
        assert_eq!(local.host.as_deref(), Some(THIS_COMPUTER));
    }

    #[test]
    fn what_cannot_be_a_place_is_refused() {
        for bad in [
            "",
            "shares/de",
            "file:shares/de",
            "file://host/srv",
            "file:///",
            "../de",
            "./../de",
            "file:///srv/../de",
            "file:///srv/a%20b",
            "C:/shares",
            "https:store",
            "https://",
            "https://:443/x",
            "https://user:secret@store/x",
            "https://store:port/x",
            "https://store/x#y",
            "https://store/a b",
            "s3://b/p?endpoint=localhost",
            "s3://b/p?endpoint=http://u:p@h",
            "file:///srv/\u{7}",
        ] {
            assert!(Endpoint::parse(bad, Path::new("/srv")).is_err(), "{bad}");
        }
        assert!(
            Endpoint::parse("./de", Path::new("srv")).is_err(),
            "relative base"
        );
    }

    #[test]
    fn labels_and_debug_leave_out_the_query() {
        let read = endpoint("s3://bucket/p?region=eu-central-1&sig=SECRET");
        assert_eq!(read.label(), "s3://bucket/p");
        assert!(!format!("{read:?}").contains("SECRET"));
        assert!(read.url().ends_with("SECRET"));
    }
}
