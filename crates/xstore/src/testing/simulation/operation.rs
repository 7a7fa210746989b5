//! What a run does: drawn here, applied in `run`, judged in `judge`.

use std::ops::Range;

use xorida_core::Mode;

use crate::store::{Brake, Happy, OldShares, ShareSource, Subset};
use crate::testing::simulation::model::{Attempt, Model, Object, Want, Wish};
use crate::testing::simulation::random::Random;

/// Number of names that puts choose from: few, so that versions follow one another.
pub(super) const NAME_COUNT: usize = 3;

/// Chunk length in bytes, the least there is.
pub(super) const CHUNK_LEN: usize = 64 << 10;

/// Payload bytes of a whole segment.
const SEGMENT_LEN: usize = 16 << 20;

/// The grace of every collection, the least there is, in seconds.
pub(super) const GRACE_S: u64 = 2 * 3600;

/// What operations are drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) clients: usize,
    /// Backends beyond the shares of an object.
    pub(super) spares: usize,
    /// The fewest shares with which [`Happy::AtLeast`] can be content.
    pub(super) least_happy: u8,
    /// Whether payloads may have several segments.
    pub(super) large: bool,
}

/// One thing that a client does.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Put(Attempt),
    /// Recovers, and goes on with a put that stopped, or begins it anew.
    Resume(Attempt),
    /// Finds an object and reads it, or the range of it.
    Read(Object, Option<Range<u64>>),
    /// Finds an object and deletes it.
    Delete(Attempt),
    List,
    Recover,
    /// Finds an object and looks at its shares, and at so many of their records.
    Check(Object, Option<Subset>),
    /// Finds an object and writes again what is lost or bad.
    Repair(Object, Option<Subset>),
    /// Finds an object and moves one share, drawn with this number, to a backend without any.
    Migrate(Object, ShareSource, usize),
    /// Finds an object and deals it anew.
    Refresh(Object, OldShares),
    /// Finds an object and says until when it is read.
    Renew(Attempt),
    /// Puts every object under the present root key.
    Rekey,
    /// Keeps one, drawn with this number, of the manifests that claim the newest version.
    Resolve(Object, usize),
    /// Finds an object and reads what is good of it.
    Salvage(Object),
    /// Removes what no manifest names.
    Collect(Brake),
    /// Puts an object, replaces its shares by authentic nonsense, and reads it.
    PutNonsense(Attempt),
}

/// How operations meet what else happens.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Alone(usize, Operation),
    /// The client stops after so many milliseconds, wherever it is, and starts again.
    Crash(usize, Operation, u64),
    /// Two clients at once.
    Race([(usize, Operation); 2]),
    /// The first client sleeps in the middle, while the other collects.
    Sleep([(usize, Operation); 2], Night),
    /// Time goes by, in seconds.
    Wait(u64),
    /// The owner replaces the root key on all machines, and this client puts every object under it.
    ReplaceKey(usize),
}

/// When a client sleeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Night {
    /// Milliseconds after its operation began.
    pub(super) after_ms: u64,
    /// Collections, a grace apart, that it sleeps through.
    pub(super) collections: u64,
    /// Milliseconds after the last collection began, one more grace later.
    pub(super) wakes_ms: u64,
}

/// Draws a step; the attempts in it are begun.
pub(super) fn draw(random: &mut Random, scope: Scope, model: &mut Model) -> Step {
    let client = random.index(scope.clients);
    if random.once_in(256) {
        return Step::ReplaceKey(client);
    }
    match random.below(100) {
        0 => Step::Wait(GRACE_S + random.below(1000)),
        1..=2 => Step::Wait(1 + random.below(1000)),
        3..=6 if scope.clients > 1 => {
            let object = random.index(NAME_COUNT);
            let mut one = |client| (client, draw_on(random, client, object, scope, model));
            Step::Race([one(0), one(1)])
        }
        7 if scope.clients > 1 => sleep(random, client, scope, model),
        8..=22 => {
            let operation = draw_one(random, client, scope, model);
            Step::Crash(client, operation, random.below(600))
        }
        _ => Step::Alone(client, draw_one(random, client, scope, model)),
    }
}

fn sleep(random: &mut Random, client: usize, scope: Scope, model: &mut Model) -> Step {
    let object = random.index(NAME_COUNT);
    let operation = draw_on(random, client, object, scope, model);
    let collector = (client + 1) % scope.clients;
    let night = Night {
        after_ms: random.below(600),
        collections: random.below(3),
        wakes_ms: random.below(2_000),
    };
    let collection = Operation::Collect(Brake::Lifted);
    Step::Sleep([(client, operation), (collector, collection)], night)
}

fn draw_one(random: &mut Random, client: usize, scope: Scope, model: &mut Model) -> Operation {
    match random.below(100) {
        0..=3 => Operation::List,
        4..=13 => Operation::Recover,
        14..=15 => Operation::Collect(random.choose(&[Brake::Lifted, Brake::TenPercent])),
        16 => {
            let object = model.add_object(None);
            let want = Want::Put {
                len: 1 + random.index(1000),
                ttl_s: None,
                happy: Happy::All,
            };
            Operation::PutNonsense(model.begin(client, object, want))
        }
        17..=22 => {
            let object = model.add_object(None);
            put(random, client, object, scope, model)
        }
        _ => {
            let object = draw_object(random, model);
            draw_on(random, client, object, scope, model)
        }
    }
}

/// A name, or now and then an object that only its manifest names.
fn draw_object(random: &mut Random, model: &Model) -> Object {
    if random.once_in(4) {
        let object = random.index(model.objects.len());
        let known = &model.objects[object];
        if known.decided.is_some() && !known.ruined {
            return object;
        }
    }
    random.index(NAME_COUNT)
}

fn draw_on(
    random: &mut Random,
    client: usize,
    object: Object,
    scope: Scope,
    model: &mut Model,
) -> Operation {
    let data = random.choose(&[None, Some(Subset::All)]);
    match random.below(18) {
        0..=5 if model.objects[object].name.is_some() => put(random, client, object, scope, model),
        0 | 6 | 7 => Operation::Delete(model.begin(client, object, Want::Delete)),
        8 => {
            let start = random.below(3 * CHUNK_LEN as u64 / 2);
            Operation::Read(object, Some(start..start + random.below(100_000)))
        }
        9 => Operation::Check(object, data),
        10 if scope.spares > 0 => {
            let source = random.choose(&[ShareSource::Holder, ShareSource::Others]);
            Operation::Migrate(object, source, random.index(1 << 16))
        }
        10 | 11 => Operation::Repair(object, data),
        12 => Operation::Salvage(object),
        13 => {
            let old = random.choose(&[OldShares::KeepADay, OldShares::RemoveNow]);
            Operation::Refresh(object, old)
        }
        14 => {
            let ttl_s = random.once_in(2).then(|| 1 + random.below(1000));
            Operation::Renew(model.begin(client, object, Want::Renew { ttl_s }))
        }
        _ => Operation::Read(object, None),
    }
}

fn put(
    random: &mut Random,
    client: usize,
    object: Object,
    scope: Scope,
    model: &mut Model,
) -> Operation {
    let len = match random.below(64) {
        0..=7 if scope.large => SEGMENT_LEN + random.index(2 * CHUNK_LEN),
        0..=3 => random.index(3 * CHUNK_LEN),
        4 => CHUNK_LEN,
        5 => 0,
        // Often the same, so that shares of one generation have the length of those of another.
        6..=35 => random.choose(&[1, 100, 1000]),
        _ => random.index(1024),
    };
    let ttl_s = random.once_in(8).then(|| 1 + random.below(1000));
    let happy = match random.below(16) {
        0 => Happy::Degraded,
        1 => Happy::AtLeast(scope.least_happy),
        _ => Happy::All,
    };
    let want = Want::Put { len, ttl_s, happy };
    Operation::Put(model.begin(client, object, want))
}

/// Most seconds that recoveries or late deliveries take.
pub(super) const LONG_S: u64 = 3600;

/// The payload of an attempt: the same whenever it is asked for, and no two alike but those of a put
/// that stopped and of one that goes on with it.
pub(super) fn payload(seed: u64, wish: &Wish) -> Vec<u8> {
    let Want::Put { len, .. } = wish.want else {
        return Vec::new();
    };
    let mut bytes = vec![0; len];
    Random::new(seed ^ (wish.source as u64 + 1).rotate_left(40)).fill(&mut bytes);
    bytes
}

/// How a payload is protected: one in four in short mode.
pub(super) const fn mode(wish: &Wish) -> Mode {
    match wish.source % 4 {
        3 => Mode::Short,
        _ => Mode::Perfect,
    }
}
