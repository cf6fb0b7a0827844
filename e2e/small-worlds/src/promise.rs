//! What must hold in every state.

/// A property of all states. Each is an `always` of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// The n-th entry that a host executes is the n-th that any other ever executed, lives that are
    /// over included.
    Agreement,
    /// Positions strictly grow along the order.
    Growth,
    /// No batch is executed at two positions.
    Once,
    /// Each view number has one value.
    OneView,
    /// A view begins after all that was executed in those before, and nothing of them is executed after
    /// it: what a client had an answer to is in the sealed order.
    Durability,
    /// A batch that was submitted after another one was answered gets a later position.
    RealTime,
    /// The engine's own assertions hold.
    NoPanic,
}

impl Promise {
    /// Every promise.
    pub const ALL: [Self; 7] = [
        Self::Agreement,
        Self::Growth,
        Self::Once,
        Self::OneView,
        Self::Durability,
        Self::RealTime,
        Self::NoPanic,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Growth => "growth",
            Self::Once => "once",
            Self::OneView => "one view",
            Self::Durability => "durability",
            Self::RealTime => "real time",
            Self::NoPanic => "no panic",
        }
    }
}
