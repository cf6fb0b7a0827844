//! Numbers of the records of one process, and how far they are durable.

/// The number of a record: 1, 2, 3 … over what was replayed at the start and then over every
/// [`crate::Output::Persist`], in this order. Counts from 1 again in each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct RecordNumber(pub u64);

impl RecordNumber {
    /// The number of the record that comes next.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Counts records and remembers how far they are durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordNumbers {
    last: RecordNumber,
    durable: RecordNumber,
}

impl RecordNumbers {
    /// Takes the next number.
    pub(crate) fn take(&mut self) -> RecordNumber {
        self.last = self.last.next();
        self.last
    }

    /// The number taken last.
    pub(crate) fn last(&self) -> RecordNumber {
        self.last
    }

    /// Everything up to here is durable.
    pub(crate) fn durable(&self) -> RecordNumber {
        self.durable
    }

    /// Takes note that everything up to `up_to` is durable. False if that was known.
    pub(crate) fn now_durable(&mut self, up_to: RecordNumber) -> bool {
        assert!(
            up_to <= self.last,
            "record {up_to:?} is said to be durable, but only {:?} was written",
            self.last
        );
        let more = up_to > self.durable;
        self.durable = self.durable.max(up_to);
        more
    }
}
