//! What kind of clients a run has. Drawn per seed, so that each run leans another way.

use shoal_types::{Epoch, Micros, PartitionSettings};

use super::limits::{
    CLIENTS_MAX, DELAY_MAX, MANAGER_PAUSE_MAX_IN_MOVES, MILLISECOND, QUEUES_MAX,
    QUEUES_MIN_FOR_DEAD_LETTERS, SECOND, VISIBILITY_MAX,
};
use crate::random::Random;

/// What is drawn once per run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// Clients that send.
    pub producers: u64,
    /// Clients that receive.
    pub consumers: u64,
    /// Queues at the beginning.
    pub queues: u64,
    /// Of a hundred queues so many are FIFO.
    pub fifo_percent: u64,
    /// Mean pause of a client between two operations, in microseconds.
    pub pause: Micros,
    /// Largest body in bytes.
    pub body_bytes_max: u64,
    /// Most messages of one send.
    pub batch_max: u64,
    /// Message groups of a FIFO queue.
    pub groups: u64,
    /// Of a hundred sent messages so many carry a deduplication key.
    pub keyed_percent: u64,
    /// Of a hundred sent messages so many are delayed.
    pub delayed_percent: u64,
    /// Of a hundred sent messages so many have their own time to live.
    pub short_lived_percent: u64,
    /// Of a hundred receives so many wait.
    pub waiting_percent: u64,
    /// Of a hundred receives so many leave early.
    pub leaving_percent: u64,
    /// Of a hundred receives so many delete at once.
    pub auto_ack_percent: u64,
    /// Of a hundred batches so many are not acknowledged in time, or given back.
    pub careless_percent: u64,
    /// Of a hundred operations so many ask a second host soon.
    pub hasty_percent: u64,
    /// Mean pause of the manager between two instructions, in microseconds.
    pub manager_pause: Micros,
    /// Queues are purged.
    pub purges: bool,
    /// Queues are deleted and others made in their place.
    pub deletions: bool,
    /// Some queues keep messages for a few seconds only.
    pub short_retention: bool,
    /// Some queues are full at a few messages.
    pub small_queues: bool,
    /// Partitions are followed by others.
    pub moves: bool,
    /// Messages die and go to other queues, and tasks move them.
    pub dead_letters: bool,
}

impl Knobs {
    /// Another kind of run for every seed.
    #[must_use]
    pub fn draw(random: &mut Random) -> Self {
        let producers = random.range(4..CLIENTS_MAX * 2 / 5);
        let consumers = random.range(producers..(CLIENTS_MAX - producers).max(producers + 1));
        // Sixty to a hundred and fifty operations a second, all clients together.
        let rate = random.range(60..150);
        let mut sometimes = |one_in| random.one_in(one_in);
        let (large, keyed_only, purges) = (sometimes(12), sometimes(10), sometimes(3));
        let (deletions, short_retention, small_queues) = (sometimes(3), sometimes(3), sometimes(3));
        Self {
            producers,
            consumers,
            queues: random.range(1..QUEUES_MAX),
            fifo_percent: *random.choose(&[0, 30, 50, 100]),
            pause: (producers + consumers) * SECOND / rate,
            body_bytes_max: if large {
                1 << 19
            } else {
                *random.choose(&[64, 512, 4_096])
            },
            batch_max: *random.choose(&[1, 3, 10]),
            groups: random.range(1..9),
            keyed_percent: if keyed_only {
                100
            } else {
                *random.choose(&[0, 10, 30])
            },
            delayed_percent: *random.choose(&[0, 5, 20]),
            short_lived_percent: *random.choose(&[0, 3, 10]),
            waiting_percent: *random.choose(&[10, 40, 90]),
            leaving_percent: *random.choose(&[0, 5, 25]),
            auto_ack_percent: *random.choose(&[0, 5, 20]),
            careless_percent: *random.choose(&[2, 15, 50]),
            hasty_percent: *random.choose(&[0, 5, 30]),
            manager_pause: random.magnitude(400 * MILLISECOND..8 * SECOND),
            purges,
            deletions,
            short_retention,
            small_queues,
            moves: false,
            dead_letters: false,
        }
    }

    /// The same run, in which queues move.
    #[must_use]
    pub fn with_moves(self, moves: bool) -> Self {
        if !moves {
            return self;
        }
        Self {
            moves,
            manager_pause: self.manager_pause.min(MANAGER_PAUSE_MAX_IN_MOVES),
            ..self
        }
    }

    /// The same run, in which messages go from queue to queue.
    #[must_use]
    pub fn with_dead_letters(self, dead_letters: bool) -> Self {
        if !dead_letters {
            return self;
        }
        Self {
            dead_letters,
            queues: self.queues.max(QUEUES_MIN_FOR_DEAD_LETTERS),
            manager_pause: self.manager_pause.min(MANAGER_PAUSE_MAX_IN_MOVES),
            ..self
        }
    }

    /// Behaviour for a new partition, or a new one for an old if `fifo` and `epoch` stay.
    pub(super) fn settings(
        &self,
        epoch: Epoch,
        fifo: bool,
        random: &mut Random,
    ) -> PartitionSettings {
        let small = self.small_queues && random.one_in(2);
        PartitionSettings {
            epoch,
            fifo,
            visibility: random.range(SECOND..VISIBILITY_MAX),
            delay: if random.chance_percent(self.delayed_percent) {
                random.range(0..DELAY_MAX / 2)
            } else {
                0
            },
            retention: if self.short_retention && random.one_in(2) {
                random.range(6 * SECOND..20 * SECOND)
            } else {
                3_600 * SECOND
            },
            max_messages: if small { random.range(5..60) } else { u64::MAX },
            max_bytes: if small && random.one_in(2) {
                random.range(1..20) * self.body_bytes_max
            } else {
                u64::MAX
            },
        }
    }
}
