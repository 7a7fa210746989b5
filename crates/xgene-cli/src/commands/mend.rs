//! The command that mends what a check found, as a POSIX shell takes it back.

use std::borrow::Cow;

use xstore::{CheckReport, Metadata, Subset};

/// What was found of one object.
pub(crate) struct Checked {
    /// Its word on the command line, where it has one.
    pub(crate) word: Option<String>,
    /// What was found.
    pub(crate) report: CheckReport,
}

/// The command that repairs those of `checked` that a repair helps; `words` are verb and options,
/// `data` is what the check read.
pub(crate) fn command(
    words: &[String],
    data: Option<Subset>,
    checked: &[Checked],
) -> Option<String> {
    let damaged: Vec<&Checked> = checked.iter().filter(|one| mends(&one.report)).collect();
    if damaged.is_empty() {
        return None;
    }
    let mut words = words.to_vec();
    words.extend(reading(data, &damaged));
    // Without a name an object is repaired with all others of its store.
    let named: Option<Vec<String>> = damaged.iter().map(|one| one.word.clone()).collect();
    Some(line(words, named.unwrap_or_default()))
}

/// The command of these words about the objects `named`.
pub(crate) fn line(words: Vec<String>, named: Vec<String>) -> String {
    let mut all = vec!["xgene".to_owned()];
    all.extend(words);
    let dashed = named.iter().any(|word| word.starts_with('-'));
    all.extend(dashed.then(|| "--".to_owned()));
    all.extend(named);
    let quoted: Vec<_> = all.iter().map(|word| quoted(word)).collect();
    quoted.join(" ")
}

/// Whether a repair helps, now or once the backends out of reach are back; a share that nobody took
/// it gives to a backend that may have it.
fn mends(report: &CheckReport) -> bool {
    report.least_good >= report.threshold
        && (!report.metadata.is_empty() || report.faults().next().is_some())
}

/// What must be read again to see the faults again: a random sample does not hit them twice.
fn reading(data: Option<Subset>, damaged: &[&Checked]) -> Option<String> {
    let reports = || damaged.iter().map(|one| &one.report);
    let leftover = reports()
        .flat_map(|report| &report.metadata)
        .any(|fault| fault.what == Metadata::Leftover);
    let in_records = reports()
        .flat_map(CheckReport::faults)
        .any(|fault| fault.chunk.is_some());
    match data {
        _ if leftover => Some("--read-data".into()),
        _ if !in_records => None,
        Some(Subset::Part { number, of }) => Some(format!("--read-data-subset={number}/{of}")),
        _ => Some("--read-data".into()),
    }
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_every_word_back() {
        let words = [
            "", "a", "-", "~", "a b", "it's", "$HOME", "`id`", "\"", "\\", "*", "a\nb", "é", "#",
            "!",
        ];
        for word in words {
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
