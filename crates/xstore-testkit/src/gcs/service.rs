//! From a request to its answer: read it whole, then decide under one lock.
//!
//! An upload is complete before the lock is taken and visible when it is released, so a request
//! happens whole or not at all, and of a race to create an object one wins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;

use super::account::Account;
use super::answer::{self, Answer, Refusal};
use super::bucket::{Bucket, Object};
use super::jwt::{self, Purpose};
use super::list;
use super::request::{Action, Call};
use super::token::{self, Token};
use super::{Access, Counts, Options, Versioning};
use crate::listener::Closed;

pub(super) const TOKEN_PATH: &str = "/token";

const UPLOAD_LEN_BYTES_MAX: usize = 1 << 30;

#[derive(Debug)]
pub(super) struct State {
    pub(super) account: Account,
    pub(super) options: Options,
    pub(super) token_uri: String,
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) counts: Counts,
    pub(super) clock_ahead: Duration,
    /// How many requests are still refused for their rate.
    pub(super) slow_downs: u64,
    last_generation: u64,
}

impl State {
    pub(super) fn new(account: Account, options: Options) -> Self {
        Self {
            account,
            options,
            token_uri: String::new(),
            buckets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            counts: Counts::default(),
            clock_ahead: Duration::ZERO,
            slow_downs: 0,
            last_generation: 0,
        }
    }

    /// A bucket that the test names.
    pub(super) fn bucket(&mut self, name: &str) -> &mut Bucket {
        let Some(bucket) = self.buckets.get_mut(name) else {
            panic!("there is no bucket {name}");
        };
        bucket
    }

    /// Seconds since 1970.
    pub(super) fn now_s(&self) -> i64 {
        self.now().as_second()
    }

    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.saturating_add(self.clock_ahead).unwrap_or(now)
    }

    /// Like the service's: microseconds since 1970, and never the same twice.
    fn next_generation(&mut self) -> u64 {
        let now = u64::try_from(self.now().as_microsecond()).unwrap_or_default();
        self.last_generation = now.max(self.last_generation + 1);
        self.last_generation
    }
}

/// # Errors
/// When the request ends before its end, to which there is no answer.
pub(super) async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Answer, Closed> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, UPLOAD_LEN_BYTES_MAX).collect().await;
    let body = match body {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => None,
        Err(error) => return Err(error),
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    count(&mut state.counts, &parts);
    let mut answer = if parts.uri.path() == TOKEN_PATH {
        token::answer(&mut state, &parts, &body.unwrap_or_default())
    } else {
        let answer = serve(&mut state, &parts, body);
        answer.unwrap_or_else(Refusal::into_answer)
    };
    state.counts.refused += u64::from(!answer.status().is_success());
    answer::date(&mut answer, state.now());
    Ok(answer)
}

fn count(counts: &mut Counts, parts: &Parts) {
    let path = parts.uri.path();
    let of_object = path.trim_matches('/').contains('/');
    let counter = match parts.method {
        Method::POST if path == TOKEN_PATH => &mut counts.tokens,
        Method::GET if !of_object => &mut counts.lists,
        Method::GET => &mut counts.gets,
        Method::PUT => &mut counts.puts,
        Method::HEAD => &mut counts.heads,
        Method::DELETE => &mut counts.deletes,
        _ => return,
    };
    *counter += 1;
}

/// `body` is none if it was too long.
fn serve(state: &mut State, parts: &Parts, body: Option<Bytes>) -> Result<Answer, Refusal> {
    if state.slow_downs > 0 {
        state.slow_downs -= 1;
        return Err(Refusal::slow_down());
    }
    let of_caller = authenticate(state, parts)?;
    let body = body.ok_or_else(Refusal::entity_too_large)?;
    let Call { bucket, action } = Call::parse(parts)?;
    let needed = match action {
        Action::Put { .. } | Action::Delete { .. } => Access::Full,
        _ => Access::Read,
    };
    let of_bucket = state.buckets.get(&bucket).map(|bucket| bucket.access);
    let of_bucket = of_bucket.ok_or_else(|| Refusal::no_such_bucket(&bucket))?;
    if of_caller.min(of_bucket) < needed {
        return Err(Refusal::access_denied());
    }
    if !matches!(action, Action::Put { .. }) && !body.is_empty() {
        return Err(Refusal::invalid("a body where none belongs"));
    }
    act(state, &bucket, action, body)
}

/// The access that the bearer token of a request gives.
fn authenticate(state: &State, parts: &Parts) -> Result<Access, Refusal> {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(Refusal::unauthenticated("not one Authorization header"));
    };
    let bearer = header
        .to_str()
        .ok()
        .and_then(|header| header.strip_prefix("Bearer "));
    let bearer = bearer.ok_or_else(|| Refusal::unauthenticated("not a bearer token"))?;
    let now_s = state.now_s();
    if bearer.contains('.') {
        let access = jwt::verify(&state.account, bearer, Purpose::Bearer, now_s);
        return access.map_err(|flaw| Refusal::unauthenticated(flaw.describe()));
    }
    match state.tokens.get(bearer) {
        Some(token) if now_s < token.until_s => Ok(token.access),
        _ => Err(Refusal::unauthenticated("the token is unknown or over")),
    }
}

fn act(state: &mut State, name: &str, action: Action, body: Bytes) -> Result<Answer, Refusal> {
    let (now, generation) = (state.now(), state.next_generation());
    let page_len = state.options.page_len;
    let bucket = state.bucket(name);
    match action {
        Action::Put {
            object: name,
            content_type,
            if_generation,
        } => {
            let object = Object::new(body, content_type, generation, now);
            let answer = answer::stored(&object);
            bucket.put(&name, object, if_generation)?;
            Ok(answer)
        }
        Action::Get { object, range } => {
            let object = bucket.object(&object)?;
            let range = range
                .map(|range| range.of(object.bytes.len()))
                .transpose()?;
            Ok(answer::body(object, range))
        }
        Action::Head { object } => Ok(answer::head(bucket.object(&object)?)),
        Action::Delete {
            object,
            if_generation,
        } => {
            bucket.delete(&object, if_generation)?;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        Action::List(query) => Ok(answer::xml(&list::page(name, bucket, &query, page_len))),
        Action::Settings => Ok(answer::json(&settings(bucket.versioning))),
    }
}

fn settings(versioning: Versioning) -> serde_json::Value {
    match versioning {
        // The service leaves it out until versioning was switched on once.
        Versioning::Suspended => serde_json::json!({}),
        Versioning::Enabled => serde_json::json!({ "versioning": { "enabled": true } }),
    }
}
