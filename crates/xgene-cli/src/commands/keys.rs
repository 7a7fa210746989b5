//! `xgene keys`: which keys there are, their backup, and whose manifests are accepted.

use std::path::{Path, PathBuf};

use serde_json::json;
use xorida_core::wire::{ShareFile, combine_files, deal_files};
use xstore::AccessStructure;
use xstore::entropy::SegmentRandomness;
use xstore::keys::trust::{from_did_key, to_did_key};
use xstore::keys::{INVENTORY, OwnerKeys, RootKey, file};
use zeroize::Zeroizing;

use crate::args::{Keys, Trust};
use crate::codes::OK;
use crate::commands::{source, table};
use crate::credentials;
use crate::failure::Failure;
use crate::session::Session;

/// A share file of a root key is a few hundred bytes; nothing longer is read.
const MAX_SHARE_FILE_LEN: u64 = 1 << 20;

pub(crate) fn run(args: Keys, session: &Session) -> Result<u8, Failure> {
    match args {
        Keys::Show => show(session)?,
        Keys::Init => {
            session.keys_or_new()?;
            show(session)?;
        }
        Keys::Rekey { dry_run } => rekey(session, dry_run)?,
        Keys::Backup {
            threshold,
            shares,
            output,
        } => backup(session, threshold, shares, &output)?,
        Keys::Restore { files } => restore(session, &files)?,
        Keys::Trust(verb) => trust(verb, session)?,
    }
    Ok(OK)
}

fn show(session: &Session) -> Result<(), Failure> {
    let terminal = session.terminal;
    let path = session.home.root_key_path();
    let keys = session.home.keys()?;
    let makers = keys.iter().flat_map(OwnerKeys::makers).map(to_did_key);
    let makers: Vec<String> = makers.collect();
    let (maker, former) = (makers.first(), makers.iter().skip(1));
    let credentials = credentials::known(&session.home)?;
    terminal.message("summary", json!({
        "root_key": path.display().to_string(), "exists": keys.is_some(), "maker": maker,
        "former_makers": former.clone().collect::<Vec<_>>(),
        "derived": INVENTORY.map(|(label, purpose)| json!({ "label": label, "purpose": purpose })),
        "credentials": credentials.iter().map(|(name, from)| json!({ "name": name, "from": from }))
            .collect::<Vec<_>>(),
    }));
    terminal.say("No key protects the payload: k shares read it, fewer cannot.");
    match maker {
        Some(maker) => {
            terminal.say(&format!("root key   {}", path.display()));
            terminal.say(&format!("maker key  {maker}"));
            former.for_each(|maker| terminal.say(&format!("replaced   {maker}")));
        }
        None => terminal.say("root key   none yet; it is made at the first split"),
    }
    let mut derived = table(&["derived from it", "for"]);
    for (label, purpose) in INVENTORY {
        derived.add_row([label, purpose]);
    }
    terminal.say(&derived.to_string());
    if !credentials.is_empty() {
        let mut rows = table(&["credential of backends", "from"]);
        for (name, from) in credentials {
            rows.add_row([name, from]);
        }
        terminal.say(&rows.to_string());
    }
    Ok(())
}

/// Makes a new root key. The store is not touched: another command authenticates its objects anew.
fn rekey(session: &Session, dry_run: bool) -> Result<(), Failure> {
    let terminal = session.terminal;
    let path = session.home.root_key_path();
    let old = session.home.keys()?.ok_or(xstore::Error::KeyMissing)?;
    let old = to_did_key(old.maker());
    if dry_run {
        terminal.message(
            "summary",
            json!({ "maker": old, "former_maker": null, "dry_run": true }),
        );
        terminal.say(&format!(
            "{} would hold a new root key, with that of {old} behind it",
            path.display()
        ));
        return Ok(());
    }
    let keys = session.home.rekey(&*session.entropy)?;
    let maker = to_did_key(keys.maker());
    terminal.message(
        "summary",
        json!({ "maker": maker, "former_maker": old, "dry_run": false }),
    );
    terminal.say(&format!("maker key  {maker}"));
    terminal.say(&format!("replaced   {old}"));
    terminal.say("next: xgene store rekey for every store, then xgene keys backup");
    Ok(())
}

fn backup(session: &Session, threshold: u8, shares: u8, folder: &Path) -> Result<(), Failure> {
    let keys = session.home.keys()?.ok_or(xstore::Error::KeyMissing)?;
    let access = AccessStructure::try_new(threshold, shares)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut rng = SegmentRandomness::draw(&*session.entropy)
        .map_err(xstore::Error::from)?
        .chunk(0);
    let files = deal_files(access, keys.root().expose(), &mut rng).map_err(xstore::Error::from)?;
    std::fs::create_dir_all(folder).map_err(|error| Failure::output(folder, &error))?;
    for (i, bytes) in files.iter().enumerate() {
        let path = folder.join(format!("root-key.{}-of-{shares}.xida", i + 1));
        if path.symlink_metadata().is_ok() {
            let message = format!("{} exists", path.display());
            return Err(Failure::new(
                "CONFLICT",
                message,
                "choose another folder with -o",
            ));
        }
        xstore::part_file::write_whole(&path, bytes)?;
        session.terminal.say(&path.display().to_string());
    }
    session.terminal.message(
        "summary",
        json!({ "threshold": threshold, "shares": shares }),
    );
    session.terminal.say(&format!(
        "keep them apart: any {threshold} of them are the root key"
    ));
    Ok(())
}

fn restore(session: &Session, paths: &[PathBuf]) -> Result<(), Failure> {
    let files = paths
        .iter()
        .map(|path| read_share_file(path))
        .collect::<Result<Vec<_>, _>>()?;
    let parsed = files
        .iter()
        .map(|bytes| ShareFile::parse(bytes))
        .collect::<Result<Vec<_>, _>>();
    let secret =
        combine_files(&parsed.map_err(xstore::Error::from)?).map_err(xstore::Error::from)?;
    let key = RootKey::from_slice(&secret).ok_or_else(|| {
        xstore::Error::KeyMismatch("these are the shares of something else than a root key".into())
    })?;
    let path = session.home.root_key_path();
    if path.symlink_metadata().is_ok() {
        let message = format!("{} exists", path.display());
        return Err(Failure::new(
            "CONFLICT",
            message,
            "move that file away, then restore again",
        ));
    }
    file::write_root_key(&path, &key)?;
    let maker = to_did_key(OwnerKeys::derive(&key).maker());
    session
        .terminal
        .message("summary", json!({ "maker": maker }));
    session
        .terminal
        .say(&format!("root key restored; maker key {maker}"));
    Ok(())
}

fn read_share_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    Ok(Zeroizing::new(source::read_bounded(
        path,
        MAX_SHARE_FILE_LEN,
    )?))
}

fn trust(verb: Trust, session: &Session) -> Result<(), Failure> {
    let path = session.home.trust_path();
    let mut makers = session.home.trusted()?;
    match verb {
        Trust::List => {
            let list: Vec<_> = makers
                .iter()
                .map(|(name, key)| (name, to_did_key(key)))
                .collect();
            session
                .terminal
                .message("summary", json!({ "makers": list }));
            for (name, did) in list {
                session.terminal.say(&format!("{name} {did}"));
            }
        }
        Trust::Add { name, did } => {
            let maker = from_did_key(&did)
                .ok_or_else(|| Failure::usage(format!("`{did}` is not a did:key of Ed25519")))?;
            makers.pin(&name, maker)?;
            makers.save(&path)?;
            session
                .terminal
                .message("summary", json!({ "pinned": name }));
            session
                .terminal
                .say(&format!("manifests of {name} are accepted from now on"));
        }
        Trust::Remove { name } => {
            if !makers.unpin(&name) {
                return Err(Failure::usage(format!("no maker is pinned as {name}")));
            }
            makers.save(&path)?;
            session
                .terminal
                .message("summary", json!({ "unpinned": name }));
            session
                .terminal
                .say(&format!("manifests of {name} are no longer accepted"));
        }
    }
    Ok(())
}
