//! The OAuth token endpoint: access tokens for assertions that the account signed (RFC 7523).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use super::Access;
use super::jwt::{self, Flaw, Purpose};
use super::service::State;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What an access token opens, and until when (seconds since 1970).
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) access: Access,
    pub(super) until_s: i64,
}

/// Why no token is given, in the words of RFC 6749, 5.2.
struct Refused(&'static str, &'static str);

pub(super) fn answer(state: &mut State, parts: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    let (status, json) = match exchange(state, parts, body) {
        Ok(json) => (StatusCode::OK, json),
        Err(Refused(error, description)) => (
            StatusCode::BAD_REQUEST,
            json!({"error": error, "error_description": description}),
        ),
    };
    let mut response = Response::new(Full::from(json.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn exchange(state: &mut State, parts: &Parts, body: &[u8]) -> Result<Value, Refused> {
    let assertion = assertion(parts, body)?;
    let purpose = Purpose::Exchange(&state.token_uri);
    let access = jwt::verify(&state.account, &assertion, purpose, state.now_s());
    let access = access.map_err(|flaw| match flaw {
        Flaw::Scope => Refused("invalid_scope", flaw.describe()),
        _ => Refused("invalid_grant", flaw.describe()),
    })?;
    let name = random_name().ok_or(Refused("server_error", "no randomness"))?;
    let lifetime_s = state.options.token_lifetime.as_secs();
    let until_s = state.now_s().saturating_add_unsigned(lifetime_s);
    state.tokens.insert(name.clone(), Token { access, until_s });
    Ok(json!({"access_token": name, "expires_in": lifetime_s, "token_type": "Bearer"}))
}

/// The assertion of a form that holds it and the grant type, each once and nothing else.
fn assertion(parts: &Parts, body: &[u8]) -> Result<String, Refused> {
    let form = parts.headers.get(CONTENT_TYPE);
    let is_form = form.is_some_and(|form| form == "application/x-www-form-urlencoded");
    if parts.method != Method::POST || parts.uri.query().is_some() || !is_form {
        return Err(Refused("invalid_request", "a form must be posted"));
    }
    let (mut grant_type, mut assertion) = (None, None);
    for (name, value) in form_urlencoded::parse(body) {
        let slot = match &*name {
            "grant_type" => &mut grant_type,
            "assertion" => &mut assertion,
            _ => return Err(Refused("invalid_request", "an unknown field")),
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(Refused("invalid_request", "a field twice"));
        }
    }
    if grant_type.as_deref() != Some(GRANT_TYPE) {
        return Err(Refused("unsupported_grant_type", "not a JWT bearer grant"));
    }
    assertion.ok_or(Refused("invalid_request", "no assertion"))
}

fn random_name() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
