//! A backend URL in its parts, each taken exactly once by the backend that it leads to.
//!
//! RFC 3986 as far as backends need it. What a backend does not take is an error: a mistyped option
//! must not silently mean the default.

use std::collections::BTreeMap;
use std::fmt;

use super::ConnectError;

/// What is wrong with a URL, in words that repeat nothing of it but the name of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// A reason in these words.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scheme, authority, path and options of a backend URL. `Debug` shows the scheme alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    scheme: String,
    /// Host, bucket or account; `None` where the URL has no `//`.
    authority: Option<String>,
    /// As written, percent-encoded, with the slash in front.
    path: String,
    /// Decoded options that nobody has taken yet.
    options: BTreeMap<String, String>,
}

impl Place {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// [`ConnectError::NoScheme`], and [`ConnectError::Malformed`] for a fragment, for user
    /// information in front of the host, and for an option without a value or given twice.
    pub fn parse(url: &str) -> Result<Self, ConnectError> {
        let (scheme, rest) = url.split_once(':').ok_or(ConnectError::NoScheme)?;
        if rest.contains('#') {
            return Err(Reason::new("`#` in a path or an option is written %23").into());
        }
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match place.strip_prefix("//") {
            Some(place) => {
                let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
                (Some(authority.to_owned()), path)
            }
            None => (None, place),
        };
        if authority.as_deref().is_some_and(|text| text.contains('@')) && scheme != "sftp" {
            let words = "no user or password stands in front of the host; name a credential";
            return Err(Reason::new(words).into());
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            authority,
            path: path.to_owned(),
            options: query.map(options).transpose()?.unwrap_or_default(),
        })
    }

    /// The scheme as written.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Takes the option `name`.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.options.remove(name)
    }

    /// Takes the option `name`, which is `true` or `false`, and false when it is not given.
    ///
    /// # Errors
    /// For any other value.
    pub fn take_flag(&mut self, name: &str) -> Result<bool, Reason> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Reason::new(format!("{name} is true or false"))),
        }
    }

    /// What stands between `//` and the path: a host, a bucket or an account, which `what` names.
    ///
    /// # Errors
    /// When nothing stands there.
    pub fn authority(&self, what: &str) -> Result<&str, Reason> {
        let authority = self.authority.as_deref().unwrap_or_default();
        if authority.is_empty() {
            let scheme = &self.scheme;
            return Err(Reason::new(format!("{scheme}:// is followed by {what}")));
        }
        Ok(authority)
    }

    /// The segments of the path, decoded; none of them is empty, `.` or `..`.
    ///
    /// # Errors
    /// When one of them is, or is not UTF-8.
    pub fn segments(&self) -> Result<Vec<String>, Reason> {
        let path = self.path.trim_matches('/');
        if path.is_empty() {
            return Ok(Vec::new());
        }
        path.split('/').map(segment).collect()
    }

    /// The segments of the path as the start of object names, which keep to characters that every
    /// provider takes as they are.
    ///
    /// # Errors
    /// When they hold others.
    pub fn prefix(segments: &[String]) -> Result<String, Reason> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if segments.iter().all(|segment| segment.bytes().all(plain)) {
            return Ok(segments.join("/"));
        }
        let words = "the path holds letters, digits, `-`, `_` and `.` between its slashes";
        Err(Reason::new(words))
    }

    /// The path of a URL that leads to a folder or file of this computer, as `file:` does (RFC 8089
    /// with an empty authority).
    ///
    /// # Errors
    /// When it is not absolute, or when an option was not taken.
    #[cfg(unix)]
    pub fn absolute_path(self) -> Result<std::path::PathBuf, Reason> {
        use std::os::unix::ffi::OsStringExt;
        if self.authority.as_deref() != Some("") || !self.path.starts_with('/') {
            let scheme = &self.scheme;
            return Err(Reason::new(format!("it starts with {scheme}:///")));
        }
        let bytes = percent_decode(&self.path)?;
        self.finish()?;
        Ok(std::ffi::OsString::from_vec(bytes).into())
    }

    /// Refuses options that nobody took.
    ///
    /// # Errors
    /// Names the first of them.
    pub fn finish(self) -> Result<(), Reason> {
        match self.options.into_keys().next() {
            Some(name) => Err(Reason::new(format!("no option {name} is known here"))),
            None => Ok(()),
        }
    }

    /// Refuses everything behind the scheme.
    pub(crate) fn finish_empty(self) -> Result<(), Reason> {
        if self.authority.is_some() || !self.path.is_empty() {
            let scheme = &self.scheme;
            return Err(Reason::new(format!("`{scheme}:` takes nothing behind it")));
        }
        self.finish()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// Names are of lower-case letters and dashes, so that one can be repeated in a message.
fn options(query: &str) -> Result<BTreeMap<String, String>, Reason> {
    let mut options = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let named = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !named || name.len() > 32 || value.is_empty() {
            return Err(Reason::new("options are written name=value, joined by `&`"));
        }
        let value = text(value)?;
        if options.insert(name.to_owned(), value).is_some() {
            return Err(Reason::new(format!("the option {name} is given twice")));
        }
    }
    Ok(options)
}

fn segment(encoded: &str) -> Result<String, Reason> {
    match text(encoded)?.as_str() {
        "" | "." | ".." => Err(Reason::new("no segment of the path is empty, `.` or `..`")),
        segment => Ok(segment.to_owned()),
    }
}

fn text(encoded: &str) -> Result<String, Reason> {
    String::from_utf8(percent_decode(encoded)?)
        .map_err(|_| Reason::new("what stands behind `%` is not UTF-8"))
}

pub(crate) fn percent_decode(text: &str) -> Result<Vec<u8>, Reason> {
    let mut text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        let (byte, rest) = match (first, rest) {
            (b'%', [high, low, rest @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => return Err(not_encoded()),
            },
            (b'%', _) => return Err(not_encoded()),
            _ => (*first, rest),
        };
        if byte == 0 {
            return Err(not_encoded());
        }
        bytes.push(byte);
        text = rest;
    }
    Ok(bytes)
}

fn not_encoded() -> Reason {
    Reason::new("`%` is followed by two hexadecimal digits, and not by 00")
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Place::parse(url).unwrap_or_else(|why| panic!("{url}: {why}"))
    }

    #[cfg(unix)]
    #[test]
    fn folders_are_absolute_and_decoded() {
        for (url, expected) in [
            ("file:///srv/a", "/srv/a"),
            ("file:///srv/a%20b%2Fc", "/srv/a b/c"),
            ("file:///%c3%A9", "/é"),
            ("file:///", "/"),
        ] {
            let folder = place(url).absolute_path().unwrap();
            assert_eq!(folder, std::path::PathBuf::from(expected), "{url}");
        }
        for url in [
            "file:",
            "file:/srv",
            "file:srv",
            "file://host/srv",
            "file://",
            "file:///a%",
            "file:///a%2",
            "file:///a%zz",
            "file:///a%00",
            "file:///a\0",
            "file:///a?b=c",
        ] {
            assert!(place(url).absolute_path().is_err(), "{url}");
        }
    }

    #[test]
    fn each_part_is_taken_once() {
        let mut bucket = place("s3://genomes/a/b%2dc/?region=eu-central-1&allow-plaintext=true");
        assert_eq!(
            (bucket.scheme(), bucket.authority("a bucket").unwrap()),
            ("s3", "genomes")
        );
        let segments = bucket.segments().unwrap();
        assert_eq!(Place::prefix(&segments).unwrap(), "a/b-c");
        assert_eq!(bucket.take("region").as_deref(), Some("eu-central-1"));
        assert_eq!(bucket.take("region"), None);
        let left = bucket.clone().finish().unwrap_err();
        assert!(left.to_string().contains("allow-plaintext"), "{left}");
        assert!(bucket.take_flag("allow-plaintext").unwrap());
        bucket.finish().unwrap();
        assert!(place("s3://genomes").segments().unwrap().is_empty());
    }

    #[test]
    fn what_is_malformed_is_refused_without_being_repeated() {
        for url in [
            "s3://user:secret@bucket",
            "s3://bucket#secret",
            "s3://bucket?SECRET=x",
            "s3://bucket?secret",
            "s3://bucket?a=secret&a=secret",
            "s3://bucket?a=%ffsecret",
        ] {
            let error = Place::parse(url).unwrap_err();
            let told = format!("{error} {error:?}").to_lowercase();
            assert!(!told.contains("secret"), "{told}");
        }
        for url in ["s3://b/a//b", "s3://b/a/../b", "s3://b/./a"] {
            assert!(place(url).segments().is_err(), "{url}");
        }
        assert!(Place::prefix(&["a b".to_owned()]).is_err());
        assert!(place("s3:///a").authority("a bucket").is_err());
        assert!(place("s3://b?x=1").take_flag("x").is_err());
        assert!(!format!("{:?}", place("s3://b?x=secret")).contains("secret"));
    }
}
