//! What came after a version: the line of an object goes on from it, or past it.

use crate::ids::Prefix;
use crate::manifest::Manifest;
use crate::store::Store;
use crate::store::copies::{Copies, Wanted};
use crate::store::sites::Site;

/// How an object went on after one of its versions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sequel {
    /// There is no later one, and none beside it.
    Newest,
    /// Another manifest claims the same version, and there is no later one.
    Rival(Box<Manifest>),
    /// The version after it follows it.
    Followed,
    /// The version after it follows another one, or one beside it is of a later key.
    Passed,
    /// There are later ones, and the version after it is no longer there.
    Unknown,
}

impl Store {
    /// How the object of `manifest` went on, and what was read to say so.
    pub(crate) async fn sequel(
        &self,
        manifest: &Manifest,
        places: &[(Site, Prefix)],
    ) -> (Sequel, Copies) {
        let body = manifest.body();
        let mut line = self.line(places, Wanted::of(body), body.version).await;
        // What a replaced key makes counts for nothing, however far it goes on.
        let age = |one: &Manifest| self.age_of(one.body().maker);
        line.manifests.retain(|one| age(one) <= age(manifest));
        let outranks = |rival: &Manifest| age(rival) < age(manifest);
        let sequel = match Sequel::of(manifest, &line.manifests) {
            Sequel::Rival(rival) if outranks(&rival) => Sequel::Passed,
            sequel => sequel,
        };
        (sequel, line)
    }

    /// Whether somebody has followed `manifest` with the next version.
    pub(crate) async fn is_followed(&self, manifest: &Manifest, sites: &[Site]) -> bool {
        let places = self.places_of(manifest.body(), sites);
        self.sequel(manifest, &places).await.0 == Sequel::Followed
    }
}

impl Sequel {
    /// `line` are manifests of the object from the version of `manifest` on.
    fn of(manifest: &Manifest, line: &[Manifest]) -> Self {
        let (version, hash) = (manifest.body().version, manifest.hash());
        let mut beside = line.iter().filter(|one| one.body().version == version);
        let later = || line.iter().filter(|one| one.body().version > version);
        let mut next = later().filter(|one| one.body().version - version == 1);
        if later().next().is_none() {
            let rival = beside.find(|one| one.hash() != hash);
            return rival.map_or(Self::Newest, |rival| Self::Rival(Box::new(rival.clone())));
        }
        match (
            next.clone().next(),
            next.any(|one| one.body().previous == Some(hash)),
        ) {
            (_, true) => Self::Followed,
            (Some(_), false) => Self::Passed,
            (None, false) => Self::Unknown,
        }
    }
}
