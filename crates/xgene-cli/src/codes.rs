//! Every error code, once: where it comes from, what it means, and what it ends with.
//!
//! Exit codes and HTTP statuses are derived from this table and nowhere else. Codes are never
//! renamed or used again.

/// One published code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Code {
    pub(crate) code: &'static str,
    pub(crate) category: &'static str,
    #[serde(rename = "crate")]
    pub(crate) krate: &'static str,
    pub(crate) message: &'static str,
    pub(crate) recovery: &'static str,
    pub(crate) exit: u8,
    pub(crate) http: u16,
}

/// Exit code of success.
pub(crate) const OK: u8 = 0;
/// Exit code of a failure that has no narrower one.
pub(crate) const OTHER: u8 = 1;
/// Exit code of a command line that cannot work.
pub(crate) const USAGE: u8 = 2;
/// Exit code of work that is done, but with something left for later.
pub(crate) const DEGRADED: u8 = 3;
const NOT_FOUND: u8 = 4;
const TEMPORARY: u8 = 5;
const AUTH: u8 = 6;
const QUOTA: u8 = 7;
/// Exit code of anything that fails its check.
pub(crate) const INTEGRITY: u8 = 8;
/// Exit code of data that too few good shares are left of.
pub(crate) const BELOW_THRESHOLD: u8 = 9;
const LOCKED: u8 = 11;
const WRONG_KEY: u8 = 12;
const EXPIRED: u8 = 13;
const CONFLICT: u8 = 14;
const REFUSED: u8 = 15;

const fn code(
    code: &'static str,
    (category, krate): (&'static str, &'static str),
    message: &'static str,
    recovery: &'static str,
    (exit, http): (u8, u16),
) -> Code {
    Code {
        code,
        category,
        krate,
        message,
        recovery,
        exit,
        http,
    }
}

const CONFIG: (&str, &str) = ("configuration", "all");
const CONSENT: (&str, &str) = ("consent", "genomicshare");
const PLACEMENT: (&str, &str) = ("placement", "genomicshare");
const FORMAT: (&str, &str) = ("format", "genomic-formats");
const SHARING: (&str, &str) = ("sharing", "genomicshare");
const BACKEND: (&str, &str) = ("backend", "xstore");
const SHARE: (&str, &str) = ("share", "xstore");
const DATA: (&str, &str) = ("data", "xstore");
const KEY: (&str, &str) = ("key", "xstore");
const IO: (&str, &str) = ("input and output", "xstore");

/// What each exit code stands for.
pub(crate) const EXITS: [(u8, &str); 15] = [
    (OK, "done"),
    (OTHER, "failed, for none of the reasons below"),
    (USAGE, "the command line or configuration cannot work"),
    (DEGRADED, "done, with something left for the next run"),
    (NOT_FOUND, "not found"),
    (TEMPORARY, "temporary: try again"),
    (AUTH, "access refused by a backend"),
    (QUOTA, "no space left at a backend"),
    (INTEGRITY, "something fails its check"),
    (BELOW_THRESHOLD, "fewer than the threshold"),
    (LOCKED, "locked by another operation"),
    (WRONG_KEY, "wrong, unsafe or untrusted key"),
    (EXPIRED, "expired"),
    (CONFLICT, "conflict with what is there"),
    (REFUSED, "refused by consent or placement"),
];

/// All codes that a run can end with or report.
pub(crate) const CODES: &[Code] = &[
    code(
        "INVALID_CONFIG",
        CONFIG,
        "the configuration or command line cannot work as given",
        "correct the place that the message names",
        (USAGE, 400),
    ),
    code(
        "CONSENT_INVALID",
        CONSENT,
        "the consent record lacks something or contradicts itself",
        "obtain a record with every named field mended",
        (REFUSED, 403),
    ),
    code(
        "CONSENT_EXPIRED",
        CONSENT,
        "the consent has ended",
        "ask the person who consented for a new consent",
        (REFUSED, 403),
    ),
    code(
        "JURISDICTION_MISMATCH",
        CONSENT,
        "the consent does not cover the named jurisdictions",
        "obtain a consent that names them, or leave them out",
        (REFUSED, 403),
    ),
    code(
        "PURPOSE_NOT_PERMITTED",
        CONSENT,
        "the purpose asked for is not the one consented to",
        "ask for the purpose that the consent names, byte for byte",
        (REFUSED, 403),
    ),
    code(
        "ZONE_QUORUM",
        PLACEMENT,
        "one zone, operator, credential or host could read alone",
        "use other sites, or raise the threshold",
        (REFUSED, 403),
    ),
    code(
        "PLACEMENT_FORBIDDEN",
        PLACEMENT,
        "a law prohibits a transfer between two of the sites",
        "leave out one of the two sites",
        (REFUSED, 403),
    ),
    code(
        "FORMAT_INVALID",
        FORMAT,
        "the file is damaged or not what it says it is",
        "restore it from its source, or split it as it is with --allow-invalid",
        (INTEGRITY, 422),
    ),
    code(
        "SPLIT_FAILED",
        SHARING,
        "the random source or the encoder failed",
        "check the operating system's random source, then try again",
        (OTHER, 500),
    ),
    code(
        "RECONSTRUCT_FAILED",
        SHARING,
        "authentic shares do not reconstruct",
        "report this to the maintainers with the error text",
        (INTEGRITY, 500),
    ),
    code(
        "HMAC_FAILED",
        SHARING,
        "the payload is not the one that was split",
        "restore it from its source: whoever wrote it wrote it wrongly",
        (INTEGRITY, 500),
    ),
    code(
        "REFUSED",
        DATA,
        "the caller's own check, asked before a release, said no",
        "see the cause",
        (REFUSED, 403),
    ),
    code(
        "BACKEND_UNAVAILABLE",
        BACKEND,
        "a backend cannot be reached or its medium fails",
        "check that it is mounted or reachable, then try again",
        (TEMPORARY, 503),
    ),
    code(
        "BACKEND_TIMEOUT",
        BACKEND,
        "a backend did not answer in time",
        "try again, or raise its time-out",
        (TEMPORARY, 504),
    ),
    code(
        "BACKEND_AUTH_FAILED",
        BACKEND,
        "a backend refuses access or is read-only",
        "check its credentials and permissions",
        (AUTH, 502),
    ),
    code(
        "BACKEND_QUOTA_EXCEEDED",
        BACKEND,
        "a backend has no space left",
        "free space or raise its quota, then try again",
        (QUOTA, 507),
    ),
    code(
        "RATE_LIMITED",
        BACKEND,
        "a backend asks to slow down",
        "wait as long as it asks, then try again",
        (TEMPORARY, 429),
    ),
    code(
        "INSUFFICIENT_BACKENDS",
        BACKEND,
        "too few backends answered",
        "bring the named backends back, then run the command again",
        (BELOW_THRESHOLD, 503),
    ),
    code(
        "INSUFFICIENT_SHARES",
        SHARE,
        "a chunk has fewer good shares than the threshold",
        "bring back one of the named sites for each chunk listed",
        (BELOW_THRESHOLD, 503),
    ),
    code(
        "SHARE_INTEGRITY_FAILED",
        SHARE,
        "a share does not match its authenticated tag",
        "it was replaced by another; repair the named one",
        (INTEGRITY, 502),
    ),
    code(
        "SHARE_NOT_FOUND",
        SHARE,
        "a share is missing at its backend",
        "it was replaced by another; repair the named one",
        (NOT_FOUND, 404),
    ),
    code(
        "SHARE_UPLOAD_FAILED",
        SHARE,
        "a backend stored something else than was sent",
        "check its medium, then put again",
        (TEMPORARY, 502),
    ),
    code(
        "SHARE_VERSION_MISMATCH",
        SHARE,
        "a format version that this program does not know, or an object that was replaced while it was read",
        "read it with the newer version that wrote it, or read the object again",
        (INTEGRITY, 502),
    ),
    code(
        "MANIFEST_INVALID",
        DATA,
        "the manifest is malformed, was changed, or is not this object's",
        "take another copy of the manifest",
        (INTEGRITY, 422),
    ),
    code(
        "MANIFEST_EXPIRED",
        DATA,
        "the object's time to live is over",
        "store the data again if its source is available",
        (EXPIRED, 410),
    ),
    code(
        "RECONSTRUCTION_FAILED",
        DATA,
        "authentic shares do not give a chunk that a put writes",
        "report this to the maintainers with the error text",
        (INTEGRITY, 500),
    ),
    code(
        "PADDING_INVALID",
        DATA,
        "the padding is not the one that a put writes",
        "restore the object from its source",
        (INTEGRITY, 500),
    ),
    code(
        "PAYLOAD_HMAC_FAILED",
        DATA,
        "the payload does not match its authenticated digest",
        "restore the object from its source",
        (INTEGRITY, 500),
    ),
    code(
        "OBJECT_NOT_FOUND",
        DATA,
        "there is no such object, or it was deleted",
        "check the name, and that all backends of the store answer",
        (NOT_FOUND, 404),
    ),
    code(
        "CONFLICT",
        DATA,
        "something else has the name or version",
        "look at what is there, then choose another name or try again",
        (CONFLICT, 409),
    ),
    code(
        "SOURCE_CHANGED",
        DATA,
        "a resumed put reads another source than the put that stopped",
        "give the source as it was, or leave out --resume, which discards what is stored",
        (CONFLICT, 409),
    ),
    code(
        "GC_BRAKE",
        DATA,
        "one run would delete more than a tenth of the stored objects",
        "look with `xgene store gc --dry-run`, then add --no-brake if it is right",
        (CONFLICT, 409),
    ),
    code(
        "LOCKED",
        DATA,
        "another operation on the same object has not ended",
        "let it end, or bring back what it waits for",
        (LOCKED, 423),
    ),
    code(
        "ROLLBACK_DETECTED",
        DATA,
        "backends show an older version than was seen before",
        "bring the other backends back; do not trust the old version",
        (INTEGRITY, 409),
    ),
    code(
        "FORK_DETECTED",
        DATA,
        "two different manifests claim one version",
        "two copies of one device are in use: stop one of them",
        (INTEGRITY, 409),
    ),
    code(
        "KEY_MISSING",
        KEY,
        "there is no root key",
        "restore it with `xgene keys restore`, or make one with `xgene keys init`",
        (NOT_FOUND, 500),
    ),
    code(
        "KEY_UNSAFE",
        KEY,
        "a private file is open to others, or is a link",
        "make it yours alone (chmod 600), or replace it",
        (WRONG_KEY, 500),
    ),
    code(
        "KEY_MISMATCH",
        KEY,
        "a key is damaged or not the one that is needed",
        "use the right key, or restore its backup",
        (WRONG_KEY, 403),
    ),
    code(
        "KEY_UNTRUSTED",
        KEY,
        "the manifest's maker is not pinned here",
        "compare the key with its maker, then `xgene keys trust add NAME KEY`",
        (WRONG_KEY, 403),
    ),
    code(
        "DEMO_FAILED",
        ("demo", "xgene-cli"),
        "a claim of the demo does not hold",
        "report this to the maintainers",
        (OTHER, 500),
    ),
    code(
        "INPUT_UNREADABLE",
        IO,
        "the input cannot be read",
        "check that it exists and can be read",
        (NOT_FOUND, 400),
    ),
    code(
        "OUTPUT_FAILED",
        IO,
        "the output cannot be written",
        "check free space and permissions where it goes",
        (OTHER, 500),
    ),
];

/// Exit code of an error code.
pub(crate) fn exit_code(code: &str) -> u8 {
    CODES
        .iter()
        .find(|row| row.code == code)
        .map_or(OTHER, |row| row.exit)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_exit_code_has_a_meaning() {
        for row in CODES {
            assert!(
                EXITS.iter().any(|(exit, _)| *exit == row.exit),
                "{}",
                row.code
            );
        }
    }

    #[test]
    fn every_code_stands_once_and_says_what_to_do() {
        let distinct: BTreeSet<_> = CODES.iter().map(|row| row.code).collect();
        assert_eq!(distinct.len(), CODES.len());
        for row in CODES {
            assert!(
                row.exit != OK && (400..600).contains(&row.http),
                "{}",
                row.code
            );
            assert!(!row.message.is_empty() && !row.recovery.is_empty());
        }
    }
}
