//! What an answer of a provider means: one table, from which the code decides and the document
//! `docs/provider-answers.md` is written.
//!
//! Providers say the same with other words, and the same words with other numbers: a missing bucket
//! and a missing object are both 404, a wrong key and a spent quota both 403. Only the provider's own
//! code tells them apart.

use xstore::BackendErrorKind;

/// Whose words are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// Amazon S3, and servers that speak as it does.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
    /// A WebDAV server.
    WebDav,
}

impl Provider {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::Azure => "Azure Blob Storage",
            Self::Gcs => "Google Cloud Storage",
            Self::WebDav => "WebDAV",
        }
    }
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The name is taken, so that nothing was created.
    Taken,
    /// There is no such object.
    Absent,
    /// The object ends before the range starts.
    EndsBefore,
    /// Trouble of this kind.
    Trouble(BackendErrorKind),
}

impl Means {
    /// Published code, or what it is instead of an error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Taken => "no error: the name is taken",
            Self::Absent => BackendErrorKind::NotFound.code(),
            Self::EndsBefore => "no error: an empty range",
            Self::Trouble(kind) => kind.code(),
        }
    }
}

/// One row: the first that fits an answer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Whose answer; any provider's when `None`.
    pub provider: Option<Provider>,
    /// HTTP status.
    pub status: u16,
    /// The provider's own code; any, and none at all, when empty.
    pub code: &'static str,
    /// What follows.
    pub means: Means,
    /// Why, in words that stand behind the code in an error.
    pub why: &'static str,
}

impl Row {
    /// The row that an answer falls under; `None` when no row speaks of its status.
    #[must_use]
    pub fn of(provider: Provider, status: u16, code: &str) -> Option<&'static Self> {
        let fits = |row: &&Self| {
            row.status == status
                && row.provider.is_none_or(|theirs| theirs == provider)
                && (row.code.is_empty() || row.code == code)
        };
        ROWS.iter().find(fits)
    }
}

/// A short way to write a row.
const fn row(
    provider: Option<Provider>,
    status: u16,
    code: &'static str,
    means: Means,
    why: &'static str,
) -> Row {
    Row {
        provider,
        status,
        code,
        means,
        why,
    }
}

const S3: Option<Provider> = Some(Provider::S3);
const AZ: Option<Provider> = Some(Provider::Azure);
const GS: Option<Provider> = Some(Provider::Gcs);
const DAV: Option<Provider> = Some(Provider::WebDav);
const ANY: Option<Provider> = None;

const AUTH: Means = Means::Trouble(BackendErrorKind::AuthFailed);
const QUOTA: Means = Means::Trouble(BackendErrorKind::QuotaExceeded);
const SLOW: Means = Means::Trouble(BackendErrorKind::RateLimited);
const LATE: Means = Means::Trouble(BackendErrorKind::Timeout);
const DOWN: Means = Means::Trouble(BackendErrorKind::Unavailable);

/// Every answer that is told apart. A provider's own rows stand before those of any provider.
///
/// Sources: "Error responses" of the Amazon S3 API reference, "Blob Storage error codes" and "Common
/// REST API error codes" of the Azure Storage reference, "HTTP status and error codes" of the Cloud
/// Storage XML and JSON API references, RFC 9110 section 15, RFC 6749 section 5.2, RFC 4918 sections 9
/// and 11.
pub const ROWS: &[Row] = &[
    row(S3, 301, "", DOWN, "the bucket lies in another region"),
    row(
        S3,
        307,
        "",
        DOWN,
        "the bucket lies in another region, or is very new",
    ),
    row(
        S3,
        400,
        "AuthorizationHeaderMalformed",
        AUTH,
        "the request was signed for another region",
    ),
    row(
        S3,
        400,
        "ExpiredToken",
        AUTH,
        "the session token has expired",
    ),
    row(
        S3,
        400,
        "ExpiredTokenException",
        AUTH,
        "the web identity token has expired",
    ),
    row(
        S3,
        400,
        "InvalidIdentityToken",
        AUTH,
        "the web identity token is not accepted",
    ),
    row(
        S3,
        400,
        "InvalidToken",
        AUTH,
        "the session token is not accepted",
    ),
    row(
        S3,
        400,
        "TokenRefreshRequired",
        AUTH,
        "the session token has to be renewed",
    ),
    row(S3, 400, "BadDigest", DOWN, "the bytes changed on their way"),
    row(
        S3,
        400,
        "XAmzContentSHA256Mismatch",
        DOWN,
        "the bytes changed on their way",
    ),
    row(
        S3,
        400,
        "EntityTooLarge",
        QUOTA,
        "the object is longer than the backend takes",
    ),
    row(
        S3,
        400,
        "RequestTimeout",
        LATE,
        "the backend waited too long for our bytes",
    ),
    row(
        S3,
        400,
        "XMinioAdminBucketQuotaExceeded",
        QUOTA,
        "the quota of the bucket is spent",
    ),
    row(
        S3,
        403,
        "InvalidAccessKeyId",
        AUTH,
        "there is no such access key",
    ),
    row(
        S3,
        403,
        "SignatureDoesNotMatch",
        AUTH,
        "the secret key is not the one of this access key",
    ),
    row(
        S3,
        403,
        "RequestTimeTooSkewed",
        AUTH,
        "our clock and the backend's differ too much",
    ),
    row(
        S3,
        403,
        "AccountProblem",
        AUTH,
        "the account has a problem, often an unpaid bill",
    ),
    row(
        S3,
        403,
        "AllAccessDisabled",
        AUTH,
        "all access to the bucket is disabled",
    ),
    row(
        S3,
        403,
        "QuotaExceeded",
        QUOTA,
        "the quota of the user or bucket is spent",
    ),
    row(
        S3,
        403,
        "ServiceQuotaExceededException",
        QUOTA,
        "a quota of the account is spent",
    ),
    row(S3, 404, "NoSuchBucket", DOWN, "there is no such bucket"),
    row(
        S3,
        404,
        "NoSuchKey",
        Means::Absent,
        "there is no such object",
    ),
    row(
        S3,
        409,
        "ConditionalRequestConflict",
        DOWN,
        "another request for this name is under way",
    ),
    row(
        S3,
        409,
        "OperationAborted",
        DOWN,
        "another request for this bucket is under way",
    ),
    row(
        S3,
        503,
        "RequestTimeout",
        LATE,
        "the backend waited too long for our bytes",
    ),
    row(
        S3,
        507,
        "XMinioStorageFull",
        QUOTA,
        "the disks of the backend are full",
    ),
    row(
        AZ,
        400,
        "InvalidAuthenticationInfo",
        AUTH,
        "the credential is malformed or has expired",
    ),
    row(
        AZ,
        400,
        "AuthenticationFailed",
        AUTH,
        "the credential is not accepted",
    ),
    row(
        AZ,
        400,
        "Md5Mismatch",
        DOWN,
        "the bytes changed on their way",
    ),
    row(
        AZ,
        403,
        "AccountIsDisabled",
        AUTH,
        "the account is disabled",
    ),
    row(
        AZ,
        403,
        "AuthenticationFailed",
        AUTH,
        "the key or signature is not accepted, or our clock is wrong",
    ),
    row(
        AZ,
        403,
        "AuthorizationFailure",
        AUTH,
        "the credential or the network may not do this",
    ),
    row(
        AZ,
        403,
        "AuthorizationPermissionMismatch",
        AUTH,
        "the credential may not do this",
    ),
    row(
        AZ,
        403,
        "InsufficientAccountPermissions",
        AUTH,
        "the account may not do this",
    ),
    row(
        AZ,
        403,
        "KeyBasedAuthenticationNotPermitted",
        AUTH,
        "the account accepts no account keys",
    ),
    row(
        AZ,
        403,
        "UnauthorizedBlobOverwrite",
        Means::Taken,
        "the signature creates and does not overwrite",
    ),
    row(
        AZ,
        404,
        "BlobNotFound",
        Means::Absent,
        "there is no such object",
    ),
    row(
        AZ,
        404,
        "ContainerNotFound",
        DOWN,
        "there is no such container",
    ),
    row(
        AZ,
        404,
        "ResourceNotFound",
        DOWN,
        "there is no such account or container",
    ),
    row(
        AZ,
        409,
        "AccountBeingCreated",
        DOWN,
        "the account is not ready yet",
    ),
    row(
        AZ,
        409,
        "BlobAlreadyExists",
        Means::Taken,
        "an object has this name",
    ),
    row(
        AZ,
        409,
        "BlobImmutableDueToPolicy",
        AUTH,
        "a policy keeps the object as it is",
    ),
    row(
        AZ,
        409,
        "ContainerBeingDeleted",
        DOWN,
        "the container is being deleted",
    ),
    row(
        AZ,
        409,
        "ContainerDisabled",
        AUTH,
        "the container is disabled",
    ),
    row(
        AZ,
        412,
        "LeaseIdMissing",
        AUTH,
        "somebody holds a lease on the object",
    ),
    row(
        AZ,
        500,
        "OperationTimedOut",
        LATE,
        "the operation took the backend too long",
    ),
    row(
        AZ,
        503,
        "OperationTimedOut",
        LATE,
        "the operation took the backend too long",
    ),
    row(GS, 400, "ExpiredToken", AUTH, "the token has expired"),
    row(
        GS,
        403,
        "AccountProblem",
        AUTH,
        "the account has a problem, often an unpaid bill",
    ),
    row(
        GS,
        403,
        "InvalidSecurity",
        AUTH,
        "the credential is not accepted",
    ),
    row(
        GS,
        403,
        "ObjectUnderActiveHold",
        AUTH,
        "a hold keeps the object",
    ),
    row(
        GS,
        403,
        "RetentionPolicyNotMet",
        AUTH,
        "a retention policy keeps the object",
    ),
    row(
        GS,
        403,
        "UserProjectAccountProblem",
        AUTH,
        "the project has a problem, often an unpaid bill",
    ),
    row(
        GS,
        403,
        "quotaExceeded",
        QUOTA,
        "a quota of the project is spent",
    ),
    row(GS, 403, "rateLimitExceeded", SLOW, "too many requests"),
    row(GS, 404, "NoSuchBucket", DOWN, "there is no such bucket"),
    row(
        GS,
        404,
        "NoSuchKey",
        Means::Absent,
        "there is no such object",
    ),
    row(
        GS,
        409,
        "OperationAborted",
        DOWN,
        "another request for this name is under way",
    ),
    row(DAV, 405, "", DOWN, "the server does no WebDAV there"),
    row(
        DAV,
        409,
        "",
        Means::Absent,
        "a folder on the path is missing",
    ),
    row(DAV, 423, "", DOWN, "somebody has locked it"),
    row(DAV, 501, "", DOWN, "the server does no WebDAV"),
    row(ANY, 304, "", Means::Taken, "an object has this name"),
    row(
        ANY,
        400,
        "invalid_client",
        AUTH,
        "the token endpoint does not know the client",
    ),
    row(
        ANY,
        400,
        "invalid_grant",
        AUTH,
        "the token endpoint does not accept the key, or our clock is wrong",
    ),
    row(
        ANY,
        400,
        "unauthorized_client",
        AUTH,
        "the token endpoint does not serve the client",
    ),
    row(
        ANY,
        401,
        "",
        AUTH,
        "the credential is missing or not accepted",
    ),
    row(ANY, 403, "", AUTH, "the credential may not do this"),
    row(ANY, 404, "", Means::Absent, "there is no such object"),
    row(ANY, 408, "", LATE, "the backend waited too long for us"),
    row(ANY, 409, "", DOWN, "another request is in the way"),
    row(ANY, 412, "", Means::Taken, "an object has this name"),
    row(
        ANY,
        413,
        "",
        QUOTA,
        "the object is longer than the backend takes",
    ),
    row(
        ANY,
        416,
        "",
        Means::EndsBefore,
        "the object ends before the range",
    ),
    row(ANY, 429, "", SLOW, "too many requests"),
    row(ANY, 500, "", DOWN, "the backend failed"),
    row(
        ANY,
        502,
        "",
        DOWN,
        "a gateway in front of the backend failed",
    ),
    row(ANY, 503, "", SLOW, "the backend is busy"),
    row(
        ANY,
        504,
        "",
        LATE,
        "a gateway in front of the backend waited too long",
    ),
    row(ANY, 507, "", QUOTA, "the backend is full"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_reached() {
        for row in ROWS {
            let provider = row.provider.unwrap_or(Provider::Gcs);
            assert_eq!(
                Row::of(provider, row.status, row.code),
                Some(row),
                "{row:?}"
            );
        }
        assert_eq!(Row::of(Provider::S3, 418, "Teapot"), None);
    }

    #[test]
    fn a_missing_bucket_is_not_a_missing_object() {
        for (provider, code) in [
            (Provider::S3, "NoSuchBucket"),
            (Provider::Azure, "ContainerNotFound"),
            (Provider::Gcs, "NoSuchBucket"),
        ] {
            let row = Row::of(provider, 404, code).unwrap();
            assert_eq!(row.means.code(), "BACKEND_UNAVAILABLE", "{provider:?}");
        }
    }
}
