//! Finds the real servers that `cargo xtask servers up` started.
//!
//! The variable `XGENE_SERVERS` names a file that says where they are:
//!
//! ```json
//! {"servers": {"NAME": {"url": "URL", "env": {"VARIABLE": "value"}, "pids": [1]}}}
//! ```
//!
//! Without the variable, or without the server, a test skips aloud. A file that cannot be read is no
//! reason to skip, but to fail: the servers were meant to be there.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use serde::Deserialize;

/// The variable that names the file.
pub const VARIABLE: &str = "XGENE_SERVERS";

/// Where a server is, and what its clients need.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// As `xstore_backends::connect` takes it.
    pub url: String,
    /// Variables that hold the credentials.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct File {
    servers: BTreeMap<String, Server>,
}

/// The server of this name, if it was started.
///
/// # Panics
/// When there is a file, but it cannot be read.
#[must_use]
pub fn get(name: &str) -> Option<Server> {
    let path = env::var_os(VARIABLE)?;
    find(Path::new(&path), name)
}

/// The server, or none and a line that says that `test` is skipped.
///
/// # Panics
/// As [`get`].
#[must_use]
pub fn or_skip(test: &str, server: &str) -> Option<Server> {
    let found = get(server);
    if found.is_none() {
        println!("SKIP {test}: no server {server}; cargo xtask servers up {server}");
    }
    found
}

fn find(path: &Path, name: &str) -> Option<Server> {
    let json = fs::read(path).unwrap_or_else(|why| panic!("{VARIABLE}, {}: {why}", path.display()));
    let file: File = serde_json::from_slice(&json)
        .unwrap_or_else(|why| panic!("{VARIABLE}, {}: {why}", path.display()));
    let mut servers = file.servers;
    servers.remove(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::NamedTempFile;

    use super::*;

    fn file(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_server_is_found_by_its_name() {
        let text = r#"{"servers": {
            "redis": {"url": "redis://127.0.0.1:1", "env": {"PASSWORD": "p"}, "pids": [7]},
            "plain": {"url": "memory:"}
        }}"#;
        let file = file(text);
        let redis = find(file.path(), "redis").unwrap();
        assert_eq!(redis.url, "redis://127.0.0.1:1");
        assert_eq!(redis.env["PASSWORD"], "p");
        assert!(find(file.path(), "plain").unwrap().env.is_empty());
        assert_eq!(find(file.path(), "minio"), None);
    }

    #[test]
    #[should_panic(expected = "XGENE_SERVERS")]
    fn a_file_of_something_else_is_no_reason_to_skip() {
        let file = file("{}");
        drop(find(file.path(), "redis"));
    }

    #[test]
    #[should_panic(expected = "XGENE_SERVERS")]
    fn a_missing_file_is_no_reason_to_skip() {
        drop(find(Path::new("/nowhere"), "redis"));
    }
}
