//! Answers: objects with their headers, and refusals in the service's XML form.
//!
//! Statuses and codes are those of
//! <https://cloud.google.com/storage/docs/xml-api/reference-status>; the messages are ours.

use std::ops::Range;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderName,
    HeaderValue, LAST_MODIFIED, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::bucket::Object;

pub(super) type Answer = Response<Full<Bytes>>;

const GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    message: String,
    /// Headers besides those of every refusal.
    header: Option<(HeaderName, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    /// No proof of who calls, or one that is wrong or over.
    pub(super) fn unauthenticated(why: &str) -> Self {
        let challenge = "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"";
        Self {
            header: Some((WWW_AUTHENTICATE, challenge.to_owned())),
            ..Self::new(StatusCode::UNAUTHORIZED, "AuthenticationRequired", why)
        }
    }

    pub(super) fn access_denied() -> Self {
        let message = "the account lacks the permission";
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    pub(super) fn no_such_bucket(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchBucket", name)
    }

    pub(super) fn no_such_key(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchKey", name)
    }

    pub(super) fn precondition_failed() -> Self {
        let message = "the object has another generation";
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            message,
        )
    }

    pub(super) fn quota_exceeded() -> Self {
        Self::new(StatusCode::FORBIDDEN, "QuotaExceeded", "the bucket is full")
    }

    pub(super) fn slow_down() -> Self {
        let message = "too many requests";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "SlowDown", message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    pub(super) fn invalid_uri() -> Self {
        let message = "what is percent-encoded is no UTF-8";
        Self::new(StatusCode::BAD_REQUEST, "InvalidURI", message)
    }

    pub(super) fn key_too_long() -> Self {
        let message = "a name has at most 1024 bytes";
        Self::new(StatusCode::BAD_REQUEST, "KeyTooLong", message)
    }

    pub(super) fn entity_too_large() -> Self {
        let message = "this fake takes no more at once";
        Self::new(StatusCode::BAD_REQUEST, "EntityTooLarge", message)
    }

    pub(super) fn missing_content_length() -> Self {
        let message = "an upload needs its length";
        Self::new(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the resource has no such method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// The range lies behind the end of an object of this length.
    pub(super) fn invalid_range(len_bytes: usize) -> Self {
        let message = "the range lies outside of the object";
        Self {
            header: Some((CONTENT_RANGE, format!("bytes */{len_bytes}"))),
            ..Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
        }
    }

    /// What the service may know, and this fake does not.
    pub(super) fn not_implemented(what: &str) -> Self {
        let message = format!("this fake does not implement {what}");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(super) fn into_answer(self) -> Answer {
        let message = escape(&self.message);
        let error = format!(
            "<Error><Code>{}</Code><Message>{message}</Message></Error>",
            self.code
        );
        let mut answer = xml(&error);
        *answer.status_mut() = self.status;
        if let Some((name, value)) = self.header {
            set(&mut answer, name, &value);
        }
        answer
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    answer
}

/// An XML document with this root element.
pub(super) fn xml(root: &str) -> Answer {
    let document = format!("<?xml version='1.0' encoding='UTF-8'?>{root}");
    let mut answer = Answer::new(Full::from(document));
    set(&mut answer, CONTENT_TYPE, "application/xml; charset=UTF-8");
    answer
}

/// A document of the JSON API.
pub(super) fn json(document: &serde_json::Value) -> Answer {
    let mut answer = Answer::new(Full::from(document.to_string()));
    set(&mut answer, CONTENT_TYPE, "application/json; charset=UTF-8");
    answer
}

/// What a stored object is answered with.
pub(super) fn stored(object: &Object) -> Answer {
    let mut answer = empty(StatusCode::OK);
    set(&mut answer, ETAG, &object.e_tag);
    set(&mut answer, GENERATION, &object.generation.to_string());
    answer
}

/// The object's headers without its bytes.
pub(super) fn head(object: &Object) -> Answer {
    let mut answer = stored(object);
    set(&mut answer, ACCEPT_RANGES, "bytes");
    set(&mut answer, LAST_MODIFIED, &http_date(object.changed));
    set(&mut answer, CONTENT_LENGTH, &object.bytes.len().to_string());
    if let Some(content_type) = &object.content_type {
        answer
            .headers_mut()
            .insert(CONTENT_TYPE, content_type.clone());
    }
    answer
}

/// The object, or a part of it.
pub(super) fn body(object: &Object, range: Option<Range<usize>>) -> Answer {
    let mut answer = head(object);
    let len_bytes = object.bytes.len();
    let bytes = match range {
        None => object.bytes.clone(),
        Some(range) => {
            let last = range.end - 1;
            let content_range = format!("bytes {}-{last}/{len_bytes}", range.start);
            set(&mut answer, CONTENT_RANGE, &content_range);
            set(&mut answer, CONTENT_LENGTH, &range.len().to_string());
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            object.bytes.slice(range)
        }
    };
    *answer.body_mut() = Full::from(bytes);
    answer
}

/// Says when the answer was given.
pub(super) fn date(answer: &mut Answer, now: Timestamp) {
    set(answer, DATE, &http_date(now));
}

/// As RFC 9110, 5.6.7, wants it.
fn http_date(time: Timestamp) -> String {
    // Only years after 9999 cannot be printed.
    let printed = DateTimePrinter::new().timestamp_to_rfc9110_string(&time);
    printed.unwrap_or_default()
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    // All values are made here, of printable characters.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
