//! Private files: the owner key and the pins, for the owner's eyes only.
//!
//! A key file that others may read is no key file: wider modes and symbolic links are refused, not
//! mended, because whoever could read it may have read it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::error::Error;
use crate::ids::{hex, unhex};
use crate::keys::{RootKey, hmac_sha256};
use crate::planted::{self, Bug};

/// Counts staged files, so that each has its own name.
static STAGED: AtomicU64 = AtomicU64::new(0);

/// No private file of ours is longer; a longer one is not read.
const MAX_LEN: u64 = 1 << 20;

/// First word of a key line; the number is the version of the line.
const KEY_LINE: &str = "xgene-root-key-1";
/// The same of a root key with those that it replaced.
const REPLACED_LINE: &str = "xgene-root-key-2";

/// Reads the root key at `path`; `None` when there is no file.
///
/// # Errors
/// [`Error::KeyUnsafe`] when others may read the file or it is a link, [`Error::KeyMismatch`] when
/// it is not a whole key line.
pub fn read_root_key(path: &Path) -> Result<Option<RootKey>, Error> {
    let Some(text) = read_private(path)? else {
        return Ok(None);
    };
    let line = text
        .lines()
        .find(|line| !line.starts_with('#'))
        .unwrap_or_default();
    let mut words = line.split(' ');
    let version = words.next();
    let key = words.next().and_then(parse_keys);
    let key = key.filter(|key| version == Some(first_word(key)));
    let check = words.next().and_then(unhex::<4>);
    match (key, check, words.next()) {
        (Some(key), Some(sum), None) if sum == checksum(&key) => Ok(Some(key)),
        _ => Err(Error::KeyMismatch(format!(
            "{} is not a whole root key",
            path.display()
        ))),
    }
}

/// Keys of 64 digits each, without anything between them.
fn parse_keys(digits: &str) -> Option<RootKey> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for key in digits.as_bytes().chunks(2 * RootKey::LEN) {
        let key = Zeroizing::new(unhex::<{ RootKey::LEN }>(std::str::from_utf8(key).ok()?)?);
        bytes.extend_from_slice(&key[..]);
    }
    RootKey::from_slice(&bytes)
}

/// What stands before a key: one that replaced none has the form that it always had.
fn first_word(key: &RootKey) -> &'static str {
    if key.each().count() == 1 {
        KEY_LINE
    } else {
        REPLACED_LINE
    }
}

/// Reads the root key at `path`, or draws one and writes it there; whether it is new.
///
/// # Errors
/// As [`read_root_key`], and [`Error::Output`] or [`Error::Random`] when a new one cannot be made.
pub fn read_or_create_root_key(
    path: &Path,
    entropy: &dyn Entropy,
) -> Result<(RootKey, bool), Error> {
    if let Some(key) = read_root_key(path)? {
        return Ok((key, false));
    }
    let key = RootKey::generate(entropy)?;
    match write_root_key(path, &key) {
        // Another process was faster: its key counts.
        Err(Error::Conflict(_)) => read_root_key(path)?
            .map(|key| (key, false))
            .ok_or(Error::KeyMissing),
        written => written.map(|()| (key, true)),
    }
}

/// Writes `key` to a new file at `path`.
///
/// # Errors
/// [`Error::Conflict`] when the file exists, [`Error::Output`] when it cannot be written.
pub fn write_root_key(path: &Path, key: &RootKey) -> Result<(), Error> {
    let staged = stage(path, &key_text(key))?;
    let linked = fs::hard_link(&staged, path);
    let _ = fs::remove_file(&staged);
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Error::Conflict(format!("{} exists", path.display())))
        }
        other => other
            .and_then(|()| sync_folder(path))
            .map_err(|e| Error::output(path, e)),
    }
}

/// Replaces the root key at `path` by a new one that keeps it.
///
/// # Errors
/// As [`read_root_key`]; [`Error::KeyMissing`] when there is none, [`Error::Output`] or
/// [`Error::Random`] when a new one cannot be made.
pub fn replace_root_key(path: &Path, entropy: &dyn Entropy) -> Result<RootKey, Error> {
    // Of two at once the second must keep what the first made.
    let _lock = lock(&path.with_extension("lock"))?;
    let key = read_root_key(path)?.ok_or(Error::KeyMissing)?;
    let key = key.replace(entropy)?;
    write_private(path, &key_text(&key))?;
    Ok(key)
}

fn key_text(key: &RootKey) -> Zeroizing<String> {
    let digits = Zeroizing::new(hex(key.expose()));
    Zeroizing::new(format!(
        "# Root key of one owner of split data. Keep it secret; keep a backup.\n{} {} {}\n",
        first_word(key),
        digits.as_str(),
        hex(&checksum(key))
    ))
}

/// Four bytes that catch a mistyped key; they say nothing about it (HMAC under the key itself, over
/// those that it replaced).
fn checksum(key: &RootKey) -> [u8; 4] {
    let mut keys = key.each();
    let Some(newest) = keys.next() else {
        return [0; 4]; // There is no root key without a newest one.
    };
    let label: &[u8] = b"xgene/root-key-check/1";
    let parts: Vec<&[u8]> = [label]
        .into_iter()
        .chain(keys.map(|key| &key[..]))
        .collect();
    let mac = hmac_sha256(newest, &parts);
    [mac[0], mac[1], mac[2], mac[3]]
}

/// Text of a private file; `None` when there is none.
///
/// # Errors
/// [`Error::KeyUnsafe`] for a link or a file that others may read or write.
pub fn read_private(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    let mut file = match open_without_links(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Error::KeyUnsafe(format!(
                "{} is a symbolic link",
                path.display()
            )));
        }
        Err(error) => return Err(Error::input(path, error)),
    };
    let meta = file.metadata().map_err(|e| Error::input(path, e))?;
    if meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o777;
        return Err(Error::KeyUnsafe(format!(
            "{} has mode {mode:o}, not 600",
            path.display()
        )));
    }
    if meta.len() > MAX_LEN {
        return Err(Error::KeyMismatch(format!(
            "{} is too long to be ours",
            path.display()
        )));
    }
    let mut text = Zeroizing::new(String::new());
    (&mut file)
        .take(MAX_LEN)
        .read_to_string(&mut text)
        .map_err(|e| Error::input(path, e))?;
    Ok(Some(text))
}

/// Waits for the lock file at `path` and holds it for as long as the result lives.
///
/// # Errors
/// [`Error::Output`] when it cannot be made or locked.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let locked = lock_file(path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| Error::output(path, error))
}

fn lock_file(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(flags(OFlags::NOFOLLOW)).open(path)
}

/// Replaces a private file by `text`, wholly or not at all.
///
/// # Errors
/// [`Error::Output`] when it cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let staged = stage(path, text)?;
    fs::rename(&staged, path)
        .and_then(|()| sync_folder(path))
        .map_err(|e| Error::output(path, e))
}

fn open_without_links(path: &Path) -> std::io::Result<File> {
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW))
        .open(path)
}

fn flags(flags: OFlags) -> i32 {
    // Both are the C type `int`; the crate keeps them unsigned.
    flags.bits().cast_signed()
}

/// Writes `text` durably beside `path` and gives the staged file's name.
fn stage(path: &Path, text: &str) -> Result<std::path::PathBuf, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        fs::create_dir_all(folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Neither another process nor another task stages under the same name.
        let number = STAGED.fetch_add(1, Ordering::Relaxed);
        let staged = folder.join(format!(".{name}.{}.{number}", std::process::id()));
        let _ = fs::remove_file(&staged);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(flags(OFlags::NOFOLLOW))
            .open(&staged)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(staged)
    };
    write().map_err(|error: std::io::Error| Error::output(path, error))
}

/// Makes a rename or link in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if planted::is(Bug::SkipFolderSync) {
        return Ok(());
    }
    File::open(folder)?.sync_all()?;
    #[cfg(feature = "testing")]
    crate::testing::power::synced(folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::entropy::OsEntropy;

    #[test]
    fn a_root_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/root.key");
        let (made, new) = read_or_create_root_key(&path, &OsEntropy).unwrap();
        let (read, again) = read_or_create_root_key(&path, &OsEntropy).unwrap();
        assert!(new && !again);
        assert_eq!(made.expose(), read.expose());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(write_root_key(&path, &made).unwrap_err().code(), "CONFLICT");
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing staged left"
        );
    }

    #[test]
    fn a_replaced_key_stands_behind_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let none = replace_root_key(&path, &OsEntropy).unwrap_err();
        assert_eq!(none.code(), "KEY_MISSING");
        let (first, _) = read_or_create_root_key(&path, &OsEntropy).unwrap();
        replace_root_key(&path, &OsEntropy).unwrap();
        let third = replace_root_key(&path, &OsEntropy).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = read_root_key(&path).unwrap().unwrap();
        assert_eq!(read.expose(), third.expose());
        assert_eq!(read.expose()[64..], *first.expose());
        let good = fs::read_to_string(&path).unwrap();
        let oldest = good.rfind(' ').unwrap() - 1;
        let mut typo = good.clone().into_bytes();
        typo[oldest] = if typo[oldest] == b'0' { b'1' } else { b'0' };
        for bad in [
            String::from_utf8(typo).unwrap(),
            good.replace("key-2", "key-1"),
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(read_root_key(&path).unwrap_err().code(), "KEY_MISMATCH");
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        read_or_create_root_key(&path, &OsEntropy).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(
                read_root_key(&path).unwrap_err().code(),
                "KEY_UNSAFE",
                "{mode:o}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = folder.path().join("link.key");
        symlink(&path, &link).unwrap();
        assert_eq!(read_root_key(&link).unwrap_err().code(), "KEY_UNSAFE");
    }

    #[test]
    fn a_mistyped_key_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        read_or_create_root_key(&path, &OsEntropy).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let digit = good.rfind(' ').unwrap() - 1;
        let mut typo = good.clone().into_bytes();
        typo[digit] = if typo[digit] == b'0' { b'1' } else { b'0' };
        for bad in [
            String::from_utf8(typo).unwrap(),
            good.replace("key-1", "key-2"),
            String::new(),
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(read_root_key(&path).unwrap_err().code(), "KEY_MISMATCH");
        }
    }
}
