//! Durable state of one host: the segment log with group commit and the redb checkpoint, over one Disk trait.
