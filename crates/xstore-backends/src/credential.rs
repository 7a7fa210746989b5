//! Who asks: variables such as a provider's own tools read, from one of several sources.
//!
//! A source is the environment, a file or a command, and each gives the same thing: the variables
//! that the provider's documentation names (`AWS_ACCESS_KEY_ID`, `AZURE_STORAGE_ACCOUNT_KEY`,
//! `GOOGLE_SERVICE_ACCOUNT_KEY` and so on), or `REDIS_USERNAME` and `REDIS_PASSWORD`. One that does not name a key leaves the provider's
//! library to ask the machine it runs on: the instance, the container or the workload identity.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

/// No credential is longer, in bytes; a service account of Google has 2.4 KiB.
const LEN_BYTES_MAX: u64 = 64 << 10;

/// How long a command may take; it may ask a person nothing, but a network.
const COMMAND_TIME: Duration = Duration::from_secs(60);

/// Where the variables come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// These variables, once and for all.
    Fixed(Variables),
    /// A file with a line `NAME=value` for each variable, or the JSON of a Google credential. It is
    /// read again when the backend refuses what it said before.
    File(PathBuf),
    /// A program with its arguments, without a shell, that prints what such a file holds. It is run
    /// again when the backend refuses what it said before.
    Command(Vec<String>),
}

/// No variables: whoever the machine is.
impl Default for Source {
    fn default() -> Self {
        Self::Fixed(Variables::default())
    }
}

impl Source {
    /// Reads the variables now. This may block, for a command up to a minute.
    ///
    /// # Errors
    /// [`CredentialError`], which never repeats what was read.
    pub fn read(&self) -> Result<Variables, CredentialError> {
        match self {
            Self::Fixed(variables) => Ok(variables.clone()),
            Self::File(path) => read_file(path),
            Self::Command(line) => Variables::parse(&run(line)?),
        }
    }

    /// Whether another look may tell something new.
    #[must_use]
    pub const fn may_change(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::File(_) | Self::Command(_) => true,
        }
    }
}

/// Names and values; the values are wiped when dropped, and `Debug` shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, Zeroizing<String>>);

impl Variables {
    /// The value of `name`, if it is set and not empty.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(|value| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// All names that are set, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// Reads lines `NAME=value`, or the JSON of a Google service account, which stands for
    /// `GOOGLE_SERVICE_ACCOUNT_KEY`.
    ///
    /// Blank lines and lines that start with `#` are left out, and so is `export` in front of a
    /// name. A value may stand in quotes of either kind; nothing is expanded.
    ///
    /// # Errors
    /// [`CredentialError::Malformed`] with the number of the line.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        if is_json(text) {
            return Ok(variable("GOOGLE_SERVICE_ACCOUNT_KEY", text));
        }
        let mut variables = BTreeMap::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = assignment(line).ok_or(CredentialError::Malformed(at + 1))?;
            variables.insert(name.to_owned(), Zeroizing::new(value.to_owned()));
        }
        Ok(Self(variables))
    }
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    is_name.then_some((name, value))
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let owned = |(name, value): (N, V)| (name.into(), Zeroizing::new(value.into()));
        Self(pairs.into_iter().map(owned).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("cannot read the credential file")]
    File(#[source] std::io::Error),
    /// The file or the output is longer than a credential can be.
    #[error("a credential has at most {LEN_BYTES_MAX} bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("the credential is not text")]
    NotText,
    /// A line is not `NAME=value`.
    #[error("line {0} of the credential is not NAME=value")]
    Malformed(usize),
    /// The program cannot be run.
    #[error("cannot run the credential command")]
    Run(#[source] std::io::Error),
    /// The program ended with an error.
    #[error("the credential command ended with {0}")]
    Failed(std::process::ExitStatus),
    /// The program did not end.
    #[error("the credential command did not end in {} s", COMMAND_TIME.as_secs())]
    Late,
}

fn read_file(path: &Path) -> Result<Variables, CredentialError> {
    let file = std::fs::File::open(path).map_err(CredentialError::File)?;
    let text = text(bounded(file).map_err(CredentialError::File)?)?;
    match path.to_str() {
        // Google's library reads more forms of its files than it takes as text.
        Some(path) if is_json(&text) => Ok(variable("GOOGLE_APPLICATION_CREDENTIALS", path)),
        _ => Variables::parse(&text),
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn variable(name: &str, value: &str) -> Variables {
    [(name, value)].into_iter().collect()
}

/// At most one byte more than a credential can have.
fn bounded(from: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(LEN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, CredentialError> {
    if bytes.len() as u64 > LEN_BYTES_MAX {
        return Err(CredentialError::TooLong);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| CredentialError::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What the program prints; its errors go where ours go.
fn run(line: &[String]) -> Result<Zeroizing<String>, CredentialError> {
    let Some((program, arguments)) = line.split_first() else {
        let empty = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it names no program");
        return Err(CredentialError::Run(empty));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(CredentialError::Run)?;
    let output = output_in_time(&mut child);
    if output.is_err() {
        // It is given up; that it had ended already is no failure.
        let _ = child.kill();
    }
    let status = child.wait().map_err(CredentialError::Run)?;
    // A program that said too much may have died of that.
    let output = text(output?)?;
    if status.success() {
        Ok(output)
    } else {
        Err(CredentialError::Failed(status))
    }
}

fn output_in_time(child: &mut Child) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let (sender, receiver) = mpsc::channel();
    let stdout = child.stdout.take();
    thread::spawn(move || {
        let read = stdout.map_or_else(|| Ok(Zeroizing::default()), bounded);
        // Nobody listens any more once the time is over.
        let _ = sender.send(read);
    });
    let read = receiver.recv_timeout(COMMAND_TIME);
    let read = read.map_err(|_| CredentialError::Late)?;
    read.map_err(CredentialError::Run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_documents_are_variables() {
        let text = "# for the bucket\n\nexport AWS_ACCESS_KEY_ID=\"AK\"\nAWS_SECRET_ACCESS_KEY='s=1'\nE=\n";
        let variables = Variables::parse(text).unwrap();
        assert_eq!(variables.value("AWS_ACCESS_KEY_ID"), Some("AK"));
        assert_eq!(variables.value("AWS_SECRET_ACCESS_KEY"), Some("s=1"));
        assert_eq!(variables.value("E"), None);
        assert_eq!(variables.iter().count(), 3);
        let json = "  {\"type\": \"service_account\"}";
        let variables = Variables::parse(json).unwrap();
        assert_eq!(variables.value("GOOGLE_SERVICE_ACCOUNT_KEY"), Some(json));
    }

    #[test]
    fn nothing_shows_a_value() {
        let variables: Variables = [("AWS_SECRET_ACCESS_KEY", "hush")].into_iter().collect();
        let shown = format!("{variables:?} {:?}", Source::Fixed(variables.clone()));
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hush"));
        let error = Variables::parse("A=1\nhush hush").unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("line 2") && !told.contains("hush"), "{told}");
    }

    #[test]
    fn a_command_prints_variables_or_fails() {
        let command = |script: &str| {
            let line = ["sh", "-c", script].map(str::to_owned);
            Source::Command(line.to_vec()).read()
        };
        let variables = command("echo TOKEN=now").unwrap();
        assert_eq!(variables.value("TOKEN"), Some("now"));
        for (script, expected) in [
            ("exit 3", "exit status: 3"),
            (
                "echo TOKEN=$(head -c 70000 /dev/zero | tr '\\0' x)",
                "at most",
            ),
            ("printf '\\377'", "not text"),
        ] {
            let error = command(script).unwrap_err().to_string();
            assert!(error.contains(expected), "{script}: {error}");
        }
        assert!(Source::Command(Vec::new()).read().is_err());
        assert!(
            Source::Command(vec!["/nowhere/at/all".into()])
                .read()
                .is_err()
        );
    }

    #[test]
    fn a_file_is_read_anew_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = Source::File(file.path().to_owned());
        for token in ["one", "two"] {
            std::fs::write(file.path(), format!("TOKEN={token}")).unwrap();
            assert_eq!(source.read().unwrap().value("TOKEN"), Some(token));
        }
        assert!(source.may_change() && !Source::default().may_change());
        drop(file);
        assert!(source.read().is_err());
    }
}
