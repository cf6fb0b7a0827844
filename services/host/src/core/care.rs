//! What a host did for the bodies that it keeps: counts, to be watched.

/// Counts since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Care {
    /// Bodies appended again because their segment is to go.
    pub moved: u64,
    /// Segments that went after their last bodies had been moved.
    pub emptied: u64,
    /// Segments found damaged or missing, at the start or by the scrub.
    pub damaged_segments: u64,
    /// Times that the checkpoint was found damaged, at the start, by the scrub or as it was written.
    pub checkpoint_damage: u64,
    /// Checkpoints written anew in the place of damaged ones.
    pub checkpoints_mended: u64,
    /// Rounds of the scrub over everything.
    pub scrubs: u64,
    /// Bodies found damaged, or not readable.
    pub damaged: u64,
    /// Of these, those that a peer gave.
    pub repaired: u64,
    /// Of these, those that nobody gave; some may have been asked for again since.
    pub unrepaired: u64,
}
