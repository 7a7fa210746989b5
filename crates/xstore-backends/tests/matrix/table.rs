//! The matrix as a document, which the test writes and compares.

use crate::fault::Fault;
use crate::operation::Operation;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fault-matrix.md");

/// What one operation answers under one fault, in every setting.
pub(crate) struct Row {
    pub(crate) fault: Fault,
    pub(crate) operation: Operation,
    pub(crate) answers: Vec<&'static str>,
}

const HEAD: &str = "\
# Fault matrix

Written by `XGENE_GOLDEN=write cargo test -p xstore-backends --test matrix memory`; the test compares it without that
variable, over memory (every setting) and over folders (2-of-3). A row is one fault while one operation runs, a cell what
the operation answers: `ok` or the error code it ends in. Settings: threshold and shares, and how many backends have the
fault; at n-k of them as many shares as are needed are left. The object has an older version, a store has one backend
more than shares, to which `migrate` moves a share, and `repair` has a lost share to mend.

A cell stands here only if these hold, during the fault and after it, once recovery has run:

- I1 no wrong byte was released; I2 a read ends well at up to n-k faulty backends, and the object can be read afterwards
  while k shares are intact; I3 a put or delete that was not acknowledged happened wholly or not at all;
- I4 the code is documented and can be explained by the fault; I5 check, list, gc, repair and reads leave no share worse;
- I6 no error text has part of the payload or of a key; I8 the operation, repeated without the fault, ends well, a repair
  makes the object whole, and after a deletion nothing of it is left;
- I9 no stored object has readable payload (k-1 shares and the manifest are attacked in `tests/store/attack.rs`).

I7, that the audit log verifies, is not the store's. Some faults leave something behind, rightly: a backend whose objects
are gone has lost its identity, and so has one that wrote a share over it, and recovery waits for it by name; what a listing
does not show is left to a collector; and with n-k+1 backends whose objects are gone, swapped, overwritten or old the object
may be lost, and says so.

| fault | operation | 2-of-3, 1 | 2-of-3, 2 | 3-of-5, 1 | 3-of-5, 2 | 3-of-5, 3 |
|---|---|---|---|---|---|---|
";

/// Writes the document where that is asked for; `rows` have all settings.
pub(crate) fn write(rows: &[Row]) {
    if std::env::var_os("XGENE_GOLDEN").is_some_and(|mode| mode == "write") {
        let lines: Vec<String> = rows.iter().map(Row::line).collect();
        std::fs::write(DOCUMENT, format!("{HEAD}{}\n", lines.join("\n"))).unwrap();
    }
}

/// Compares the rows with those of the document.
pub(crate) fn compare(rows: &[Row]) {
    let lines: Vec<String> = rows.iter().map(Row::line).collect();
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let documented = document.strip_prefix(HEAD).unwrap();
    assert_eq!(lines.len(), documented.lines().count());
    for (line, documented) in lines.iter().zip(documented.lines()) {
        assert!(documented.starts_with(line), "{line}\nwas {documented}");
    }
}

impl Row {
    fn line(&self) -> String {
        let (fault, operation) = (self.fault.name(), self.operation.name());
        let answers = self.answers.join(" | ");
        format!("| {fault} | {operation} | {answers} |")
    }
}
