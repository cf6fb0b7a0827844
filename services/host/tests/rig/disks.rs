//! Disks and links: what is made to go wrong with them, and what disks hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use shoal_host::core;
use shoal_queue::Machine;
use shoal_storage::{CheckpointOptions, Checkpoints, Commit, Disk, DiskVersion, MemDisk};
use shoal_types::{BodyRef, Command, HostId, HostRequest};

use super::{QUEUE, Rig};

/// A key of a checkpoint with its value.
type Row = (Vec<u8>, Vec<u8>);

impl Rig {
    /// Lets one host's state be another one when it starts again: its checkpoint, which it must have
    /// written, says that the queue was purged. Gives what it said before.
    pub(crate) fn falsify(&mut self, host: HostId) -> Vec<Row> {
        let rows = self.stored(host);
        let mut machine = Machine::restore(rows.clone()).unwrap();
        let HostRequest::Execute { request, .. } =
            self.request(Command::Purge { partition: QUEUE })
        else {
            panic!("a request is executed")
        };
        machine.apply(&request, &[], &mut Vec::new());
        self.store(host, machine.freeze().into_writes().collect());
        rows
    }

    /// Puts a checkpoint's rows back.
    pub(crate) fn restore(&mut self, host: HostId, rows: Vec<Row>) {
        let (keep, now): (Vec<_>, Vec<_>) = (rows, self.stored(host));
        let gone = now.into_iter().map(|(key, _)| (key, None));
        let kept = keep.into_iter().map(|(key, value)| (key, Some(value)));
        let writes: BTreeMap<_, _> = gone.chain(kept).collect();
        self.store(host, writes.into_iter().collect());
    }

    fn checkpoints(&self, host: HostId) -> Checkpoints {
        let slot = &self.slots[&host];
        assert!(slot.running.is_none(), "{host} runs");
        let disk: Arc<dyn Disk> = Arc::clone(&slot.disk) as Arc<dyn Disk>;
        let options = CheckpointOptions {
            cache_bytes: 1 << 20,
            newest: DiskVersion::V2,
        };
        Checkpoints::open(disk, options).unwrap()
    }

    /// The rows of the checkpoint of a host that does not run.
    pub(crate) fn stored(&self, host: HostId) -> Vec<Row> {
        let checkpoint = self.checkpoints(host).load().unwrap();
        let rows = checkpoint.expect("it has written one").rows;
        rows.map(Result::unwrap).collect()
    }

    fn store(&self, host: HostId, writes: Vec<core::Write>) {
        let checkpoints = self.checkpoints(host);
        let loaded = checkpoints.load().unwrap().expect("it has written one");
        let (meta, replay_from) = (loaded.meta.clone(), loaded.replay_from);
        let version = loaded.version;
        drop(loaded);
        let commit = Commit {
            version,
            meta,
            replay_from,
            writes,
        };
        checkpoints.write(commit).unwrap();
    }

    /// A host's disk.
    pub(crate) fn disk(&self, host: HostId) -> &MemDisk {
        &self.slots[&host].disk
    }

    /// The disk is full for moments: while the host writes checkpoints, until so many found no room.
    pub(crate) fn leave_no_room_for_checkpoints(&mut self, host: HostId, times: u32) {
        let slot = self.slots.get_mut(&host).expect("one of ours");
        slot.checkpoints_without_room = times;
    }

    /// How many are still to find none.
    pub(crate) fn checkpoints_without_room(&self, host: HostId) -> u32 {
        self.slots[&host].checkpoints_without_room
    }

    /// From now on one host does not hear another one, which hears it.
    pub(crate) fn cut_one_way(&mut self, from: HostId, to: HostId) {
        self.cut = Some((from, to));
    }

    pub(crate) fn mend(&mut self) {
        self.cut = None;
    }

    /// Changes bits of a body on a host's disk.
    pub(crate) fn flip(&self, host: HostId, body: BodyRef, byte: u32) {
        let name = format!("{:010}.segment", body.segment);
        let offset = u64::from(body.offset + byte);
        self.slots[&host].disk.flip(&name, offset, 0x10);
    }

    /// Changes a bit of the last waiting message's body in a host's log.
    pub(crate) fn damage_a_body(&mut self, host: HostId) {
        let waiting = self.core(host).machine().peek(QUEUE, 1_000).unwrap();
        let (_, at) = *waiting.last().unwrap();
        let name = format!("{:010}.segment", at.segment);
        self.slots[&host].disk.flip(&name, at.offset.into(), 1);
    }
}
