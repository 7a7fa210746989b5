//! The HTTP tap: sees every answer on its way to the provider's library and remembers what that
//! library forgets: the status, the provider's own code, how long to wait, and what became of
//! deleted bytes.
//!
//! The library folds thirty different answers into "generic error". It sends each request in the
//! task that asked, so a task-local holds the last answer of one call, and of no other.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

/// An error document is shorter; the rest of a longer one is not read.
const ERROR_LEN_BYTES_MAX: usize = 64 << 10;

/// Longest code of a provider that is repeated in an error.
const CODE_LEN_BYTES_MAX: usize = 64;

tokio::task_local! {
    static SEEN: RefCell<Option<Seen>>;
}

/// The last thing that happened on the line during one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An answer with this status.
    Answer {
        status: u16,
        /// The provider's own code; empty without one.
        code: String,
        retry_after: Option<Duration>,
        kept: Kept,
    },
    /// No answer, and why.
    Silence(HttpErrorKind),
    /// This machine, asked who it is, did not tell.
    NoIdentity,
}

/// What an answer says of bytes that were deleted or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing.
    Unsaid,
    /// The backend keeps earlier versions.
    Versions,
    /// The backend keeps deleted objects for a while.
    SoftDeleted,
}

/// Runs `call` and returns the last thing seen on the line besides.
pub(super) async fn watched<T>(call: impl Future<Output = T>) -> (T, Option<Seen>) {
    let seen = async {
        let output = call.await;
        (output, SEEN.with(RefCell::take))
    };
    SEEN.scope(RefCell::default(), seen).await
}

/// Outside of [`watched`] nobody wants to know.
fn note(seen: Seen) {
    let _ = SEEN.try_with(|slot| slot.replace(Some(seen)));
}

/// Makes HTTP clients with a tap in front.
#[derive(Debug, Default)]
pub(crate) struct TapConnector(ReqwestConnector);

impl HttpConnector for TapConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Tap(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Tap(HttpClient);

#[async_trait]
impl HttpService for Tap {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asks_machine = asks_machine(&request);
        match self.0.execute(request).await {
            Ok(response) if is_good(response.status()) => {
                note(answer(&response, String::new()));
                Ok(response)
            }
            Ok(response) => {
                let (seen, response) = refused(response).await;
                note(if asks_machine { Seen::NoIdentity } else { seen });
                Ok(response)
            }
            Err(error) => {
                note(if asks_machine {
                    Seen::NoIdentity
                } else {
                    Seen::Silence(error.kind())
                });
                Err(error)
            }
        }
    }
}

fn is_good(status: StatusCode) -> bool {
    status.is_informational() || status.is_success()
}

/// Whether the metadata service of a machine is asked, which has one header that nothing else has, or
/// one of the addresses that containers are given for it.
fn asks_machine(request: &HttpRequest) -> bool {
    let of_services = [
        "x-aws-ec2-metadata-token",
        "x-aws-ec2-metadata-token-ttl-seconds",
        "metadata",
        "metadata-flavor",
    ];
    let of_containers = ["169.254.170.2", "169.254.170.23", "169.254.169.254"];
    let headers = request.headers();
    of_services.iter().any(|name| headers.contains_key(*name))
        || request
            .uri()
            .host()
            .is_some_and(|host| of_containers.contains(&host))
}

fn answer(response: &HttpResponse, code: String) -> Seen {
    Seen::Answer {
        status: response.status().as_u16(),
        code,
        retry_after: retry_after(response.headers()),
        kept: kept(response.headers()),
    }
}

/// Reads the document of an error and passes on what was read.
async fn refused(response: HttpResponse) -> (Seen, HttpResponse) {
    let (parts, body) = response.into_parts();
    // What is too long or breaks off has no code; the status still stands.
    let read = Limited::new(body, ERROR_LEN_BYTES_MAX).collect().await;
    let body = read.map_or_else(|_| Vec::new().into(), |body| body.to_bytes());
    let code = code_in(&parts.headers, &body);
    let response = HttpResponse::from_parts(parts, body.into());
    (answer(&response, code), response)
}

/// The provider's code: Azure's stands in a header, S3's and Google's in XML, and those of token
/// endpoints in JSON.
fn code_in(headers: &HeaderMap, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let header = headers
        .get("x-ms-error-code")
        .and_then(|value| value.to_str().ok());
    let code = header
        .map(str::to_owned)
        .or_else(|| between(&text, "<Code>", "</Code>").map(str::to_owned))
        .or_else(|| json_code(&text));
    code.filter(|code| is_code(code)).unwrap_or_default()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

/// RFC 6749 section 5.2 has a text under `error`; Google's JSON API has an object with a list of
/// reasons, or a status.
fn json_code(text: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    let error = document.get("error")?;
    let code = error
        .as_str()
        .or_else(|| error.pointer("/errors/0/reason")?.as_str())
        .or_else(|| error.get("status")?.as_str());
    code.map(str::to_owned)
}

/// Nothing else that an untrusted server says is repeated.
fn is_code(code: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !code.is_empty() && code.len() <= CODE_LEN_BYTES_MAX && code.bytes().all(plain)
}

/// Seconds, or a date (RFC 9110, section 10.2.3); of a date, the time from the server's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let wanted: &str = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = wanted.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, now) = (date(wanted)?, date(text(header::DATE)?)?);
    Some(until.duration_since(now).unwrap_or_default())
}

fn date(text: &str) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// S3 numbers versions where it keeps them, and marks a deletion; Azure says whether a deletion is
/// for good.
fn kept(headers: &HeaderMap) -> Kept {
    let is = |name: &str, wanted: fn(&str) -> bool| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(wanted)
    };
    if is("x-amz-version-id", |id| id != "null")
        || is("x-amz-delete-marker", |marked| marked == "true")
        || is("x-ms-version-id", |_| true)
    {
        Kept::Versions
    } else if is("x-ms-delete-type-permanent", |permanent| {
        permanent == "false"
    }) {
        Kept::SoftDeleted
    } else {
        Kept::Unsaid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn codes_are_found_in_each_providers_form() {
        let none = headers(&[]);
        for (headers, body, code) in [
            (
                &headers(&[("x-ms-error-code", "BlobNotFound")]),
                "",
                "BlobNotFound",
            ),
            (
                &none,
                "<?xml?><Error><Code>NoSuchKey</Code><Key>x</Key></Error>",
                "NoSuchKey",
            ),
            (
                &none,
                r#"{"error":"invalid_grant","error_description":"..."}"#,
                "invalid_grant",
            ),
            (
                &none,
                r#"{"error":{"code":429,"errors":[{"reason":"rateLimitExceeded"}]}}"#,
                "rateLimitExceeded",
            ),
            (
                &none,
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#,
                "PERMISSION_DENIED",
            ),
            (&none, "<Code>bad code; with text</Code>", ""),
            (&none, "<Code>", ""),
            (&none, "\u{7}", ""),
            (&none, "", ""),
        ] {
            assert_eq!(code_in(headers, body.as_bytes()), code, "{body}");
        }
        let long = format!("<Code>{}</Code>", "x".repeat(CODE_LEN_BYTES_MAX + 1));
        assert_eq!(code_in(&none, long.as_bytes()), "");
    }

    #[test]
    fn waits_are_seconds_or_dates() {
        let date = "Tue, 01 Dec 2026 10:00:00 GMT";
        for (pairs, seconds) in [
            (vec![("retry-after", "7")], Some(7)),
            (
                vec![
                    ("retry-after", "Tue, 01 Dec 2026 10:00:30 GMT"),
                    ("date", date),
                ],
                Some(30),
            ),
            (
                vec![
                    ("retry-after", "Tue, 01 Dec 2026 09:00:00 GMT"),
                    ("date", date),
                ],
                Some(0),
            ),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "-1")], None),
            (vec![], None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers(&pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn kept_bytes_are_seen() {
        for (name, value, expected) in [
            ("x-amz-version-id", "3sL4kqtJlcpXroDTDmJ", Kept::Versions),
            ("x-amz-version-id", "null", Kept::Unsaid),
            ("x-amz-delete-marker", "true", Kept::Versions),
            ("x-amz-delete-marker", "false", Kept::Unsaid),
            (
                "x-ms-version-id",
                "2026-12-01T10:00:00.0000000Z",
                Kept::Versions,
            ),
            ("x-ms-delete-type-permanent", "false", Kept::SoftDeleted),
            ("x-ms-delete-type-permanent", "true", Kept::Unsaid),
        ] {
            assert_eq!(
                kept(&headers(&[(name, value)])),
                expected,
                "{name}: {value}"
            );
        }
    }

    #[tokio::test]
    async fn each_call_sees_its_own_answers() {
        let silence = |kind| async move {
            tokio::task::yield_now().await;
            note(Seen::Silence(kind));
            tokio::task::yield_now().await;
        };
        let (one, two) = tokio::join!(
            watched(silence(HttpErrorKind::Timeout)),
            watched(silence(HttpErrorKind::Connect)),
        );
        assert_eq!(one.1, Some(Seen::Silence(HttpErrorKind::Timeout)));
        assert_eq!(two.1, Some(Seen::Silence(HttpErrorKind::Connect)));
        assert_eq!(watched(async {}).await.1, None);
    }
}
