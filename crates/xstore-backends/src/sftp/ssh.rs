//! The program `ssh`, which carries SFTP on its standard input and output.
//!
//! It is told everything that matters on its command line and reads no configuration, so that a
//! backend means the same on every machine. The server's key must be a known one; it never asks.

use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinSet;

use super::connection::Connection;
use super::error::SftpError;
use crate::credential::Variables;
use crate::url::Reason;

/// Of what `ssh` says this much is read.
const WORDS_LEN_BYTES_MAX: u64 = 16 << 10;

/// No question, no other file, no other way in, and an end to a server that answers no more.
const OPTIONS: [&str; 14] = [
    "BatchMode=yes",
    "ClearAllForwardings=yes",
    "ConnectTimeout=10",
    "ControlPath=none",
    "EscapeChar=none",
    "ForwardAgent=no",
    "GlobalKnownHostsFile=/dev/null",
    "LogLevel=ERROR",
    "PermitLocalCommand=no",
    "PreferredAuthentications=publickey",
    "ServerAliveCountMax=3",
    "ServerAliveInterval=15",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
];

/// Where the server is, and as whom it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The name of whoever runs this program when there is none.
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Target {
    /// Reads `user@host:port`, of which the host is needed.
    pub(super) fn parse(authority: &str) -> Result<Self, Reason> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (host, None),
        };
        let host = host
            .strip_prefix('[')
            .map_or(Some(host), |rest| rest.strip_suffix(']'));
        let host = host.filter(|host| is_plain(host, b".-:"));
        let port = port.map(str::parse).transpose().ok();
        match (host, port) {
            (Some(host), Some(port)) if user.is_none_or(|user| is_plain(user, b"._-")) => {
                Ok(Self {
                    user: user.map(str::to_owned),
                    host: host.to_owned(),
                    port,
                })
            }
            _ => Err(Reason::new(
                "sftp:// is followed by user@host:port, without a password",
            )),
        }
    }

    fn arguments(&self, variables: &Variables) -> Result<Vec<String>, SftpError> {
        let mut arguments = vec!["-F".to_owned(), "none".to_owned(), "-T".to_owned()];
        let mut option = |option: String| arguments.extend(["-o".to_owned(), option]);
        OPTIONS.map(str::to_owned).into_iter().for_each(&mut option);
        if let Some(file) = path(variables, "SFTP_KNOWN_HOSTS")? {
            option(format!("UserKnownHostsFile={file}"));
        }
        if let Some(file) = path(variables, "SFTP_KEY")? {
            option(format!("IdentityFile={file}"));
            option("IdentitiesOnly=yes".to_owned());
        }
        if let Some(user) = &self.user {
            option(format!("User={user}"));
        }
        if let Some(port) = self.port {
            option(format!("Port={port}"));
        }
        arguments.extend(["-s", "--", &self.host, "sftp"].map(str::to_owned));
        Ok(arguments)
    }
}

/// Letters, digits and these, and no dash in front, which would be an option.
fn is_plain(text: &str, besides: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || besides.contains(&byte);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(plain)
}

/// The value of a variable as `ssh` reads a path: in quotes, for the spaces in it, and with `%`
/// doubled.
fn path(variables: &Variables, name: &'static str) -> Result<Option<String>, SftpError> {
    let Some(path) = variables.value(name) else {
        return Ok(None);
    };
    if path.contains(['"', '\\', '$']) || path.contains(char::is_control) {
        return Err(SftpError::UnusablePath(name));
    }
    Ok(Some(format!("\"{}\"", path.replace('%', "%%"))))
}

/// A connection, and the program that holds it, which ends with it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: Connection,
    _child: Child,
    _tasks: JoinSet<()>,
}

impl Line {
    pub(super) async fn open(target: &Target, variables: &Variables) -> Result<Self, SftpError> {
        let mut child = Command::new("ssh")
            .args(target.arguments(variables)?)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(SftpError::NoSsh)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), Some(stderr)) = pipes else {
            return Err(SftpError::Lost);
        };
        match Connection::open(from, to).await {
            Ok(connection) => {
                let mut tasks = JoinSet::new();
                tasks.spawn(ignore(stderr));
                Ok(Self {
                    connection,
                    _child: child,
                    _tasks: tasks,
                })
            }
            Err(SftpError::Lost) => Err(SftpError::not_connected(&words(stderr).await)),
            Err(error) => Err(error),
        }
    }
}

/// All that the program has said: it is at its end.
async fn words(stderr: ChildStderr) -> String {
    let mut words = Vec::new();
    // What cannot be read says nothing.
    let _ = stderr
        .take(WORDS_LEN_BYTES_MAX)
        .read_to_end(&mut words)
        .await;
    String::from_utf8_lossy(&words).into_owned()
}

/// The program must not wait for somebody to read what it says.
async fn ignore(mut stderr: ChildStderr) {
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_options_are_none() {
        let target = |authority: &str| Target::parse(authority).ok();
        let parsed = target("me@[::1]:2222").unwrap();
        assert_eq!((&*parsed.host, parsed.port), ("::1", Some(2222)));
        assert_eq!(parsed.user.as_deref(), Some("me"));
        assert_eq!(target("files.lab").unwrap().port, None);
        for bad in [
            "",
            "@h",
            "me@",
            "-oProxyCommand=x@h",
            "me@-oProxyCommand=x",
            "me:secret@h",
            "h:port",
            "h:70000",
            "[::1",
            "a b",
            "h;x",
            "h:",
        ] {
            let error = Target::parse(bad).expect_err(bad);
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn paths_are_quoted_or_refused() {
        let arguments = |path: &str| {
            let variables = [("SFTP_KEY", path)].into_iter().collect();
            Target::parse("h").unwrap().arguments(&variables)
        };
        let quoted = arguments("/a b/50%").unwrap();
        assert!(quoted.contains(&"IdentityFile=\"/a b/50%%\"".to_owned()));
        assert!(quoted.contains(&"StrictHostKeyChecking=yes".to_owned()));
        assert_eq!(quoted[quoted.len() - 4..], ["-s", "--", "h", "sftp"]);
        for bad in ["/a\"b", "/a\nb", "/${HOME}", "/a\\b"] {
            assert!(arguments(bad).is_err(), "{bad}");
        }
    }
}
