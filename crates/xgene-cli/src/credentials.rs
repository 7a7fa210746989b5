//! Who asks a backend: the environment, or a profile of the owner's file `credentials.toml`.
//!
//! URLs and sites files travel, so they only name a profile (`credential=berlin`). What a profile
//! means, and which program it may run, stands in the owner's own home, in a file that nobody else
//! can read.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use xstore::Home;
use xstore::keys::file::read_private;
use xstore_backends::Source;
use xstore_backends::credential::Variables;

use crate::failure::Failure;

/// First letters of the variables that providers' own tools read.
const OF_PROVIDERS: [&str; 7] = [
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "IDENTITY_",
    "REDIS_",
    "SFTP_",
    "WEBDAV_",
];

/// One section of the file. Its keys are told apart by their case: ours are lower, variables upper.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Profile {
    /// A file that holds the variables, or a Google credential.
    File(InFile),
    /// A program that prints them.
    Command(ByCommand),
    /// The variables themselves.
    Variables(std::collections::BTreeMap<String, String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InFile {
    file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByCommand {
    command: Vec<String>,
}

/// The source of the profile `name`, or of the environment where none is named.
pub(crate) fn source(home: &Home, name: Option<&str>) -> Result<Source, Failure> {
    let Some(name) = name else {
        return Ok(Source::Fixed(of_environment()));
    };
    let path = path(home);
    let profile = profiles(&path)?.remove(name);
    let Some(profile) = profile else {
        return Err(Failure::usage(format!("no [{name}] in {}", path.display())));
    };
    Ok(match read(&path, name, profile)? {
        Profile::File(InFile { file }) => Source::File(home.folder().join(file)),
        Profile::Command(ByCommand { command }) => Source::Command(command),
        Profile::Variables(variables) => Source::Fixed(variables.into_iter().collect()),
    })
}

/// Name of every credential that this program may use, and where its value comes from.
pub(crate) fn known(home: &Home) -> Result<Vec<(String, String)>, Failure> {
    let environment = of_environment();
    let names: Vec<&str> = environment.iter().map(|(name, _)| name).collect();
    let mut known = Vec::new();
    if !names.is_empty() {
        known.push(("the environment".to_owned(), names.join(" ")));
    }
    let path = path(home);
    for (name, profile) in profiles(&path)? {
        let from = match read(&path, &name, profile)? {
            Profile::File(InFile { file }) => format!("file {}", file.display()),
            Profile::Command(ByCommand { command }) => {
                format!("command {}", command.first().map_or("", String::as_str))
            }
            Profile::Variables(variables) => variables.into_keys().collect::<Vec<_>>().join(" "),
        };
        known.push((name, from));
    }
    Ok(known)
}

fn path(home: &Home) -> PathBuf {
    home.folder().join("credentials.toml")
}

fn profiles(path: &Path) -> Result<toml::Table, Failure> {
    let text = read_private(path)?.unwrap_or_default();
    toml::from_str(&text).map_err(|error| {
        // The message of a parser quotes the line, and with it a secret.
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        Failure::usage(format!("{}, line {line}: not TOML", path.display()))
    })
}

fn read(path: &Path, name: &str, profile: toml::Value) -> Result<Profile, Failure> {
    profile.try_into().map_err(|_| {
        Failure::usage(format!(
            "[{name}] in {} holds variables, or file, or command",
            path.display()
        ))
    })
}

/// Other variables of the environment are none of a backend's business.
fn of_environment() -> Variables {
    let ours = |name: &str| OF_PROVIDERS.iter().any(|start| name.starts_with(start));
    let pair = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os()
        .filter_map(pair)
        .filter(|(name, _)| ours(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn home(text: &str, mode: u32) -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let home = Home::new(folder.path());
        (folder, home)
    }

    const PROFILES: &str = "\
[berlin]
AWS_ACCESS_KEY_ID = \"AK\"
AWS_SECRET_ACCESS_KEY = \"hush\"

[tokyo]
file = \"tokyo.json\"

[ottawa]
command = [\"pass\", \"show\", \"ottawa\"]

[lost]
file = \"a\"
command = [\"b\"]

[wrong]
AWS_ACCESS_KEY_ID = 7
";

    #[test]
    fn a_profile_is_variables_a_file_or_a_command() {
        let (folder, home) = home(PROFILES, 0o600);
        let Source::Fixed(variables) = source(&home, Some("berlin")).unwrap() else {
            panic!("berlin holds variables");
        };
        assert_eq!(variables.value("AWS_SECRET_ACCESS_KEY"), Some("hush"));
        match source(&home, Some("tokyo")).unwrap() {
            Source::File(path) => assert_eq!(path, folder.path().join("tokyo.json")),
            other => panic!("{other:?}"),
        }
        match source(&home, Some("ottawa")).unwrap() {
            Source::Command(line) => assert_eq!(line, ["pass", "show", "ottawa"]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_known_is_told_without_its_value() {
        let (good, _) = PROFILES.split_once("[lost]").unwrap();
        let (_folder, home) = home(good, 0o600);
        let known = known(&home).unwrap();
        let profiles: Vec<_> = known
            .iter()
            .filter(|(name, _)| name != "the environment")
            .collect();
        let pair = |name: &str, from: &str| (name.to_owned(), from.to_owned());
        assert_eq!(
            profiles,
            [
                &pair("berlin", "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY"),
                &pair("ottawa", "command pass"),
                &pair("tokyo", "file tokyo.json"),
            ]
        );
    }

    #[test]
    fn what_is_no_profile_is_refused_and_not_repeated() {
        let (_folder, home) = home(PROFILES, 0o600);
        for name in ["lost", "wrong", "nowhere"] {
            let failure = source(&home, Some(name)).unwrap_err();
            assert_eq!(failure.code, "INVALID_CONFIG", "{name}");
            assert!(failure.message.contains(name), "{}", failure.message);
        }
    }

    #[test]
    fn a_file_that_others_read_or_that_is_broken_is_refused() {
        let (_folder, open) = home(PROFILES, 0o644);
        assert_eq!(
            source(&open, Some("berlin")).unwrap_err().code,
            "KEY_UNSAFE"
        );
        let (_folder, broken) = home("[berlin]\nAWS_SECRET_ACCESS_KEY = hush\n", 0o600);
        let failure = source(&broken, Some("berlin")).unwrap_err();
        assert!(failure.message.contains("line 2"), "{}", failure.message);
        assert!(!failure.message.contains("hush"), "{}", failure.message);
    }
}
