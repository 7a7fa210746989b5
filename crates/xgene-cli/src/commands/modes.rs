//! The mode of an object, and what either mode costs, said before much is stored.

use serde_json::{Value, json};
use xstore::geometry::{Geometry, Layout};
use xstore::manifest::Body;
use xstore::{Error, Mode, Store};

use crate::commands::human_bytes;
use crate::failure::Failure;
use crate::session::Session;

/// What sets the modes apart, for those who choose.
pub(crate) const MEANING: &str = "perfect: fewer than k backends learn nothing, whatever they \
                                  compute; short (computational): unless they break ChaCha20";

/// A payload longer than this is worth a word before it is stored.
const LARGE_BYTES: u64 = 1 << 30;

/// The mode in words.
pub(crate) fn of(body: &Body) -> String {
    // A manifest of an unknown mode was refused when it was opened.
    body.mode()
        .map_or_else(|_| "unknown".into(), |mode| mode.to_string())
}

/// Says what `store` would hold of a large payload in either mode.
pub(crate) fn tell(store: &Store, len: Option<u64>, session: &Session) -> Result<(), Failure> {
    let Some(len) = len.filter(|len| *len > LARGE_BYTES) else {
        return Ok(());
    };
    let (layout, terminal) = (store.layout()?, session.terminal);
    let (access, costs) = (layout.access, costs(layout, len)?);
    let survived = access.share_count() - access.threshold();
    let line = |(mode, stored): &(Mode, u64)| json!({ "mode": mode.to_string(), "stored_bytes": stored, "losses_survived": survived });
    let modes: Vec<Value> = costs.iter().map(line).collect();
    terminal.message(
        "stage",
        json!({ "stage": "modes", "modes": modes, "meaning": MEANING }),
    );
    for (mode, stored) in costs {
        terminal.note(&format!(
            "{mode}: {} in all, survives the loss of {survived} of {} backends",
            human_bytes(stored),
            access.share_count()
        ));
    }
    terminal.note(MEANING);
    Ok(())
}

/// Bytes at all backends together, by mode.
fn costs(layout: Layout, len: u64) -> Result<[(Mode, u64); 2], Error> {
    let padded_len = layout.padded_len(len)?;
    let cost = |mode| {
        let geometry = Geometry::try_new(layout.in_mode(mode), padded_len)?;
        Ok::<_, Error>((mode, geometry.stored_len()))
    };
    Ok([cost(Mode::Perfect)?, cost(Mode::Short)?])
}

#[cfg(test)]
mod tests {
    use xstore::{AccessStructure, Padding};

    use super::*;

    #[test]
    fn short_mode_costs_n_over_k_and_perfect_n() {
        let access = AccessStructure::try_new(3, 5).unwrap();
        let layout = Layout::try_new(access, Padding::None, 2 << 20).unwrap();
        let [(_, perfect), (_, short)] = costs(layout, 3_000_000_000).unwrap();
        assert!(
            (15_000_000_000..15_010_000_000).contains(&perfect),
            "{perfect}"
        );
        assert!((5_000_000_000..5_010_000_000).contains(&short), "{short}");
    }
}
