//! Giving shares another backend: the next version of the manifest says where they are.
//!
//! Order of effects: a version that counts the new backends as holders, because they may keep what they
//! are sent, whatever becomes of it; the intent; segments and index there, created once and read back;
//! the manifest in the journal; its copies on W of the new backends and of the old; what the old
//! holder of a share had is removed. Where a collector took the new shares for abandoned meanwhile, one
//! more version names the old holders again. A stop before the manifest leaves the share where it was.

use std::collections::BTreeSet;

use bytes::Bytes;
use xorida_core::ShareIndex;

use crate::error::{Error, ShareFault};
use crate::journal::{Former, Intent, Place};
use crate::manifest::{Body, Held, Location, Manifest, STATE_LIVE, ShareEntry};
use crate::names;
use crate::placement::{self, FailureDomain};
use crate::planted::{self, Bug};
use crate::progress::{Observer, Stage};
use crate::segment::Index;
use crate::store::read::{Reader, Rebuilt};
use crate::store::sites::{Site, Sites};
use crate::store::tomb::collected;
use crate::store::upload::put_confirmed;
use crate::store::{Effects, Store};

/// Where the bytes of a share that moves come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShareSource {
    /// Its present holder, record by record against its tags: no k shares are ever together.
    #[default]
    Holder,
    /// k others, from which it is recomputed: its holder is lost, or nobody holds it.
    Others,
}

/// One share that gets another backend.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) index: u8,
    pub(crate) to: Site,
    pub(crate) source: ShareSource,
}

impl Store {
    /// Carries out `moves`; the manifest that says so, and backends at which old shares remain for
    /// the next run. The caller holds the lock of the object, and `manifest` is its newest.
    pub(crate) async fn relocate(
        &self,
        manifest: &Manifest,
        moves: &[Move],
        sites: &Sites,
        observer: Option<&dyn Observer>,
    ) -> Result<(Manifest, Vec<String>), Error> {
        let keys = self.keys()?;
        let body = manifest.body();
        self.refuse_foreign(body)?;
        self.refuse_moves(body, moves, sites)?;
        let manifest = &self.announce(manifest, moves, &sites.known).await?;
        let body = manifest.body();
        let place = |to: &Move| Place {
            backend: to.to.uid,
            label: to.to.label().to_owned(),
            manifest_prefix: keys.manifest_prefix(body.object_id, to.to.uid),
            share_prefix: keys.share_prefix(body.object_id, body.put_id, to.to.uid),
        };
        let places: Vec<Place> = moves.iter().map(place).collect();
        let intent = Intent {
            object_id: body.object_id,
            put_id: body.put_id,
            store_tag: body.store_tag,
            k: body.k,
            places: places.clone(),
            deals: true,
            note: None,
            former: Some(Former::of(manifest)),
        };
        let mut entry = self.begin(intent.clone())?;
        let stage = |stage| observer.iter().for_each(|observer| observer.stage(stage));
        stage(Stage::Journal);
        let reader = Reader::new(body, sites, &self.experience)?;
        let sealed = async {
            for (moved, place) in moves.iter().zip(&places) {
                self.transfer(body, &reader, moved, place).await?;
            }
            let next = self.next_of(manifest, Self::moved(manifest, moves, &places))?;
            match self.is_collected(&next, &places, &sites.known).await {
                Ok(true) => Err(collected()),
                // Whoever does not answer is asked again once the manifest stands.
                Ok(false) | Err(_) => Ok(next),
            }
        };
        let next = match sealed.await {
            Ok(next) => next,
            Err(error) => {
                // What cannot be taken back now is left to the next run.
                if let Ok(places) = self.unnamed_places(&intent, &sites.known).await {
                    let tag = body.store_tag;
                    let left = self.erase_places(tag, &places, &sites.known).await;
                    if let (Some(entry), true) = (entry, left.is_empty()) {
                        let _ = entry.close();
                    }
                }
                return Err(error);
            }
        };
        stage(Stage::Segments);
        if let Some(entry) = &mut entry {
            entry.reach_manifest(next.envelope())?;
        }
        stage(Stage::Manifest);
        let former = Former::of(manifest);
        self.commit(&next, Some(&former), &sites.known).await?;
        if self.is_collected(&next, &places, &sites.known).await? {
            self.take_back(&next, entry, &sites.known).await?;
            return Err(collected());
        }
        stage(Stage::Committed);
        self.remember(&next, None)?;
        if let Some(entry) = &mut entry {
            entry.reach_commit()?;
        }
        let pending = self.finish(&next, entry).await?;
        Ok((next, pending))
    }

    /// The next version, which counts the backends of `moves` as holders; none where they do already.
    async fn announce(
        &self,
        manifest: &Manifest,
        moves: &[Move],
        sites: &[Site],
    ) -> Result<Manifest, Error> {
        let mut body = manifest.body().clone();
        let now = self.clock.now_unix_s();
        for to in moves {
            let mut held = body.held.iter();
            if !held.any(|held| (held.index, held.backend) == (to.index, to.to.uid)) {
                body.held.push(Held {
                    index: to.index,
                    backend: to.to.uid,
                    since_unix_s: now,
                });
            }
        }
        if body.held.len() == manifest.body().held.len() {
            return Ok(manifest.clone());
        }
        self.announce_with(manifest, body, sites).await
    }

    /// A backend for each share that has none, or none any more, as far as there are any that may have it; only the
    /// owner can say so in a manifest.
    pub(crate) async fn vacancies(
        &self,
        manifest: &Manifest,
        sites: &Sites,
        effects: Effects,
    ) -> Result<Vec<Move>, Error> {
        let body = manifest.body();
        let is_vacant = |share: &&ShareEntry| {
            let at = share.location.as_ref();
            at.is_none_or(|at| sites.retired.contains(&at.backend))
        };
        let vacant = body.shares.iter().filter(is_vacant);
        let vacant: Vec<u8> = vacant.map(|share| share.index).collect();
        let mut moves: Vec<Move> = Vec::new();
        if vacant.is_empty() || self.refuse_foreign(body).is_err() {
            return Ok(moves);
        }
        let mut free: Vec<Site> = Vec::new();
        for attached in &self.backends {
            // One that does not answer is none to choose.
            if let Ok(uid) = self.uid_to_write(attached, body.store_tag, effects).await
                && !body.stored().any(|(_, at)| at.backend == uid)
            {
                let attached = attached.clone();
                free.push(Site { uid, attached });
            }
        }
        for index in vacant {
            let mut tries = free.iter().map(|site| Move {
                index,
                to: site.clone(),
                source: ShareSource::Others,
            });
            let fits = |to: &Move| {
                let with: Vec<Move> = moves.iter().chain([to]).cloned().collect();
                self.refuse_moves(body, &with, sites).is_ok()
            };
            if let Some(to) = tries.find(fits) {
                free.retain(|site| site.uid != to.to.uid);
                moves.push(to);
            }
        }
        Ok(moves)
    }

    /// One backend is only ever sent one index, and no party may come to hold k of them.
    pub(crate) fn refuse_moves(
        &self,
        body: &Body,
        moves: &[Move],
        sites: &Sites,
    ) -> Result<(), Error> {
        for to in moves {
            let mut held = body.held.iter().filter(|held| held.backend == to.to.uid);
            if held.any(|held| held.index != to.index) && !planted::is(Bug::SecondIndex) {
                return Err(Error::Config(format!(
                    "{} has been sent another share of this object: refresh it first",
                    to.to.label()
                )));
            }
        }
        let retired = self.retired();
        let domain_of = |backend| {
            let stored = body.stored().find(|(_, at)| at.backend == backend);
            let site = sites.known.iter().find(|site| site.uid == backend);
            let of_site = site.map(|site| site.attached.domain.clone());
            let known = of_site.or_else(|| stored.map(|(_, at)| at.failure_domain()));
            known.or_else(|| {
                let gone = retired.iter().find(|gone| gone.backend == backend)?;
                Some(gone.failure_domain())
            })
        };
        let held = body.held.iter();
        let held = held.filter_map(|held| Some((held.index, domain_of(held.backend)?)));
        let moved = moves
            .iter()
            .map(|to| (to.index, to.to.attached.domain.clone()));
        let all: Vec<(u8, FailureDomain)> = held.chain(moved).collect();
        let all: Vec<(u8, &FailureDomain)> =
            all.iter().map(|(index, domain)| (*index, domain)).collect();
        let findings = placement::check(body.k, &all);
        if findings.is_empty() {
            Ok(())
        } else {
            Err(Error::ZoneQuorum(findings))
        }
    }

    /// Writes all of one share to its new backend.
    async fn transfer(
        &self,
        body: &Body,
        reader: &Reader,
        moved: &Move,
        place: &Place,
    ) -> Result<(), Error> {
        let geometry = &reader.geometry;
        let index = ShareIndex::try_new(moved.index, geometry.layout().access)?;
        let backend = &*moved.to.attached.backend;
        let mut segments = Index::default();
        for segment in 0..geometry.segments() {
            let object = match moved.source {
                ShareSource::Holder => reader.copy(index, segment).await?,
                ShareSource::Others => rebuilt(reader, index, segment).await?,
            };
            segments.push(0, object.root);
            let key = names::segment(body.store_tag, place.share_prefix, segment, 0);
            put_confirmed(backend, &key, object.object, object.footer_len).await?;
        }
        let root = body.shares[usize::from(moved.index)].root;
        let whole = if geometry.segments() == 1 {
            segments.get(0).map(|(_, root)| root)
        } else {
            Some(segments.root())
        };
        if whole != Some(root) {
            return Err(Error::Reconstruction { chunk: 0 });
        }
        if geometry.segments() == 1 {
            return Ok(());
        }
        let key = names::index(body.store_tag, place.share_prefix);
        let bytes = Bytes::from(segments.encode());
        let len = bytes.len();
        put_confirmed(backend, &key, bytes, len).await
    }

    /// What the next version says, with new places.
    fn moved(manifest: &Manifest, moves: &[Move], places: &[Place]) -> Body {
        let mut body = Body {
            state: STATE_LIVE,
            ..manifest.body().clone()
        };
        for (to, place) in moves.iter().zip(places) {
            let domain = to.to.attached.domain.clone();
            body.shares[usize::from(to.index)].location = Some(Location::new(place, domain));
        }
        let domains: Vec<(u8, FailureDomain)> = body
            .stored()
            .map(|(share, at)| (share.index, at.failure_domain()))
            .collect();
        let domains: Vec<(u8, &FailureDomain)> = domains.iter().map(|(i, d)| (*i, d)).collect();
        body.trial = placement::is_trial(body.k, &domains).then_some(true);
        body
    }
}

async fn rebuilt(reader: &Reader, index: ShareIndex, segment: u64) -> Result<Rebuilt, Error> {
    // Where it was is asked last: it is thought to be lost.
    let lost = reader
        .of(index.get())
        .map(|share| share.fault(Some(segment), None, crate::error::FaultReason::NOT_FOUND));
    let distrusted: BTreeSet<ShareFault> = lost.collect();
    let mut objects = reader.rebuild(segment, &[index], &distrusted).await?;
    objects.pop().ok_or(Error::Reconstruction { chunk: 0 })
}
