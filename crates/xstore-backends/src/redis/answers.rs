//! What an error of Redis means, by the code in front of it: one small table.

use xstore::BackendErrorKind;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// First word of the error.
    code: &'static str,
    /// What kind of trouble it is.
    pub(super) kind: BackendErrorKind,
    /// Why, in words that stand behind the code in an error.
    pub(super) why: &'static str,
}

impl Row {
    /// The row that an error falls under.
    pub(super) fn of(code: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.code == code)
    }
}

const fn row(code: &'static str, kind: BackendErrorKind, why: &'static str) -> Row {
    Row { code, kind, why }
}

const AUTH: BackendErrorKind = BackendErrorKind::AuthFailed;
const QUOTA: BackendErrorKind = BackendErrorKind::QuotaExceeded;
const DOWN: BackendErrorKind = BackendErrorKind::Unavailable;

/// Every code that is told apart; what is not here is [`BackendErrorKind::Unavailable`].
///
/// A replica that takes no writes is unavailable, though a read-only disk is a refusal: a failover ends
/// it without anybody changing rights, so another try is right.
const ROWS: &[Row] = &[
    row("NOAUTH", AUTH, "a password is needed"),
    row("WRONGPASS", AUTH, "the user or password is not accepted"),
    row("NOPERM", AUTH, "the user may not do this"),
    row(
        "DENIED",
        AUTH,
        "the server is in protected mode and takes no calls from elsewhere",
    ),
    row("OOM", QUOTA, "the server's memory is spent"),
    row("ASK", DOWN, "the cluster keeps this name on another node"),
    row("BUSY", DOWN, "a script runs for too long"),
    row("CLUSTERDOWN", DOWN, "the cluster is down"),
    row(
        "CROSSSLOT",
        DOWN,
        "the cluster spreads the names of one call over slots",
    ),
    row("ERR", DOWN, "the server cannot do this"),
    row("LOADING", DOWN, "the server is loading its data"),
    row("MASTERDOWN", DOWN, "a replica has lost its master"),
    row("MISCONF", DOWN, "the server cannot save its data"),
    row("MOVED", DOWN, "the cluster keeps this name on another node"),
    row("NOREPLICAS", DOWN, "too few replicas are there"),
    row("READONLY", DOWN, "the server is a replica"),
    row("TRYAGAIN", DOWN, "the cluster is moving this name"),
    row("UNKILLABLE", DOWN, "a script runs for too long"),
    row(
        "WRONGTYPE",
        DOWN,
        "the name of an object is used for something else",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_the_only_one_of_its_code() {
        for row in ROWS {
            assert_eq!(Row::of(row.code), Some(row));
        }
        assert_eq!(Row::of("TEAPOT"), None);
    }
}
