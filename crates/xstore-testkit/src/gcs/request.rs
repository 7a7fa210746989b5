//! `Call`: what a request asks for, with everything in it accounted for.

use std::ops::Range;

use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use hyper::http::request::Parts;
use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::answer::Refusal;
use super::list::{Query, Start};

const IF_GENERATION: HeaderName = HeaderName::from_static("x-goog-if-generation-match");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const SERVICE_HEADERS: &str = "x-goog-";

/// Headers with a meaning for objects that is not implemented; to pass over one would be to lie.
const UNKNOWN_HEADERS: [HeaderName; 7] = [
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
    CONTENT_ENCODING,
    CONTENT_MD5,
];

/// The one part of the JSON API that is there.
const SETTINGS_PATH: &str = "/storage/v1/b/";
const SETTINGS_QUERY: &str = "fields=versioning,softDeletePolicy,retentionPolicy";

const NAME_LEN_BYTES_MAX: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) bucket: String,
    pub(super) action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Put {
        object: String,
        content_type: Option<HeaderValue>,
        if_generation: Option<u64>,
    },
    Get {
        object: String,
        range: Option<ByteRange>,
    },
    Head {
        object: String,
    },
    Delete {
        object: String,
        if_generation: Option<u64>,
    },
    List(Query),
    /// What the bucket does with deleted objects: resource `Bucket` of the JSON API, and of that the
    /// three fields that [`SETTINGS_QUERY`] asks for.
    Settings,
}

/// One range of a `Range` header (RFC 9110, 14.1.2); both ends are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteRange {
    FromTo(u64, u64),
    From(u64),
    Last(u64),
}

impl ByteRange {
    fn parse(header: &HeaderValue) -> Option<Self> {
        let (first, last) = header
            .to_str()
            .ok()?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        match (first, last) {
            ("", last) => Some(Self::Last(number(last)?)),
            (first, "") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::FromTo(first, last))
            }
        }
    }

    /// The part of an object of this length, not empty; half-open.
    pub(super) fn of(self, len_bytes: usize) -> Result<Range<usize>, Refusal> {
        let len = len_bytes as u64;
        let range = match self {
            Self::FromTo(first, last) => first..last.saturating_add(1).min(len),
            Self::From(first) => first..len,
            Self::Last(count) => len.saturating_sub(count)..len,
        };
        let bounds = (usize::try_from(range.start), usize::try_from(range.end));
        match bounds {
            (Ok(start), Ok(end)) if start < end => Ok(start..end),
            _ => Err(Refusal::invalid_range(len_bytes)),
        }
    }
}

impl Call {
    pub(super) fn parse(parts: &Parts) -> Result<Self, Refusal> {
        if let Some(bucket) = parts.uri.path().strip_prefix(SETTINGS_PATH) {
            return Self::settings(bucket, parts);
        }
        let (bucket, object) = resource(&parts.uri)?;
        let pairs = pairs(&parts.uri)?;
        let action = match object {
            None => Action::of_bucket(&parts.method, pairs)?,
            Some(object) => {
                if let Some((name, _)) = pairs.first() {
                    return Err(Refusal::not_implemented(name));
                }
                Action::of_object(&parts.method, object, &parts.headers)?
            }
        };
        action.check_headers(&parts.headers)?;
        Ok(Self { bucket, action })
    }

    fn settings(bucket: &str, parts: &Parts) -> Result<Self, Refusal> {
        if parts.method != Method::GET || parts.uri.query() != Some(SETTINGS_QUERY) {
            return Err(Refusal::not_implemented("the JSON API but for settings"));
        }
        let action = Action::Settings;
        action.check_headers(&parts.headers)?;
        Ok(Self {
            bucket: decode(bucket)?,
            action,
        })
    }
}

impl Action {
    fn of_object(method: &Method, object: String, headers: &HeaderMap) -> Result<Self, Refusal> {
        match *method {
            Method::PUT => {
                if !headers.contains_key(CONTENT_LENGTH) {
                    return Err(Refusal::missing_content_length());
                }
                Ok(Self::Put {
                    object,
                    content_type: headers.get(CONTENT_TYPE).cloned(),
                    if_generation: generation(headers)?,
                })
            }
            Method::GET => {
                let range = headers.get(RANGE).map(|range| {
                    ByteRange::parse(range)
                        .ok_or_else(|| Refusal::invalid("not one range of bytes"))
                });
                let range = range.transpose()?;
                Ok(Self::Get { object, range })
            }
            Method::HEAD => Ok(Self::Head { object }),
            Method::DELETE => {
                let if_generation = generation(headers)?;
                Ok(Self::Delete {
                    object,
                    if_generation,
                })
            }
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    fn of_bucket(method: &Method, pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        match *method {
            Method::GET => {}
            Method::PUT | Method::HEAD | Method::DELETE => {
                return Err(Refusal::not_implemented("this method on a bucket"));
            }
            _ => return Err(Refusal::method_not_allowed()),
        }
        list_query(pairs).map(Self::List)
    }

    /// Refuses headers of the service that are unknown, or have no effect here.
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let writes = matches!(self, Self::Put { .. } | Self::Delete { .. });
        let reads = matches!(self, Self::Get { .. });
        for name in headers.keys() {
            let misplaced = (*name == IF_GENERATION && !writes) || (*name == RANGE && !reads);
            if misplaced {
                return Err(Refusal::invalid(format!("{name} has no effect here")));
            }
            let unknown = name.as_str().starts_with(SERVICE_HEADERS) && *name != IF_GENERATION;
            if unknown || UNKNOWN_HEADERS.contains(name) {
                return Err(Refusal::not_implemented(name.as_str()));
            }
            let decides = [IF_GENERATION, RANGE, CONTENT_LENGTH].contains(name);
            if decides && headers.get_all(name).iter().count() > 1 {
                return Err(Refusal::invalid(format!("{name} twice")));
            }
        }
        Ok(())
    }
}

/// The bucket and, unless the bucket itself is meant, the object.
fn resource(uri: &Uri) -> Result<(String, Option<String>), Refusal> {
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let (bucket, object) = match path.split_once('/') {
        None | Some((_, "")) => (path.trim_end_matches('/'), None),
        Some((bucket, object)) => (bucket, Some(object)),
    };
    if bucket.is_empty() {
        return Err(Refusal::not_implemented("the list of buckets"));
    }
    let object = object.map(decode).transpose()?;
    if let Some(object) = &object {
        check_name(object)?;
    }
    Ok((decode(bucket)?, object))
}

/// See <https://cloud.google.com/storage/docs/objects#naming>; control characters are discouraged
/// there, and refused here, since a listing cannot spell them all.
fn check_name(object: &str) -> Result<(), Refusal> {
    if object.len() > NAME_LEN_BYTES_MAX {
        return Err(Refusal::key_too_long());
    }
    let reserved =
        [".", ".."].contains(&object) || object.starts_with(".well-known/acme-challenge/");
    if reserved || object.contains(char::is_control) {
        return Err(Refusal::invalid("not a name of an object"));
    }
    Ok(())
}

fn decode(part: &str) -> Result<String, Refusal> {
    check_escapes(part)?;
    let decoded = percent_decode_str(part).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| Refusal::invalid_uri())
}

/// Decoders pass over a `%` without two digits; the service does not.
fn check_escapes(part: &str) -> Result<(), Refusal> {
    let escaped = |after: &str| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let all = part.split('%').skip(1).all(escaped);
    all.then_some(()).ok_or_else(Refusal::invalid_uri)
}

/// Names and values of the query, each name once.
fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    let query = uri.query().unwrap_or_default();
    decode(query)?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
        if pairs.iter().any(|(seen, _)| *seen == name) {
            return Err(Refusal::invalid(format!("{name} twice")));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

fn list_query(pairs: Vec<(String, String)>) -> Result<Query, Refusal> {
    let mut query = Query::default();
    let (mut list_type, mut token) = (None, None);
    for (name, value) in pairs {
        match name.as_str() {
            "list-type" => list_type = Some(value),
            "prefix" => query.prefix = value,
            // An empty delimiter is none.
            "delimiter" => query.delimiter = Some(value).filter(|value| !value.is_empty()),
            "start-after" => query.start = Start::AfterName(value),
            "continuation-token" => token = Some(value),
            "max-keys" => query.max_keys = Some(max_keys(&value)?),
            _ => return Err(Refusal::not_implemented(&name)),
        }
    }
    if list_type.as_deref() != Some("2") {
        return Err(Refusal::not_implemented("a listing without list-type=2"));
    }
    // The token knows where the last page ended, whatever it started after.
    if let Some(token) = token {
        let start = Start::of_token(&token);
        query.start = start.ok_or_else(|| Refusal::invalid("not a continuation token"))?;
    }
    Ok(query)
}

fn max_keys(value: &str) -> Result<usize, Refusal> {
    let number = number(value).and_then(|number| usize::try_from(number).ok());
    let positive = number.filter(|number| *number > 0);
    positive.ok_or_else(|| Refusal::invalid("max-keys is no positive number"))
}

fn generation(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let parse = |value: &HeaderValue| {
        let parsed = value.to_str().ok().and_then(number);
        parsed.ok_or_else(|| Refusal::invalid("not a generation"))
    };
    headers.get(IF_GENERATION).map(parse).transpose()
}

/// Digits only, where `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
