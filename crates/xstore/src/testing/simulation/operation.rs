//! What a run does: drawn here, applied in `run`, judged in `judge`.

use std::ops::Range;

use crate::testing::simulation::model::{Attempt, Model, Object, Want};
use crate::testing::simulation::random::Random;

/// Number of names that puts choose from: few, so that versions follow one another.
pub(super) const NAME_COUNT: usize = 3;

/// Chunk length in bytes, the least there is.
pub(super) const CHUNK_LEN: usize = 64 << 10;

/// Payload bytes of a whole segment.
const SEGMENT_LEN: usize = 16 << 20;

/// One thing that a client does.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Put(Attempt),
    /// Finds an object and reads it, or the range of it.
    Read(Object, Option<Range<u64>>),
    /// Finds an object and deletes it.
    Delete(Attempt),
    List,
    Recover,
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
    /// Time goes by, in seconds.
    Wait(u64),
}

/// Draws a step; the attempts in it are begun.
pub(super) fn draw(random: &mut Random, clients: usize, large: bool, model: &mut Model) -> Step {
    let client = random.index(clients);
    match random.below(100) {
        0..=2 => Step::Wait(1 + random.below(1000)),
        3..=6 if clients > 1 => {
            let object = random.index(NAME_COUNT);
            let mut one = |client| (client, draw_on(random, client, object, model));
            Step::Race([one(0), one(1)])
        }
        7..=22 => {
            let operation = draw_one(random, client, large, model);
            Step::Crash(client, operation, random.below(600))
        }
        _ => Step::Alone(client, draw_one(random, client, large, model)),
    }
}

fn draw_one(random: &mut Random, client: usize, large: bool, model: &mut Model) -> Operation {
    match random.below(100) {
        0..=3 => Operation::List,
        4..=15 => Operation::Recover,
        16 => {
            let object = model.add_object(None);
            let len = 1 + random.index(1000);
            Operation::PutNonsense(model.begin(client, object, Want::Put { len, ttl_s: None }))
        }
        17..=22 => {
            let object = model.add_object(None);
            put(random, client, object, large, model)
        }
        _ => {
            let object = draw_object(random, model);
            draw_on(random, client, object, model)
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

fn draw_on(random: &mut Random, client: usize, object: Object, model: &mut Model) -> Operation {
    match random.below(10) {
        0..=3 if model.objects[object].name.is_some() => put(random, client, object, false, model),
        0 | 4 | 5 => Operation::Delete(model.begin(client, object, Want::Delete)),
        6 => {
            let start = random.below(3 * CHUNK_LEN as u64 / 2);
            Operation::Read(object, Some(start..start + random.below(100_000)))
        }
        _ => Operation::Read(object, None),
    }
}

fn put(
    random: &mut Random,
    client: usize,
    object: Object,
    large: bool,
    model: &mut Model,
) -> Operation {
    let len = match random.below(64) {
        0 if large => SEGMENT_LEN + random.index(2 * CHUNK_LEN),
        1..=3 => random.index(3 * CHUNK_LEN),
        4 => CHUNK_LEN,
        5 => 0,
        // Often the same, so that shares of one generation have the length of those of another.
        6..=35 => random.choose(&[1, 100, 1000]),
        _ => random.index(1024),
    };
    let ttl_s = random.once_in(8).then(|| 1 + random.below(1000));
    Operation::Put(model.begin(client, object, Want::Put { len, ttl_s }))
}

/// Most seconds that recoveries or late deliveries take.
pub(super) const LONG_S: u64 = 3600;

/// The payload of an attempt: the same whenever it is asked for, and no two alike.
pub(super) fn payload(seed: u64, attempt: Attempt, want: Want) -> Vec<u8> {
    let Want::Put { len, .. } = want else {
        return Vec::new();
    };
    let mut bytes = vec![0; len];
    Random::new(seed ^ (attempt as u64 + 1).rotate_left(40)).fill(&mut bytes);
    bytes
}
