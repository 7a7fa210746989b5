//! The processor's part of a read: verify every record, then combine k of them, in parallel and away
//! from the async threads.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use xorida_core::{Recovery, SALT_LEN, ShareIndex, Target, VerifiedShare};

use crate::chunk::{Dealing, OpenedChunk, Recomputed};
use crate::error::{Error, ShareFault};
use crate::planted::{self, Bug};
use crate::store::put::panicked;
use crate::store::read::share::Part;
use crate::store::read::{Reader, count};

/// One chunk, opened or with the number of its good records; and the records that were bad.
pub(super) struct Outcome {
    pub(super) opened: Result<(OpenedChunk, Vec<Recomputed>), u8>,
    pub(super) bad: Vec<ShareFault>,
}

impl Reader {
    /// Verifies and reconstructs `chunks` from `parts`, and recomputes the records of `lost`.
    pub(super) async fn open(
        &self,
        chunks: Vec<u64>,
        lost: &[ShareIndex],
        parts: &[Arc<Part>],
    ) -> Result<Vec<(u64, Outcome)>, Error> {
        let (reader, parts, lost) = (self.clone(), parts.to_vec(), lost.to_vec());
        let open = move || {
            let opening = Opening {
                reader: &reader,
                parts: &parts,
                lost: &lost,
                plans: Plans::default(),
            };
            chunks
                .into_par_iter()
                .map(|chunk| Ok((chunk, opening.open(chunk)?)))
                .collect::<Result<Vec<_>, Error>>()
        };
        tokio::task::spawn_blocking(open).await.map_err(panicked)?
    }
}

impl Reader {
    /// The same part once all its records match their tags, or the faults of those that do not.
    pub(super) async fn verified(
        &self,
        part: Part,
        chunks: Range<u64>,
    ) -> Result<Result<Part, Vec<ShareFault>>, Error> {
        let reader = self.clone();
        let verify = move || {
            let bad = |chunk: &u64| {
                let (record, tag) = part.record(&reader.geometry, *chunk);
                let kind = reader.geometry.kind(*chunk);
                let verified = reader
                    .dealing
                    .verify(*chunk, kind, part.index, record, &tag);
                verified.is_none()
            };
            let bad = chunks.into_par_iter().filter(bad);
            let fault = |chunk| part.bad_record(&reader.geometry, chunk);
            let faults: Vec<ShareFault> = bad.map(fault).collect();
            if faults.is_empty() {
                Ok(part)
            } else {
                Err(faults)
            }
        };
        tokio::task::spawn_blocking(verify).await.map_err(panicked)
    }
}

/// A recovery plan, and the shares and target that it is for.
type Planned = (Vec<ShareIndex>, Target, Arc<Recovery>);

/// Plans that were made; the set of shares rarely changes within an object.
#[derive(Default)]
struct Plans(Mutex<Vec<Planned>>);

impl Plans {
    fn plan(
        &self,
        dealing: &Dealing,
        indices: &[ShareIndex],
        target: Target,
    ) -> Result<Arc<Recovery>, Error> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = plans
            .iter()
            .find(|(set, for_target, _)| set == indices && *for_target == target);
        if let Some((.., plan)) = made {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Recovery::try_new(dealing.layout.access, indices, target)?);
        plans.push((indices.to_vec(), target, Arc::clone(&plan)));
        Ok(plan)
    }
}

struct Opening<'a> {
    reader: &'a Reader,
    parts: &'a [Arc<Part>],
    lost: &'a [ShareIndex],
    plans: Plans,
}

impl Opening<'_> {
    fn open(&self, chunk: u64) -> Result<Outcome, Error> {
        let Reader {
            geometry,
            dealing,
            threshold,
            ..
        } = self.reader;
        let kind = geometry.kind(chunk);
        let mut shares: Vec<VerifiedShare<'_>> = Vec::with_capacity(*threshold);
        let mut salts: Vec<[u8; SALT_LEN]> = Vec::with_capacity(*threshold);
        let mut bad = Vec::new();
        for part in self.parts {
            if shares.iter().any(|share| share.index() == part.index) {
                continue;
            }
            let (record, mut tag) = part.record(geometry, chunk);
            if planted::is(Bug::RepairUnverified) && !self.lost.is_empty() {
                tag = dealing.tag(chunk, kind, part.index, record)?;
            }
            let salt = record.first_chunk::<SALT_LEN>();
            match (dealing.verify(chunk, kind, part.index, record, &tag), salt) {
                (Some(share), Some(salt)) => {
                    shares.push(share);
                    salts.push(*salt);
                }
                _ => bad.push(part.bad_record(geometry, chunk)),
            }
            if shares.len() == *threshold {
                let opened = Ok(self.combine(chunk, &shares, &salts)?);
                return Ok(Outcome { opened, bad });
            }
        }
        Ok(Outcome {
            opened: Err(count(shares.len())),
            bad,
        })
    }

    fn combine(
        &self,
        chunk: u64,
        shares: &[VerifiedShare<'_>],
        salts: &[[u8; SALT_LEN]],
    ) -> Result<(OpenedChunk, Vec<Recomputed>), Error> {
        let Reader {
            geometry,
            dealing,
            secrets,
            ..
        } = self.reader;
        let indices: Vec<ShareIndex> = shares.iter().map(VerifiedShare::index).collect();
        let plan = self.plans.plan(dealing, &indices, Target::Secret)?;
        let at = (chunk, geometry.kind(chunk));
        let data_len = geometry.data_len(chunk);
        let opened = dealing.open(at, data_len, &plan, shares, salts, secrets)?;
        let recompute = |index: &ShareIndex| {
            let plan = self.plans.plan(dealing, &indices, Target::Share(*index))?;
            dealing.recompute(at, *index, &plan, shares, &opened)
        };
        let recomputed = self.lost.iter().map(recompute).collect::<Result<_, _>>()?;
        Ok((opened, recomputed))
    }
}
