//! Deliberate bugs: what `cargo xtask planted` switches on to prove that a search finds them.
//!
//! Without the feature `planted` nothing can be switched on, and every place that asks is compiled
//! as if it were not there.

/// One deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bug {
    /// Defects in the parsers, one each, for the fuzz targets.
    Parsers,
    /// A manifest counts as committed with k copies.
    AcknowledgeAtThreshold,
    /// Neither tags nor roots bind a share to its dealing; one of them alone would.
    CombineGenerations,
    /// The trailer is not compared with the payload.
    SkipTrailer,
    /// The lowest version counts, and nobody remembers a higher one.
    AcceptOlder,
    /// Every segment is dealt from the same randomness.
    ReplayRandomness,
    /// Recovery undoes what may have been seen.
    RecoverBackwards,
    /// What was put is not read back.
    ConfirmNothing,
    /// A commit does not look for another manifest of its version.
    SkipRivals,
    /// Replaced shares are erased before the manifest is committed.
    EraseTooEarly,
    /// Shares that could not be erased count as erased.
    ForgetOrphans,
    /// Names in a folder of ours are not made durable.
    SkipFolderSync,
    /// Shares of all dealings of an object have the same names.
    IgnorePutId,
    /// A reader believes a share's own footer, not the root in the manifest.
    TrustFooter,
    /// Lost shares are recomputed from records that were not compared with their tags.
    RepairUnverified,
    /// What was marked once is collected, whatever manifests say by then.
    CollectAtFirstLook,
    /// A backend that had one share of a dealing is given another.
    SecondIndex,
    /// A segment that is dealt again is dealt from the randomness of its first attempt.
    ReplayOnResume,
}

impl Bug {
    /// The bugs that a test must notice that is named with them in `xtask`: no seed of the simulation is
    /// known that shows them.
    pub const TESTED: [Self; 3] = [
        Self::TrustFooter,
        Self::CollectAtFirstLook,
        Self::ReplayOnResume,
    ];

    /// The bugs that a simulation must find.
    pub const SIMULATED: [Self; 14] = [
        Self::AcknowledgeAtThreshold,
        Self::CombineGenerations,
        Self::SkipTrailer,
        Self::AcceptOlder,
        Self::ReplayRandomness,
        Self::RecoverBackwards,
        Self::ConfirmNothing,
        Self::SkipRivals,
        Self::EraseTooEarly,
        Self::ForgetOrphans,
        Self::SkipFolderSync,
        Self::IgnorePutId,
        Self::RepairUnverified,
        Self::SecondIndex,
    ];
}

/// The bug that is switched on in this process: at first the one of [`Bug::TESTED`] that
/// `XGENE_PLANTED` names, so that a test of every day can run with it.
#[cfg(feature = "planted")]
static SWITCHED_ON: std::sync::LazyLock<std::sync::atomic::AtomicU8> =
    std::sync::LazyLock::new(|| {
        let named = std::env::var("XGENE_PLANTED").unwrap_or_default();
        let mut tested = Bug::TESTED.into_iter();
        let bug = tested.find(|bug| format!("{bug:?}") == named);
        std::sync::atomic::AtomicU8::new(bug.unwrap_or(Bug::Parsers) as u8)
    });

/// Switches one bug on and all others off; at first the parsers have theirs.
#[cfg(feature = "planted")]
pub fn switch_on(bug: Bug) {
    SWITCHED_ON.store(bug as u8, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(feature = "planted")]
pub(crate) fn is(bug: Bug) -> bool {
    SWITCHED_ON.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
