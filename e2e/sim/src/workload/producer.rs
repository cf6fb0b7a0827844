//! Sends messages, each with a body of its own. Told that others follow, it shows them the proof, as
//! frontends do.

use bytes::Bytes;
use shoal_types::{
    Command, DedupKey, Deduplication, GroupName, Inherited, Outcome, PartitionId, Seal, SendItem,
    SendResult,
};

use super::execution::{End, Errand};
use super::limits::{DELAY_MAX, MILLISECOND, SECOND};
use super::role::{Desk, Next, Role};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Producer {
    /// A seal that it came upon.
    to_show: Option<Box<Seal>>,
}

impl Role for Producer {
    fn next(&mut self, desk: &mut Desk<'_>) -> Next {
        if desk.draining {
            return Next::Done;
        }
        if let Some(seal) = self.to_show.take() {
            return Next::Do(show(seal, desk));
        }
        let pause = desk.knobs.pause;
        let Some(queue) = desk.queues.pick_for_sending(desk.random) else {
            return Next::Rest(desk.pause(pause));
        };
        let (partition, fifo) = (queue.partition, queue.settings.fifo);
        Next::Do(send(partition, fifo, desk))
    }

    fn ended(&mut self, command: &Command, end: &End, desk: &mut Desk<'_>) {
        let Command::Send { partition, items } = command else {
            return;
        };
        if let End::Outcome(Outcome::Sealed(seal)) = end
            && desk.random.one_in(2)
        {
            self.to_show = Some(seal.clone());
        }
        let accepted = match end {
            End::Outcome(Outcome::Sent(results)) => results
                .iter()
                .filter(|result| matches!(result, SendResult::Accepted(_)))
                .count(),
            // Perhaps kept, perhaps not: rather believe the queue too full than too empty.
            End::Unknown => items.len(),
            _ => 0,
        };
        desk.queues.sent(*partition, accepted as u64);
    }
}

fn show(seal: Box<Seal>, desk: &mut Desk<'_>) -> Errand {
    let successor = desk.random.choose(&seal.successors).partition;
    desk.errand(Command::Succeed {
        partition: successor,
        seal,
        news: Inherited::Seal,
    })
}

fn send(partition: PartitionId, fifo: bool, desk: &mut Desk<'_>) -> Errand {
    let count = if desk.random.one_in(2) {
        1
    } else {
        desk.random.range(1..desk.knobs.batch_max + 1)
    };
    let bodies: Vec<Bytes> = (0..count).map(|_| body(desk)).collect();
    let items = bodies.iter().map(|body| item(body, partition, fifo, desk));
    let items = items.collect();
    Errand {
        bodies,
        ..desk.errand(Command::Send { partition, items })
    }
}

/// No other body of the run is equal to it.
fn body(desk: &mut Desk<'_>) -> Bytes {
    *desk.bodies += 1;
    let mut bytes = format!("message {:08} ", *desk.bodies).into_bytes();
    let largest = desk.knobs.body_bytes_max.max(bytes.len() as u64 + 1);
    let size = desk.random.magnitude(bytes.len() as u64..largest + 1) as usize;
    // Bytes that differ from message to message and from place to place.
    let mut filler = *desk.bodies;
    while bytes.len() < size {
        filler = filler.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        bytes.extend_from_slice(&filler.to_le_bytes());
    }
    bytes.truncate(size);
    Bytes::from(bytes)
}

fn item(body: &Bytes, partition: PartitionId, fifo: bool, desk: &mut Desk<'_>) -> SendItem {
    let knobs = desk.knobs;
    let keyed = desk.random.chance_percent(knobs.keyed_percent);
    let deduplication = keyed.then(|| deduplication(partition, desk));
    let random = &mut *desk.random;
    // A FIFO message without its group once in a while: the whole batch is refused.
    let grouped = if fifo {
        !random.one_in(300)
    } else {
        random.one_in(20)
    };
    SendItem {
        size: u32::try_from(body.len()).expect("bodies are small"),
        crc: crc32c::crc32c(body),
        delay: random
            .chance_percent(knobs.delayed_percent)
            .then(|| match random.below(4) {
                0 => 0,
                1 => random.magnitude(MILLISECOND..50 * MILLISECOND),
                _ => random.range(50 * MILLISECOND..DELAY_MAX),
            }),
        ttl: random
            .chance_percent(knobs.short_lived_percent)
            .then(|| random.magnitude(20 * MILLISECOND..8 * SECOND)),
        group: grouped.then(|| GroupName::from(format!("g{}", random.below(knobs.groups)))),
        deduplication,
    }
}

/// Keys come back often for a while and then never again.
fn deduplication(partition: PartitionId, desk: &mut Desk<'_>) -> Deduplication {
    const KEYS: u64 = 6;
    let queue = desk.queues.get_mut(partition).expect("just picked");
    queue.keyed += 1;
    let number = queue.keyed / (2 * KEYS) * KEYS + desk.random.below(KEYS);
    let mut key = DedupKey::default();
    key[..8].copy_from_slice(&number.to_le_bytes());
    let fingerprint = match desk.random.below(6) {
        0..3 => None,
        3..5 => Some(1),
        _ => Some(2),
    };
    Deduplication { key, fingerprint }
}
