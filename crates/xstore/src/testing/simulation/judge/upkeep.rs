//! What must hold after a check, a repair, a migration, a salvage and a collection.

use std::ops::Range;

use crate::error::Error;
use crate::manifest::Manifest;
use crate::store::{
    Brake, CheckReport, GcReport, Health, MigrateReport, RefreshReport, RenewReport, RepairReport,
    ResolveReport, ShareSource, Subset,
};
use crate::testing::simulation::model::{Attempt, Object, attempt_of};
use crate::testing::simulation::run::{Kind, Run, Sky};
use crate::testing::simulation::upkeep::{Rekeying, Salvaged, Upkeep};

impl Run {
    /// What is called whole is stored as it was dealt, and what must be readable is called so.
    pub(super) fn check_ended(
        &mut self,
        (client, object): (usize, Object),
        data: Option<Subset>,
        upkeep: &Upkeep<CheckReport>,
        sky: Sky,
    ) -> Result<(), String> {
        let attempt = self.found(client, object, &upkeep.found, sky)?;
        let (Ok(found), Some(done)) = (&upkeep.found, &upkeep.done) else {
            return Ok(());
        };
        let report = match done {
            Ok(report) => report,
            Err(error) => return self.explained(error),
        };
        let manifest = &found.manifest;
        if self.must_be_there(attempt, manifest, sky) && report.health() == Health::Unreadable {
            return Err("a check calls an acknowledged payload unreadable".to_owned());
        }
        if sky != Sky::Calm || data != Some(Subset::All) {
            return Ok(());
        }
        let faulty = |index: u8| {
            let mut shares = report.shares.iter();
            shares.any(|share| share.index == index && !share.faults.is_empty())
        };
        match self.first_damaged(manifest, faulty) {
            Some(index) => Err(format!("a check calls share {index} whole")),
            None => Ok(()),
        }
    }

    pub(super) fn repair_ended(
        &mut self,
        (client, object): (usize, Object),
        data: Option<Subset>,
        upkeep: &Upkeep<RepairReport>,
        sky: Sky,
    ) -> Result<(), String> {
        // Only a repair that asks all backends knows that nobody replaced the object meanwhile.
        self.strays |= sky != Sky::Calm;
        let attempt = self.found(client, object, &upkeep.found, sky)?;
        let (Ok(found), Some(done)) = (&upkeep.found, &upkeep.done) else {
            return Ok(());
        };
        let manifest = &found.manifest;
        let report = match done {
            Ok(report) => report,
            Err(error) => {
                let short = error.code() == "INSUFFICIENT_SHARES"
                    && !self.must_be_there(attempt, manifest, sky);
                return self.upkeep_failed((client, object), error, short, sky);
            }
        };
        if let Some(next) = &report.manifest {
            self.moved(client, next, true)?;
        }
        if sky == Sky::Calm && data == Some(Subset::All) {
            self.is_mended(manifest, report)?;
        }
        Ok(())
    }

    /// A repair that met no fault leaves none.
    fn is_mended(&self, manifest: &Manifest, report: &RepairReport) -> Result<(), String> {
        let remains = |index: u8| {
            let mut stored = manifest.body().stored();
            let at = stored.find(|(share, _)| share.index == index);
            at.is_some_and(|(_, at)| {
                let mut remaining = report.remaining.iter();
                remaining.any(|fault| fault.backend == at.label)
            })
        };
        match self.first_damaged(manifest, remains) {
            Some(index) => Err(format!("a repair leaves share {index} as it was")),
            None => Ok(()),
        }
    }

    /// A share that a backend has, and not as it was dealt, and that is not `excused`.
    fn first_damaged(&self, manifest: &Manifest, excused: impl Fn(u8) -> bool) -> Option<u8> {
        let (body, whole) = (manifest.body(), self.parts_of(manifest));
        let segments = body.geometry().map_or(0, |geometry| geometry.segments());
        let is_whole = |index| (0..segments).all(|segment| whole.contains(&(index, segment)));
        let mut stored = body.stored().map(|(share, _)| share.index);
        stored.find(|index| !excused(*index) && !is_whole(*index))
    }

    pub(super) fn migrate_ended(
        &mut self,
        (client, object): (usize, Object),
        source: ShareSource,
        upkeep: &Upkeep<MigrateReport>,
        sky: Sky,
    ) -> Result<(), String> {
        let attempt = self.found(client, object, &upkeep.found, sky)?;
        let (Ok(found), Some(done)) = (&upkeep.found, &upkeep.done) else {
            return Ok(());
        };
        match done {
            Ok(report) => self.moved(client, &report.manifest, report.pending.is_empty()),
            Err(error) => {
                let excused = match error.code() {
                    // The new backend had another share once.
                    "INVALID_CONFIG" => return Ok(()),
                    "INSUFFICIENT_SHARES" => {
                        let holder = source == ShareSource::Holder && self.kind == Kind::Liveness;
                        // Without redundancy nothing can be recomputed.
                        let body = found.manifest.body();
                        holder
                            || body.stored().count() <= body.k.into()
                            || !self.must_be_there(attempt, &found.manifest, sky)
                    }
                    _ => false,
                };
                self.upkeep_failed((client, object), error, excused, sky)
            }
        }
    }

    /// Shares of a new dealing are stored as they were sent, and have the payload of the one before.
    pub(super) fn refresh_ended(
        &mut self,
        (client, object): (usize, Object),
        upkeep: &Upkeep<RefreshReport>,
        sky: Sky,
    ) -> Result<(), String> {
        let attempt = self.found(client, object, &upkeep.found, sky)?;
        let (Ok(found), Some(done)) = (&upkeep.found, &upkeep.done) else {
            return Ok(());
        };
        match done {
            Ok(RefreshReport { receipt: None, .. }) => Err("a refresh did nothing".to_owned()),
            Ok(RefreshReport {
                receipt: Some(receipt),
                ..
            }) => {
                self.moved(client, &receipt.manifest, receipt.pending.is_empty())?;
                if sky == Sky::Crowded {
                    return Ok(());
                }
                self.stored_as_sent(&receipt.manifest)
            }
            Err(error) => {
                let body = found.manifest.body();
                // An object under an extension is dealt to its holders only, so none may be missing.
                let places = ["INSUFFICIENT_BACKENDS", "ZONE_QUORUM", "INVALID_CONFIG"];
                let excused = match error.code() {
                    code if places.contains(&code) => body.stored().count() < body.n.into(),
                    "INSUFFICIENT_SHARES" => !self.must_be_there(attempt, &found.manifest, sky),
                    _ => false,
                };
                self.upkeep_failed((client, object), error, excused, sky)
            }
        }
    }

    pub(super) fn renew_ended(
        &mut self,
        attempt: Attempt,
        upkeep: &Upkeep<RenewReport>,
        sky: Sky,
    ) -> Result<(), String> {
        let wish = &self.model.wishes[attempt];
        let (client, object) = (wish.client, wish.object);
        self.found(client, object, &upkeep.found, sky)?;
        match &upkeep.done {
            None => {
                self.model.void(attempt);
                Ok(())
            }
            Some(Ok(report)) => {
                self.model.void(attempt);
                self.moved(client, &report.manifest, report.pending.is_empty())
            }
            Some(Err(error)) => self.write_failed(attempt, error, sky),
        }
    }

    /// What is under the present key counts from now on.
    pub(super) fn rekey_ended(
        &mut self,
        client: usize,
        result: Result<Rekeying, Error>,
    ) -> Result<(), String> {
        let done = match result {
            Ok(done) => done,
            Err(error) => return self.explained(&error),
        };
        for (id, result) in done {
            let mut objects = self.model.objects.iter();
            let object = objects.position(|known| known.id == Some(id));
            match result {
                Ok(report) if attempt_of(&report.manifest).is_some() => {
                    self.moved(client, &report.manifest, report.pending.is_empty())?;
                }
                Ok(report) => {
                    let Some(object) = object else { continue };
                    let decided = self.model.choose(object, &report.manifest);
                    self.decided(decided)?;
                    if !report.pending.is_empty() {
                        self.model.leave(client, object);
                    }
                }
                Err(error) => {
                    self.explained(&error)?;
                    self.leave_all(client);
                }
            }
        }
        Ok(())
    }

    /// Something of any object may be in the journal of `client`.
    pub(super) fn leave_all(&mut self, client: usize) {
        for object in 0..self.model.objects.len() {
            self.model.leave(client, object);
        }
    }

    /// Whatever the owner keeps counts from now on, whoever was acknowledged before.
    pub(super) fn resolve_ended(
        &mut self,
        (client, object): (usize, Object),
        result: &Result<Option<ResolveReport>, Error>,
    ) -> Result<(), String> {
        match result {
            Ok(None) => Ok(()),
            // The others were out of sight by then, and nothing was written.
            Ok(Some(report)) if report.given_up.is_empty() => Ok(()),
            Ok(Some(report)) if attempt_of(&report.manifest).is_some() => {
                self.moved(client, &report.manifest, report.pending.is_empty())
            }
            Ok(Some(report)) => {
                let decided = self.model.choose(object, &report.manifest);
                self.decided(decided)?;
                if !report.pending.is_empty() {
                    self.model.leave(client, object);
                }
                self.stands(&report.manifest)
            }
            Err(error) => {
                self.torn(client, object);
                self.explained(error)
            }
        }
    }

    /// A choice did not come to its end.
    pub(super) fn torn(&mut self, client: usize, object: Object) {
        if let Some(version) = self.contested_version(object) {
            self.model.tear(object, version);
        }
        self.model.leave(client, object);
    }

    /// A version that says where shares are now was acknowledged.
    fn moved(&mut self, client: usize, next: &Manifest, ended: bool) -> Result<(), String> {
        let attempt = attempt_of(next).filter(|attempt| *attempt < self.model.wishes.len());
        let attempt = attempt.ok_or("it moved what nobody put there")?;
        self.acknowledge(attempt, next)?;
        if !ended {
            let object = self.model.wishes[attempt].object;
            self.model.leave(client, object);
        }
        self.stands(next)
    }

    fn upkeep_failed(
        &mut self,
        (client, object): (usize, Object),
        error: &Error,
        excused: bool,
        sky: Sky,
    ) -> Result<(), String> {
        self.explained(error)?;
        let settled = self.model.is_settled(object);
        self.model.leave(client, object);
        let excused = match error.code() {
            "MANIFEST_EXPIRED" => true,
            // What a collector has marked is not taken up again.
            "CONFLICT" => self.model.swept,
            _ => excused,
        };
        let trusted =
            settled && !self.is_contested(object) && !self.saw_what_is_lost(client, object);
        if sky == Sky::Calm && trusted && !excused {
            return Err(format!("{} without a fault: {error}", error.code()));
        }
        Ok(())
    }

    /// What a salvage calls good is good, and of what can be read it calls nothing lost.
    pub(super) fn salvage_ended(
        &mut self,
        (client, object): (usize, Object),
        upkeep: &Upkeep<Salvaged>,
        sky: Sky,
    ) -> Result<(), String> {
        let attempt = self.found(client, object, &upkeep.found, sky)?;
        let (Ok(found), Some(done), Some(attempt)) = (&upkeep.found, &upkeep.done, attempt) else {
            return Ok(());
        };
        let must_be = self.must_be_there(Some(attempt), &found.manifest, sky);
        let Salvaged { bytes, report } = match done {
            Ok(salvaged) => salvaged,
            Err(error) if must_be && error.code() != "MANIFEST_EXPIRED" => {
                return Err(format!(
                    "nothing of an acknowledged payload is saved: {error}"
                ));
            }
            Err(error) => return self.explained(error),
        };
        if must_be && !(report.lost.is_empty() && report.len_known) {
            return Err("a salvage loses some of an acknowledged payload".to_owned());
        }
        let payload = self.payload(attempt);
        let is_lost = |at: usize| {
            let at = at as u64;
            report
                .lost
                .iter()
                .any(|lost: &Range<u64>| lost.contains(&at))
        };
        let good = |(at, byte): (usize, &u8)| bytes.get(at) == Some(byte) || is_lost(at);
        let ends =
            bytes.len() == payload.len() || (!report.len_known && bytes.len() > payload.len());
        if ends && payload.iter().enumerate().all(good) {
            return Ok(());
        }
        Err(format!(
            "a salvage shows bytes that attempt {attempt} did not put"
        ))
    }

    pub(super) fn collect_ended(
        &mut self,
        client: usize,
        brake: Brake,
        result: &Result<GcReport, Error>,
        sky: Sky,
    ) -> Result<(), String> {
        self.model.sweep(client, self.now_unix_s());
        let Err(error) = result else {
            return Ok(());
        };
        match error.code() {
            "GC_BRAKE" if brake == Brake::TenPercent => return Ok(()),
            "MANIFEST_INVALID" if self.kind != Kind::Outage || self.rekeyed => return Ok(()),
            _ => self.explained(error)?,
        }
        let unclear =
            |object: Object| self.is_contested(object) || self.saw_what_is_lost(client, object);
        if sky == Sky::Calm && !(0..self.model.objects.len()).any(unclear) {
            return Err(format!(
                "a collection ends in {} without a fault: {error}",
                error.code()
            ));
        }
        Ok(())
    }

    /// Whether the payload of `attempt` was acknowledged, and k of the shares that `manifest` names
    /// are where nothing happens to them.
    pub(super) fn must_be_there(
        &self,
        attempt: Option<Attempt>,
        manifest: &Manifest,
        sky: Sky,
    ) -> bool {
        let Some(attempt) = attempt else { return false };
        let object = self.model.wishes[attempt].object;
        let whole = !self.model.objects[object].ruined && self.model.is_decided(object);
        self.model.decided_attempt(object) == Some(attempt)
            && whole
            && self.must_read(sky)
            && self.is_held_honestly(manifest)
    }
}
