//! What the log's tests share: a small log on a disk in memory, and records that say who they are.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use shoal_storage::{
    Appended, Disk, DiskVersion, Log, LogError, LogOptions, LogRecord, Lsn, MemDisk, Scan, Tag,
};
use shoal_types::{HostId, ViewNumber};

pub(crate) const OWNER: HostId = HostId(0xab);

pub(crate) fn options(seed: u64) -> LogOptions {
    LogOptions {
        segment_bytes: 32 << 10,
        newest: DiskVersion::V2,
        ..LogOptions::new(OWNER, seed)
    }
}

pub(crate) fn open(disk: &MemDisk, seed: u64) -> Result<(Log, Scan), LogError> {
    Log::open(Arc::new(disk.clone()), options(seed))
}

/// Opens a log that is in order and reads all of it.
pub(crate) fn open_all(
    disk: Arc<dyn Disk>,
    options: LogOptions,
) -> Result<(Log, Vec<LogRecord>), LogError> {
    let (log, scan) = Log::open(disk, options)?;
    let records = scan.collect::<Result<Vec<_>, _>>()?;
    Ok((log, records))
}

/// A payload that differs from record to record and has this length.
pub(crate) fn payload(lsn: u64, len: usize) -> Vec<Bytes> {
    /// A slice of this, so that tests spend their time elsewhere.
    static BYTES: LazyLock<Bytes> =
        LazyLock::new(|| (0..2u32 << 20).map(|i| (i % 251 + i / 251) as u8).collect());
    let start = (lsn * 37 % 251) as usize;
    let whole = BYTES.slice(start..start + len);
    // In two chunks, as entries come.
    vec![whole.slice(..len / 3), whole.slice(len / 3..)]
}

pub(crate) fn entry(view: u64, lane: u64, index: u64) -> Tag {
    Tag {
        view: ViewNumber(view),
        lane: HostId(lane),
        index,
    }
}

/// Appends the next record with the payload that belongs to it.
pub(crate) fn append(log: &mut Log, tag: Tag, len: usize) -> Appended {
    let lsn = log.next_lsn().0;
    log.append(kind_of(lsn), tag, &payload(lsn, len))
}

pub(crate) fn kind_of(lsn: u64) -> u8 {
    (lsn % 200) as u8
}

/// Writes until nothing is left.
pub(crate) fn flush(log: &mut Log) -> Lsn {
    while let Some(batch) = log.take_batch() {
        let done = batch.write().unwrap();
        let _ = log.complete(done);
    }
    log.durable_lsn()
}

/// The records are 1, 2, 3 … with the payloads that belong to them.
pub(crate) fn assert_exact(records: &[LogRecord], from: u64) {
    for (record, lsn) in records.iter().zip(from..) {
        assert_eq!(record.lsn, Lsn(lsn));
        assert_eq!(record.kind, kind_of(lsn));
        let expected = payload(lsn, record.payload.len()).concat();
        assert_eq!(record.payload, expected, "payload of {lsn}");
    }
}
