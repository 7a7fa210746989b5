//! Checks a JWT of the service account: signature first, then every claim.
//!
//! One is either exchanged for an access token (RFC 7523), or is itself the proof of who calls.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Access;
use super::account::{Account, EMAIL, KEY_ID};

const LIFETIME_S_MAX: i64 = 3600;
/// How far clocks may be apart.
const SKEW_S_MAX: i64 = 300;

const SCOPES: [(&str, Access); 4] = [
    (
        "https://www.googleapis.com/auth/cloud-platform",
        Access::Full,
    ),
    (
        "https://www.googleapis.com/auth/devstorage.full_control",
        Access::Full,
    ),
    (
        "https://www.googleapis.com/auth/devstorage.read_write",
        Access::Full,
    ),
    (
        "https://www.googleapis.com/auth/devstorage.read_only",
        Access::Read,
    ),
];

/// What a JWT is shown for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// To get an access token from the endpoint with this URL, which it must be addressed to.
    Exchange(&'a str),
    /// As the bearer token of a request.
    Bearer,
}

/// Why a JWT proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Form,
    Key,
    Signature,
    Issuer,
    Subject,
    Audience,
    Times,
    Scope,
}

impl Flaw {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Form => "the JWT is not three base64url parts of known fields",
            Self::Key => "the JWT names a key or an algorithm that is not the account's",
            Self::Signature => "the signature of the JWT is not the account's",
            Self::Issuer => "iss is no known account",
            Self::Subject => "sub is not iss",
            Self::Audience => "aud is not who the JWT was shown to",
            Self::Times => "iat and exp must span now and at most one hour",
            Self::Scope => "scope names nothing of this service",
        }
    }
}

// Unknown fields are refused: a `crit`, say, must not be passed over (RFC 7515, 4.1.11).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    sub: Option<String>,
    aud: Option<String>,
    scope: String,
    iat: i64,
    exp: i64,
}

/// The access that `jwt` asks for, if everything about it holds at `now_s` (seconds since 1970).
pub(super) fn verify(
    account: &Account,
    jwt: &str,
    purpose: Purpose<'_>,
    now_s: i64,
) -> Result<Access, Flaw> {
    let (message, signature) = jwt.rsplit_once('.').ok_or(Flaw::Form)?;
    let (header, claims) = message.split_once('.').ok_or(Flaw::Form)?;
    check_header(&decode(header)?)?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
    let signature = signature.map_err(|_| Flaw::Form)?;
    if !account.signed(message.as_bytes(), &signature) {
        return Err(Flaw::Signature);
    }
    let claims: Claims = decode(claims)?;
    check_names(&claims, purpose)?;
    check_times(&claims, now_s)?;
    access(&claims.scope).ok_or(Flaw::Scope)
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Flaw> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part);
    let json = json.map_err(|_| Flaw::Form)?;
    serde_json::from_slice(&json).map_err(|_| Flaw::Form)
}

fn check_header(header: &Header) -> Result<(), Flaw> {
    let known = header.alg == "RS256"
        && header.typ.as_deref().is_none_or(|typ| typ == "JWT")
        && header.kid.as_deref().is_none_or(|kid| kid == KEY_ID);
    known.then_some(()).ok_or(Flaw::Key)
}

fn check_names(claims: &Claims, purpose: Purpose<'_>) -> Result<(), Flaw> {
    if claims.iss != EMAIL {
        return Err(Flaw::Issuer);
    }
    let (subject, audience) = (claims.sub.as_deref(), claims.aud.as_deref());
    let (subject_fits, audience_fits) = match purpose {
        // Another subject would be delegation, which nobody granted.
        Purpose::Exchange(uri) => (
            subject.is_none_or(|sub| sub == EMAIL),
            audience == Some(uri),
        ),
        // A scope takes the place of the audience.
        Purpose::Bearer => (subject == Some(EMAIL), audience.is_none()),
    };
    if !subject_fits {
        return Err(Flaw::Subject);
    }
    audience_fits.then_some(()).ok_or(Flaw::Audience)
}

fn check_times(claims: &Claims, now_s: i64) -> Result<(), Flaw> {
    let span_s = claims.exp.checked_sub(claims.iat).ok_or(Flaw::Times)?;
    let holds = (1..=LIFETIME_S_MAX).contains(&span_s)
        && claims.iat <= now_s + SKEW_S_MAX
        && claims.exp > now_s - SKEW_S_MAX;
    holds.then_some(()).ok_or(Flaw::Times)
}

/// The most that one of the scopes, which spaces separate, allows.
fn access(scopes: &str) -> Option<Access> {
    let known = |scope: &str| SCOPES.iter().find(|(name, _)| *name == scope);
    scopes
        .split(' ')
        .filter_map(known)
        .map(|(_, access)| *access)
        .max()
}
