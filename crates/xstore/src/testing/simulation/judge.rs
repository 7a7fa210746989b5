//! What must hold after each operation, whatever happened to the backends.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::clock::Clock as _;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::store::{DeleteReport, Found, Freshness, Listed, Receipt, RecoveryReport};
use crate::testing::simulation::model::{Attempt, Object, attempt_of};
use crate::testing::simulation::operation::Operation;
use crate::testing::simulation::run::{Kind, Outcome, Reading, Run, Sky};

mod upkeep;

/// Codes that a fault may end in. Everything else (a key, a digest, padding, a dealing, a manifest
/// that is not valid) would be a writer's or a reader's own mistake, and there is none here.
const EXPLAINED: [&str; 17] = [
    "BACKEND_UNAVAILABLE",
    "BACKEND_TIMEOUT",
    "BACKEND_AUTH_FAILED",
    "BACKEND_QUOTA_EXCEEDED",
    "RATE_LIMITED",
    "INSUFFICIENT_BACKENDS",
    "INSUFFICIENT_SHARES",
    "SHARE_NOT_FOUND",
    "SHARE_UPLOAD_FAILED",
    // A read began with a version that only a faulty backend still shows, and found the next one.
    "SHARE_VERSION_MISMATCH",
    "OBJECT_NOT_FOUND",
    "MANIFEST_EXPIRED",
    "CONFLICT",
    "LOCKED",
    "ROLLBACK_DETECTED",
    "FORK_DETECTED",
    "INVALID_CONFIG",
];

/// What a read of authentic nonsense may end in, beside [`EXPLAINED`].
const NONSENSE: [&str; 3] = [
    "PAYLOAD_HMAC_FAILED",
    "PADDING_INVALID",
    "RECONSTRUCTION_FAILED",
];

impl Run {
    /// Judges what came of an operation and notes it.
    pub(super) fn ended(
        &mut self,
        client: usize,
        operation: &Operation,
        outcome: Outcome,
        sky: Sky,
    ) -> Result<(), String> {
        self.history.push(format!(
            "client {client}: {}: {}",
            self.describe(operation),
            summary(&outcome)
        ));
        let finished = self.clients[client].take_finished();
        for manifest in &finished {
            let (version, hash) = (manifest.body().version, manifest.hash());
            let attempt = attempt_of(manifest);
            let told = format!("  it ended version {version} of attempt {attempt:?}, {hash}");
            self.history.push(told);
            if let Some(attempt) = self.model.attempt_of(client, manifest) {
                self.acknowledge(attempt, manifest)?;
            }
        }
        match (operation, outcome) {
            (_, Outcome::Hung) => return Err("it does not end".to_owned()),
            (
                Operation::Put(attempt)
                | Operation::Resume(attempt)
                | Operation::Delete(attempt)
                | Operation::Renew(attempt),
                Outcome::Crashed,
            ) => self.leave(*attempt),
            (Operation::PutNonsense(attempt), Outcome::Crashed) => {
                self.ruin(*attempt);
                self.leave(*attempt);
            }
            (
                Operation::Repair(object, _)
                | Operation::Migrate(object, ..)
                | Operation::Refresh(object, _),
                Outcome::Crashed,
            ) => {
                self.strays |= matches!(operation, Operation::Repair(..));
                self.model.leave(client, *object);
            }
            (Operation::Rekey, Outcome::Crashed) => self.leave_all(client),
            (Operation::Resolve(object, _), Outcome::Crashed) => {
                self.torn(client, *object);
            }
            (Operation::Collect(_), Outcome::Crashed) => {
                self.model.sweep(client, self.now_unix_s());
            }
            (_, Outcome::Crashed) => {}
            (Operation::Check(object, data), Outcome::Checked(upkeep)) => {
                self.check_ended((client, *object), *data, &upkeep, sky)?;
            }
            (Operation::Repair(object, data), Outcome::Repaired(upkeep)) => {
                self.repair_ended((client, *object), *data, &upkeep, sky)?;
            }
            (Operation::Migrate(object, source, _), Outcome::Migrated(upkeep)) => {
                self.migrate_ended((client, *object), *source, &upkeep, sky)?;
            }
            (Operation::Refresh(object, _), Outcome::Refreshed(upkeep)) => {
                self.refresh_ended((client, *object), &upkeep, sky)?;
            }
            (Operation::Renew(attempt), Outcome::Renewed(upkeep)) => {
                self.renew_ended(*attempt, &upkeep, sky)?;
            }
            (_, Outcome::Rekeyed(result)) => self.rekey_ended(client, result)?,
            (Operation::Resolve(object, _), Outcome::Resolved(result)) => {
                self.resolve_ended((client, *object), &result)?;
            }
            (Operation::Salvage(object), Outcome::Salvaged(upkeep)) => {
                self.salvage_ended((client, *object), &upkeep, sky)?;
            }
            (Operation::Collect(brake), Outcome::Collected(result)) => {
                self.collect_ended(client, *brake, &result, sky)?;
            }
            (Operation::Put(attempt) | Operation::Resume(attempt), Outcome::Put(result)) => {
                self.put_ended(*attempt, &result, sky)?;
            }
            (Operation::PutNonsense(attempt), Outcome::Nonsense(put, read)) => {
                self.ruin(*attempt);
                self.put_ended(*attempt, &put, sky)?;
                nonsense_read(read)?;
            }
            (Operation::Read(object, range), Outcome::Read(reading)) => {
                let found = self.found(client, *object, &reading.found, sky)?;
                if let Some(attempt) = found {
                    self.read_ended(attempt, range.as_ref(), &reading, sky)?;
                }
            }
            (Operation::Delete(attempt), Outcome::Deleted { found, deleted }) => {
                let object = self.model.wishes[*attempt].object;
                self.found(client, object, &found, sky)?;
                match deleted {
                    Some(deleted) => self.delete_ended(*attempt, &deleted, sky)?,
                    None => self.model.void(*attempt),
                }
            }
            (_, Outcome::Listed(result)) => self.listed(client, &result, sky)?,
            (_, Outcome::Recovered(result)) => self.recover_ended(client, &result, sky)?,
            _ => {}
        }
        for backend in &self.setting.backends {
            if let Some(leak) = backend.stored().leak.take() {
                return Err(leak);
            }
        }
        self.marks_never_go_back(client)
    }

    fn describe(&self, operation: &Operation) -> String {
        let wish = |attempt: &Attempt| {
            let wish = &self.model.wishes[*attempt];
            format!(
                "attempt {attempt} on object {}: {:?}",
                wish.object, wish.want
            )
        };
        match operation {
            Operation::Put(attempt) | Operation::Delete(attempt) | Operation::Renew(attempt) => {
                wish(attempt)
            }
            Operation::Resume(attempt) => format!("resume, {}", wish(attempt)),
            Operation::PutNonsense(attempt) => format!("nonsense, {}", wish(attempt)),
            Operation::Read(object, None) => format!("read object {object}"),
            Operation::Read(object, Some(range)) => format!("read object {object}, {range:?}"),
            Operation::Check(..)
            | Operation::Repair(..)
            | Operation::Migrate(..)
            | Operation::Refresh(..)
            | Operation::Resolve(..)
            | Operation::Salvage(_)
            | Operation::Collect(_) => format!("{operation:?}"),
            Operation::Rekey => "rekey".to_owned(),
            Operation::List => "list".to_owned(),
            Operation::Recover => "recover".to_owned(),
        }
    }

    fn leave(&mut self, attempt: Attempt) {
        let wish = &self.model.wishes[attempt];
        let (client, object) = (wish.client, wish.object);
        self.model.leave(client, object);
    }

    fn ruin(&mut self, attempt: Attempt) {
        let object = self.model.wishes[attempt].object;
        self.model.objects[object].ruined = true;
    }

    pub(super) fn acknowledge(
        &mut self,
        attempt: Attempt,
        manifest: &Manifest,
    ) -> Result<(), String> {
        let acknowledged = self.model.acknowledge(attempt, manifest);
        self.decided(acknowledged)
    }

    /// Where any number of backends lies, two writers may both believe that they were alone.
    pub(super) fn decided(&self, result: Result<(), String>) -> Result<(), String> {
        match result {
            Err(_) if self.kind == Kind::Safety => Ok(()),
            result => result,
        }
    }

    fn put_ended(
        &mut self,
        attempt: Attempt,
        result: &Result<Receipt, Error>,
        sky: Sky,
    ) -> Result<(), String> {
        match result {
            Ok(receipt) => {
                self.acknowledge(attempt, &receipt.manifest)?;
                if !receipt.pending.is_empty() {
                    self.leave(attempt);
                }
                self.stands(&receipt.manifest)?;
                let object = self.model.wishes[attempt].object;
                if sky == Sky::Crowded || self.model.objects[object].ruined {
                    return Ok(());
                }
                self.stored_as_sent(&receipt.manifest)
            }
            Err(error) => self.write_failed(attempt, error, sky),
        }
    }

    pub(super) fn write_failed(
        &mut self,
        attempt: Attempt,
        error: &Error,
        sky: Sky,
    ) -> Result<(), String> {
        let wish = &self.model.wishes[attempt];
        let (client, object) = (wish.client, wish.object);
        let unfinished = self.model.is_unfinished(client, object);
        // A reader may overlook a version that another client did not commit; a writer does not.
        let overtaken = error.code() == "CONFLICT" && self.model.is_left(object);
        if error.code() == "LOCKED" {
            self.model.void(attempt);
            if !unfinished && sky != Sky::Crowded {
                return Err("it is locked, and nothing is under way".to_owned());
            }
        } else {
            self.model.leave(client, object);
        }
        self.explained(error)?;
        if sky == Sky::Calm && !unfinished && !overtaken && !self.is_contested(object) {
            return Err(format!("{} without a fault", error.code()));
        }
        Ok(())
    }

    fn delete_ended(
        &mut self,
        attempt: Attempt,
        result: &Result<DeleteReport, Error>,
        sky: Sky,
    ) -> Result<(), String> {
        let report = match result {
            Ok(report) => report,
            Err(error) => return self.write_failed(attempt, error, sky),
        };
        self.acknowledge(attempt, &report.manifest)?;
        if !report.pending.is_empty() {
            self.leave(attempt);
        }
        self.stands(&report.manifest)
    }

    /// What finding an object gave; the put that wrote the payload found.
    fn found(
        &mut self,
        client: usize,
        object: Object,
        result: &Result<Found, Error>,
        sky: Sky,
    ) -> Result<Option<Attempt>, String> {
        let trusted = self.kind != Kind::Safety
            && sky != Sky::Crowded
            && !self.is_contested(object)
            && !self.model.objects[object].ruined;
        match result {
            Ok(found) => {
                let attempt = attempt_of(&found.manifest);
                let attempt = attempt.filter(|a| {
                    self.model
                        .wishes
                        .get(*a)
                        .is_some_and(|wish| wish.object == object)
                });
                let attempt = attempt.ok_or("it found what nobody put there")?;
                // While no backend lies, a read that says that it may be old may be old.
                let newest = self.kind == Kind::Liveness || found.freshness == Freshness::Proven;
                if trusted && newest && !self.model.may_be(object, attempt) {
                    return Err(format!(
                        "it found attempt {attempt} at version {}, which is not the newest",
                        found.manifest.body().version
                    ));
                }
                self.model.see(attempt, found.manifest.body().version);
                Ok(Some(attempt))
            }
            Err(error) => {
                self.explained(error)?;
                let gone = error.code() == "OBJECT_NOT_FOUND";
                if trusted && gone && !self.may_be_gone(object) {
                    return Err("an acknowledged object is gone".to_owned());
                }
                let must_be = trusted && !self.may_be_gone(object);
                if must_be && self.must_read(sky) && !self.saw_what_is_lost(client, object) {
                    return Err(format!(
                        "an acknowledged object is not found: {}",
                        error.code()
                    ));
                }
                Ok(None)
            }
        }
    }

    pub(super) fn now_unix_s(&self) -> u64 {
        self.setting.network.now_unix_s()
    }

    fn may_be_gone(&self, object: Object) -> bool {
        self.model.may_be_gone(object, self.now_unix_s())
    }

    /// Whether whatever was acknowledged must be readable now.
    fn must_read(&self, sky: Sky) -> bool {
        sky == Sky::Calm || (sky == Sky::Rough && self.kind == Kind::Liveness)
    }

    fn read_ended(
        &self,
        attempt: Attempt,
        range: Option<&Range<u64>>,
        reading: &Reading,
        sky: Sky,
    ) -> Result<(), String> {
        let (Ok(found), Some(read)) = (&reading.found, &reading.read) else {
            return Ok(());
        };
        let (before, after) = reading.at_unix_s;
        let expires = found.manifest.body().expires_unix_s.unwrap_or(u64::MAX);
        match read {
            Ok(_) if before >= expires => Err("it was read after its end".to_owned()),
            Ok(bytes) => self.compare(attempt, range, bytes),
            Err(error) if error.code() == "MANIFEST_EXPIRED" => {
                let early = after < expires;
                early
                    .then(|| "it expired too early".to_owned())
                    .map_or(Ok(()), Err)
            }
            Err(error) => {
                self.explained(error)?;
                if self.must_be_there(Some(attempt), &found.manifest, sky) {
                    return Err(format!("an acknowledged payload is not readable: {error}"));
                }
                Ok(())
            }
        }
    }

    /// Never a wrong byte.
    pub(super) fn compare(
        &self,
        attempt: Attempt,
        range: Option<&Range<u64>>,
        bytes: &[u8],
    ) -> Result<(), String> {
        let payload = self.payload(attempt);
        let within =
            |at: u64| usize::try_from(at).map_or(payload.len(), |at| at.min(payload.len()));
        let expected = match range {
            None => payload.as_slice(),
            Some(range) => &payload[within(range.start)..within(range.end)],
        };
        if bytes == expected {
            return Ok(());
        }
        Err(format!(
            "{} bytes of attempt {attempt} are wrong, {} were put",
            bytes.len(),
            expected.len()
        ))
    }

    fn listed(
        &mut self,
        client: usize,
        result: &Result<Vec<Listed>, Error>,
        sky: Sky,
    ) -> Result<(), String> {
        let quiet = |object: Object| {
            self.model.is_decided(object)
                && !self.is_contested(object)
                && !self.saw_what_is_lost(client, object)
        };
        let judged = self.must_read(sky) && (0..self.model.objects.len()).all(quiet);
        let listed = match result {
            Err(error) if judged => return Err(format!("the list fails: {}", error.code())),
            Err(error) => return self.explained(error),
            Ok(listed) => listed,
        };
        let mut shown = BTreeSet::new();
        for entry in listed {
            let attempt = attempt_of(&entry.manifest).filter(|a| *a < self.model.wishes.len());
            shown.insert(attempt.ok_or("it lists what nobody put there")?);
        }
        if !judged {
            return Ok(());
        }
        let is_ruined = |object: Object| self.model.objects[object].ruined;
        shown.retain(|attempt| !is_ruined(self.model.wishes[*attempt].object));
        let whole = (0..self.model.objects.len()).filter(|object| !is_ruined(*object));
        let decided = whole.filter_map(|object| self.model.decided_attempt(object));
        let expected: BTreeSet<Attempt> = decided.collect();
        let expired = |attempt: &&Attempt| {
            let object = self.model.wishes[**attempt].object;
            self.model.may_have_expired(object, self.now_unix_s())
        };
        let mut missing = expected.difference(&shown);
        if shown.is_subset(&expected) && missing.all(|attempt| expired(&attempt)) {
            return Ok(());
        }
        Err(format!(
            "it lists attempts {shown:?} instead of {expected:?}"
        ))
    }

    fn recover_ended(
        &mut self,
        client: usize,
        result: &Result<RecoveryReport, Error>,
        sky: Sky,
    ) -> Result<(), String> {
        let report = result
            .as_ref()
            .map_err(|error| format!("the journal: {error}"))?;
        for error in &report.postponed {
            self.explained(error)?;
        }
        let unclear = |object| self.is_contested(object) || self.model.is_torn(object);
        let contested = (0..self.model.objects.len()).any(unclear);
        if let Some(error) = report.postponed.first() {
            // Two of one version may be below a later one that the same recovery wrote.
            let rivals = ["CONFLICT", "FORK_DETECTED"].contains(&error.code());
            let mut objects = 0..self.model.objects.len();
            let met = rivals && objects.any(|object| self.contested_version(object).is_some());
            if sky == Sky::Calm && !contested && !met {
                return Err(format!("recovery waits without a fault: {error}"));
            }
            return Ok(());
        }
        let mut undone = self.model.recovered(client);
        // Of two of one version the owner kept the other.
        undone.retain(|(attempt, version)| {
            let object = self.model.wishes[*attempt].object;
            !self.has_rivals(object, *version)
        });
        match undone.first() {
            // A later key outranks what only some backends had.
            Some((attempt, version))
                if self.kind == Kind::Outage && !contested && !self.rekeyed =>
            {
                Err(format!(
                    "attempt {attempt} was undone after it was seen as version {version}"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Every failure has a documented code, and one that a fault can be the cause of.
    pub(super) fn explained(&self, error: &Error) -> Result<(), String> {
        let code = error.code();
        let lies = self.kind != Kind::Outage;
        let ok = match code {
            // The identity of a backend is what a name is bound to.
            "INVALID_CONFIG" | "FORK_DETECTED" => lies,
            code => EXPLAINED.contains(&code),
        };
        if ok {
            Ok(())
        } else {
            Err(format!("no fault explains {code}: {error}"))
        }
    }

    fn marks_never_go_back(&mut self, client: usize) -> Result<(), String> {
        for object in 0..self.model.objects.len() {
            let Some(id) = self.model.objects[object].id else {
                continue;
            };
            let mark = self.clients[client].mark(&self.setting, id);
            let Some((maker, version, hash)) = mark else {
                continue;
            };
            let marks = &mut self.clients[client].marks;
            let before = marks.insert(object, (maker, version, hash));
            let back =
                |(before, b, h)| before == maker && (b > version || (b == version && h != hash));
            if before.is_some_and(back) {
                return Err(format!(
                    "the mark of object {object} went back to {version}"
                ));
            }
        }
        Ok(())
    }
}

fn nonsense_read(read: Option<Result<Vec<u8>, Error>>) -> Result<(), String> {
    match read {
        None => Ok(()),
        Some(Ok(_)) => Err("authentic nonsense was read as a payload".to_owned()),
        Some(Err(error))
            if EXPLAINED.contains(&error.code()) || NONSENSE.contains(&error.code()) =>
        {
            Ok(())
        }
        Some(Err(error)) => Err(format!("nonsense ends in {}", error.code())),
    }
}

/// The outcome in a word: `ok`, or a code.
fn summary(outcome: &Outcome) -> String {
    fn word<T>(result: &Result<T, Error>) -> &'static str {
        result.as_ref().map_or_else(Error::code, |_| "ok")
    }
    let both = |first: &'static str, second: Option<&'static str>| {
        second.map_or(first.to_owned(), |second| format!("{first}, {second}"))
    };
    match outcome {
        Outcome::Put(result) => word(result).to_owned(),
        Outcome::Read(Reading { found, read, .. }) => both(word(found), read.as_ref().map(word)),
        Outcome::Deleted { found, deleted } => both(word(found), deleted.as_ref().map(word)),
        Outcome::Listed(result) => word(result).to_owned(),
        Outcome::Checked(upkeep) => both(word(&upkeep.found), upkeep.done.as_ref().map(word)),
        Outcome::Repaired(upkeep) => both(word(&upkeep.found), upkeep.done.as_ref().map(word)),
        Outcome::Migrated(upkeep) => both(word(&upkeep.found), upkeep.done.as_ref().map(word)),
        Outcome::Refreshed(upkeep) => both(word(&upkeep.found), upkeep.done.as_ref().map(word)),
        Outcome::Renewed(upkeep) => both(word(&upkeep.found), upkeep.done.as_ref().map(word)),
        Outcome::Rekeyed(Ok(done)) => {
            let words = done.iter().map(|(_, result)| word(result));
            words.collect::<Vec<_>>().join(", ")
        }
        Outcome::Rekeyed(Err(error)) => error.code().to_owned(),
        Outcome::Resolved(Ok(None)) => "one counts".to_owned(),
        Outcome::Resolved(result) => word(result).to_owned(),
        Outcome::Salvaged(upkeep) => both(word(&upkeep.found), upkeep.done.as_ref().map(word)),
        Outcome::Collected(Ok(report)) => format!("{} steps", report.steps.len()),
        Outcome::Collected(Err(error)) => error.code().to_owned(),
        Outcome::Recovered(Ok(report)) => format!(
            "{} ended, {} wait",
            report.recovered.len(),
            report.postponed.len()
        ),
        Outcome::Recovered(Err(error)) => error.code().to_owned(),
        Outcome::Nonsense(put, read) => both(word(put), read.as_ref().map(word)),
        Outcome::Crashed => "crashed".to_owned(),
        Outcome::Hung => "hung".to_owned(),
    }
}
