//! What check and repair work on: shared files by their manifests, or objects of a store by name.
//!
//! One that cannot be found or worked on is told, and does not hide the others.

use std::path::Path;
use std::sync::Arc;

use genomicshare::{Authorization, Request, SharedFile, Use, authorize};
use xstore::ids::ObjectId;
use xstore::{Manifest, Store, UnknownMakers};

use crate::args::{Backends, Objects, Pad, SharedFiles};
use crate::codes::{BELOW_THRESHOLD, DEGRADED, OK};
use crate::commands::get::{read_manifest, tell_provenance};
use crate::failure::Failure;
use crate::session::{Session, default_home, read_sites};

/// Everything that one command line names.
pub(crate) struct Targets {
    /// Verb and options that lead to them again, for the command that repairs them.
    pub(crate) words: Vec<String>,
    found: Vec<Result<Target, Failure>>,
}

/// One object, and the store that has it.
pub(crate) struct Target {
    /// Its word on the command line: a name, or the path of a manifest. An object of the owner may
    /// have no name that is known here.
    pub(crate) word: Option<String>,
    pub(crate) store: Arc<Store>,
    pub(crate) manifest: Manifest,
}

impl Target {
    /// What people call it.
    pub(crate) fn label(&self) -> String {
        let id = || self.manifest.body().object_id.to_string();
        self.word.clone().unwrap_or_else(id)
    }

    /// The permission to read it under the consent in its manifest; `None` where there is no consent.
    pub(crate) fn authorization(
        &self,
        session: &Session,
    ) -> Result<Option<Authorization>, Failure> {
        let body = self.manifest.body();
        if body.extension.is_none() {
            return Ok(None);
        }
        let shared = SharedFile::from_manifest(&self.manifest)?;
        let usage = Use::Retrieve {
            from: shared.jurisdictions(),
        };
        let request = Request {
            object_id: Some(body.object_id.0),
            usage: &usage,
            purpose: None,
        };
        Ok(Some(authorize(&shared.consent, request, session.now())?))
    }
}

/// What is done with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// They are looked at.
    Read,
    /// Their shares are written.
    Mend,
}

impl Targets {
    /// Shared files.
    pub(crate) async fn of_files(
        args: &SharedFiles,
        work: Work,
        session: &Session,
    ) -> Result<Self, Failure> {
        let words = file_words(args.sites.as_deref(), session)?;
        let mut found = Vec::new();
        for path in &args.manifests {
            let target = open_file(path, args.sites.as_deref(), work, session).await;
            found.push(target.map_err(|failure| failure.of(&path.display().to_string())));
        }
        Ok(Self { words, found })
    }

    /// Objects of a store; without names all of them.
    pub(crate) async fn of_store(args: &Objects, session: &Session) -> Result<Self, Failure> {
        let backends = &args.backends;
        let words = store_words(backends, session)?;
        let store = Arc::new(session.store(session.keys()?, backends, Pad::None).await?);
        let mut found = Vec::new();
        for name in &args.names {
            let target = open_name(name, &store, session).await;
            found.push(target.map_err(|failure| failure.of(name)));
        }
        if args.names.is_empty() {
            for object in store.objects().await?.ids {
                let target = open_object(object, &store).await;
                let target = target.map_err(|failure| failure.of(&object.to_string()));
                found.extend(target.transpose());
            }
        }
        if found.is_empty() {
            session.terminal.say("no objects");
        }
        Ok(Self { words, found })
    }

    /// Works on one after the other; the exit code of the worst, of equals the first.
    pub(crate) async fn each(
        &self,
        session: &Session,
        mut work: impl AsyncFnMut(&Target) -> Result<u8, Failure>,
    ) -> u8 {
        let fail = |failure: &Failure| {
            let drawn = session.entropy.drawn_bytes();
            session.terminal.fail(failure, drawn);
            failure.exit_code()
        };
        let mut worst = OK;
        for found in &self.found {
            let exit = match found {
                Ok(target) => work(target)
                    .await
                    .unwrap_or_else(|failure| fail(&failure.of(&target.label()))),
                Err(failure) => fail(failure),
            };
            worst = std::cmp::max_by_key(exit, worst, |exit| severity(*exit));
        }
        worst
    }
}

/// Data that cannot be read is worse than anything that stopped us, and that than what can wait.
const fn severity(exit: u8) -> u8 {
    match exit {
        OK => 0,
        DEGRADED => 1,
        BELOW_THRESHOLD => 3,
        _ => 2,
    }
}

async fn open_file(
    path: &Path,
    sites: Option<&Path>,
    work: Work,
    session: &Session,
) -> Result<Target, Failure> {
    let word = Some(text(path)?.to_owned());
    let envelope = read_manifest(path)?;
    let beside = path.with_file_name("sites.toml");
    let sites = read_sites(sites.unwrap_or(&beside), None)?;
    let store = Arc::new(match work {
        Work::Read => session.reader(&sites, |_| true, UnknownMakers::Refuse)?,
        Work::Mend => session.mender(&sites).await?,
    });
    let found = store.find_file(&envelope).await?;
    tell_provenance(session, &found);
    Ok(Target {
        word,
        store,
        manifest: found.manifest,
    })
}

async fn open_name(name: &str, store: &Arc<Store>, session: &Session) -> Result<Target, Failure> {
    let found = store.find_name(name).await?;
    tell_provenance(session, &found);
    Ok(Target {
        word: Some(name.to_owned()),
        store: Arc::clone(store),
        manifest: found.manifest,
    })
}

/// `None` for an object that was deleted.
async fn open_object(object: ObjectId, store: &Arc<Store>) -> Result<Option<Target>, Failure> {
    Ok(store.listed(object).await?.map(|listed| Target {
        word: listed.name,
        store: Arc::clone(store),
        manifest: listed.manifest,
    }))
}

/// Verb and options of a repair of shared files.
pub(crate) fn file_words(sites: Option<&Path>, session: &Session) -> Result<Vec<String>, Failure> {
    let mut words = vec!["repair".to_owned()];
    words.extend(home_option(session)?);
    if let Some(sites) = sites {
        words.push(format!("--sites={}", text(sites)?));
    }
    Ok(words)
}

/// Verb and options of a repair of objects of a store.
pub(crate) fn store_words(backends: &Backends, session: &Session) -> Result<Vec<String>, Failure> {
    let mut words = vec!["store".to_owned(), "repair".to_owned()];
    words.extend(home_option(session)?);
    words.extend(backends.urls.iter().map(|url| format!("--backend={url}")));
    words.push(format!("--threshold={}", backends.threshold));
    words.extend(backends.shares.map(|shares| format!("--shares={shares}")));
    Ok(words)
}

/// The home, where it is not the one that the next command takes by itself.
fn home_option(session: &Session) -> Result<Option<String>, Failure> {
    let home = session.home.folder();
    if home == default_home() {
        return Ok(None);
    }
    Ok(Some(format!("--home={}", text(home)?)))
}

/// A path as a word of the command that repairs.
fn text(path: &Path) -> Result<&str, Failure> {
    let refused = || Failure::usage(format!("{} is not UTF-8", path.display()));
    path.to_str().ok_or_else(refused)
}
