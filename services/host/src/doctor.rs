//! Looking into a data folder of a host that does not run: is everything there, and is it what was
//! written? Nothing is changed: the code that reads is the host's own, over a disk whose writes stay in
//! memory.
//!
//! What it cannot say: whether the folder is up to date. A log that was set back to an earlier moment is
//! sound in itself; the other hosts of the cluster know better, and refuse it.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use shoal_queue::{Machine, PlacedBody, SearchedUpTo};
use shoal_replication::{EngineCheckpoint, Record};
use shoal_storage::{
    CheckpointError, CheckpointOptions, Checkpoints, DataFolder, DataFolderError, Disk,
    DiskVersion, FolderLock, Loaded, LockError, Log, LogError, LogOptions, LogRecord, Lsn,
    OverlayDisk, RealDisk, Scan, SegmentDamage, Verified,
};
use shoal_types::HostId;

use crate::core::{has_other_members, read_body};
use crate::{batch, kept_body, limits};

/// What was found in a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The folder.
    pub folder: String,
    /// Whose it is, if its identity can be read.
    pub host: Option<HostId>,
    /// True if nothing is damaged.
    pub sound: bool,
    /// What was looked at.
    pub seen: Seen,
    /// What is to be said about it, the worst first.
    pub findings: Vec<Finding>,
}

/// How much was looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Seen {
    /// Rows of the checkpoint.
    pub checkpoint_rows: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Records that a start would replay.
    pub records_replayed: u64,
    /// Messages in the checkpoint, whose bodies were read.
    pub messages: u64,
    /// Bytes of these bodies.
    pub body_bytes: u64,
    /// Machine version of the checkpoint's state, if there is a checkpoint.
    pub machine_version: Option<u16>,
    /// The newest disk version of any file: a release that does not know it refuses the folder.
    pub disk_version: u16,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: String,
    /// Bytes from its start, where a place is known.
    pub offset: Option<u64>,
    /// What was found.
    pub what: String,
    /// What it means, and what to do.
    pub advice: &'static str,
}

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The host cannot start on this folder.
    Fatal,
    /// The host starts, and repairs it from the other hosts.
    Repairable,
    /// Nothing is wrong.
    Note,
}

/// Why a folder could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// There is no such folder.
    #[error("{0} is no folder")]
    NoFolder(String),
    /// A process has it.
    #[error("{0}; stop it first")]
    InUse(LockError),
}

const CHECKPOINT: &str = "checkpoint.redb";

const REPLACE: &str = "the host does not start on this folder. If the file cannot be restored, replace \
                       the host with `shoal host replace`: its cluster has the messages";
const FOREIGN: &str = "this release cannot use the file. Use the release that wrote it, or put the right \
                       file back";
const GIVEN: &str =
    "the host starts, and gets the state from another member. Start it while they are up";
const ANEW: &str = "the host starts, and writes it anew";
const REPAIRS: &str = "the host starts, and repairs this from the other hosts of its cluster as long as \
                       one of them has it. If it comes back, the disk is failing: replace it";
const TORN: &str =
    "a write that was not finished when the host ended, as after a power cut. Nothing to do";
const UNINDEXED: &str =
    "the file is only there for a faster start, and is made again. Nothing to do";

/// Looks into a folder.
///
/// # Errors
/// If there is no such folder, or a process has it in use. Whatever is found in it is no error.
pub fn examine(path: &Path) -> Result<Diagnosis, DoctorError> {
    if !path.is_dir() {
        return Err(DoctorError::NoFolder(path.display().to_string()));
    }
    let _lock = match FolderLock::look(path) {
        Ok(lock) => lock,
        Err(held @ LockError::Held { .. }) => return Err(DoctorError::InUse(held)),
        // Then nobody else can have it either.
        Err(LockError::Io { .. }) => None,
    };
    let mut doctor = Doctor::default();
    let host = match DataFolder::identity_of(path) {
        Ok(host) => Some(host),
        Err(error) => {
            doctor.identity_is_bad(path, error);
            None
        }
    };
    if let Some(host) = host {
        doctor.examine_disk(host, Arc::new(RealDisk::read_only(path)));
    }
    Ok(doctor.conclude(path.display().to_string(), host))
}

#[derive(Default)]
struct Doctor {
    seen: Seen,
    findings: Vec<Finding>,
    damaged_bodies: u64,
}

impl Doctor {
    fn find(
        &mut self,
        severity: Severity,
        file: impl Into<String>,
        offset: impl Into<Option<u64>>,
        what: impl Into<String>,
        advice: &'static str,
    ) {
        self.findings.push(Finding {
            severity,
            file: file.into(),
            offset: offset.into(),
            what: what.into(),
            advice,
        });
    }

    fn conclude(mut self, folder: String, host: Option<HostId>) -> Diagnosis {
        if self.damaged_bodies > limits::DOCTOR_BODIES_LISTED {
            let what = format!(
                "{} message bodies are damaged; the first {} are listed",
                self.damaged_bodies,
                limits::DOCTOR_BODIES_LISTED
            );
            self.find(Severity::Repairable, folder.clone(), None, what, REPAIRS);
        }
        self.findings.sort_by_key(|finding| finding.severity);
        Diagnosis {
            sound: self.findings.iter().all(|f| f.severity == Severity::Note),
            folder,
            host,
            seen: self.seen,
            findings: self.findings,
        }
    }

    fn identity_is_bad(&mut self, path: &Path, error: DataFolderError) {
        let file = path.join("identity").display().to_string();
        let advice =
            "without its identity the folder is nobody's. Put the file back, or replace the host";
        self.find(Severity::Fatal, file, None, error.to_string(), advice);
    }

    fn examine_disk(&mut self, host: HostId, base: Arc<dyn Disk>) {
        let disk: Arc<dyn Disk> = Arc::new(OverlayDisk::new(base));
        let loaded = Checkpoints::open(Arc::clone(&disk), CheckpointOptions::default())
            .and_then(|checkpoints| Ok((checkpoints.load()?, checkpoints)));
        let (machine, replay_from) = match loaded {
            Ok((None, _)) => (Machine::default(), Lsn::FIRST),
            Ok((Some(loaded), _checkpoints)) => {
                let replay_from = loaded.replay_from;
                match self.restore(host, &*disk, loaded) {
                    Some(machine) => (machine, replay_from),
                    None => return,
                }
            }
            Err(error) => return self.checkpoint_is_bad(error),
        };
        let options = LogOptions {
            replay_from,
            ..LogOptions::new(host, 0)
        };
        match Log::open(disk, options) {
            Ok((log, scan)) => self.examine_log(machine, &log, scan),
            Err(error) => self.log_is_bad(error),
        }
    }

    fn restore(&mut self, host: HostId, disk: &dyn Disk, loaded: Loaded) -> Option<Machine> {
        let engine = match postcard::from_bytes::<EngineCheckpoint>(&loaded.meta) {
            Ok(engine) => engine,
            Err(error) => {
                let what = format!("the engine's part cannot be read: {error}");
                let file = disk.display(CHECKPOINT);
                self.find(Severity::Fatal, file, None, what, REPLACE);
                return None;
            }
        };
        let mut damage = None;
        let version = loaded.version;
        let mut rows = loaded.rows;
        let mut count = 0;
        let sound = std::iter::from_fn(|| match rows.next()? {
            Ok(row) => {
                count += 1;
                Some(row)
            }
            Err(error) => {
                damage = Some(error);
                None
            }
        });
        let restored = Machine::restore(sound);
        self.seen.checkpoint_rows = count;
        self.note_version(version);
        if let Some(error) = damage {
            if !has_other_members(host, &engine) {
                self.checkpoint_is_bad(error);
                return None;
            }
            let file = disk.display(CHECKPOINT);
            self.find(Severity::Repairable, file, None, error.to_string(), GIVEN);
            return Some(Machine::default());
        }
        if let Some(error) = loaded.damage {
            let file = disk.display(CHECKPOINT);
            self.find(Severity::Repairable, file, None, error.to_string(), ANEW);
        }
        match restored {
            Ok(machine) => {
                self.seen.machine_version = Some(machine.version().0);
                Some(machine)
            }
            Err(error) => {
                let file = disk.display(CHECKPOINT);
                self.find(Severity::Fatal, file, None, error.to_string(), REPLACE);
                None
            }
        }
    }

    fn note_version(&mut self, version: DiskVersion) {
        self.seen.disk_version = self.seen.disk_version.max(version.number());
    }

    fn checkpoint_is_bad(&mut self, error: CheckpointError) {
        let text = error.to_string();
        match error {
            CheckpointError::Corruption { file, what } => {
                self.find(Severity::Fatal, file, None, what, REPLACE);
            }
            CheckpointError::Foreign { file, why } => {
                self.find(Severity::Fatal, file, None, why, FOREIGN);
            }
            _ => self.find(Severity::Fatal, CHECKPOINT, None, text, REPLACE),
        }
    }

    fn log_is_bad(&mut self, error: LogError) {
        match error {
            LogError::Corruption { file, offset, what } => {
                self.find(Severity::Fatal, file, offset, what, REPLACE);
            }
            LogError::Foreign { file, why } => {
                self.find(Severity::Fatal, file, None, why, FOREIGN);
            }
            LogError::NoSpace { .. } => unreachable!("nothing is written"),
            LogError::Io {
                file,
                doing,
                source,
            } => {
                let what = format!("{doing} failed: {source}");
                self.find(Severity::Fatal, file, None, what, REPLACE);
            }
        }
    }

    fn segment_is_bad(&mut self, damage: &SegmentDamage) {
        let SegmentDamage {
            file, offset, what, ..
        } = damage;
        let offset = u64::from(*offset);
        self.find(Severity::Repairable, file, offset, what, REPAIRS);
    }

    fn examine_log(&mut self, mut machine: Machine, log: &Log, scan: Scan) {
        for damage in scan.damage() {
            self.segment_is_bad(damage);
        }
        if let Some(torn) = scan.torn_tail() {
            let (file, what) = (torn.file.clone(), "an unfinished write stands at the end");
            self.find(Severity::Note, file, torn.offset, what, TORN);
        }
        let known: Vec<u32> = scan.damage().iter().map(|damage| damage.segment).collect();
        self.examine_segments(log, &known);
        if self.replay(&mut machine, scan) {
            self.examine_bodies(&machine, log);
        }
    }

    fn examine_segments(&mut self, log: &Log, known: &[u32]) {
        for number in log.unindexed() {
            let (file, what) = (format!("{number:010}.index"), "no sound index file");
            self.find(Severity::Note, file, None, what, UNINDEXED);
        }
        let reader = log.reader();
        for segment in log.segments() {
            self.seen.segments += 1;
            self.note_version(segment.version);
            let mut from = 0;
            while !known.contains(&segment.number) {
                match reader.verify(segment.number, from, limits::DOCTOR_READS_BYTES) {
                    Ok(Verified::UpTo(offset)) => from = offset,
                    Ok(Verified::ToTheEnd) => break,
                    Ok(Verified::Damaged(damage)) => {
                        self.segment_is_bad(&damage);
                        break;
                    }
                    Err(error) => {
                        let file = format!("{:010}.segment", segment.number);
                        let (at, what) = (u64::from(from), error.to_string());
                        self.find(Severity::Repairable, file, at, what, REPAIRS);
                        break;
                    }
                }
            }
        }
    }

    /// What a start would replay must be readable to the last record; bodies that were moved are
    /// followed. False if it is not.
    fn replay(&mut self, machine: &mut Machine, scan: Scan) -> bool {
        for record in scan {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    self.log_is_bad(error);
                    return false;
                }
            };
            self.seen.records_replayed += 1;
            let (lsn, segment, offset) = (record.lsn, record.at.segment, record.at.offset);
            if let Err(why) = replay_one(machine, record) {
                let (file, what) = (
                    format!("{segment:010}.segment"),
                    format!("the record with LSN {lsn} means nothing: {why}"),
                );
                self.find(Severity::Fatal, file, u64::from(offset), what, REPLACE);
                return false;
            }
        }
        true
    }

    fn examine_bodies(&mut self, machine: &Machine, log: &Log) {
        let reader = log.reader();
        let mut from = Some(SearchedUpTo::default());
        let mut bodies: Vec<PlacedBody> = Vec::new();
        while let Some(start) = from {
            from =
                machine.find_bodies(start, limits::COMPACTION_STEP_CHUNKS, |_| true, &mut bodies);
            for body in bodies.drain(..) {
                self.seen.messages += 1;
                self.seen.body_bytes += u64::from(body.size);
                if let Err(error) = read_body(&reader, &body) {
                    self.body_is_bad(&body, &error.to_string());
                }
            }
        }
    }

    fn body_is_bad(&mut self, body: &PlacedBody, why: &str) {
        self.damaged_bodies += 1;
        if self.damaged_bodies > limits::DOCTOR_BODIES_LISTED {
            return;
        }
        let file = format!("{:010}.segment", body.at.segment);
        let (partition, number) = (body.partition, body.sequence.number());
        let what = format!("the body of message {number} of partition {partition}: {why}");
        let offset = u64::from(body.at.offset);
        self.find(Severity::Repairable, file, offset, what, REPAIRS);
    }
}

fn replay_one(machine: &mut Machine, record: LogRecord) -> Result<(), String> {
    if record.kind == kept_body::KIND {
        let found = kept_body::decode(record.payload).map_err(|e| e.to_string())?;
        let kept = found.kept;
        let to = kept_body::place(record.at, found.starts);
        machine.relocate(kept.partition, kept.sequence, kept.from, to);
        return Ok(());
    }
    let decoded = Record::decode(record.kind, record.payload).map_err(|e| e.to_string())?;
    let Record::Entry(entry) = decoded else {
        return Ok(());
    };
    let commands = batch::decode(entry.payload.contiguous()).map_err(|e| e.to_string())?;
    for placed in commands {
        let mut bodies = placed.request.command.bodies().zip(&placed.bodies);
        if !bodies.all(|((_, crc), body)| crc32c::crc32c(body) == crc) {
            return Err("a body in it fails its checksum".to_owned());
        }
    }
    Ok(())
}

impl Diagnosis {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "folder      {}", self.folder)?;
        match self.host {
            Some(host) => writeln!(out, "host        {host}")?,
            None => writeln!(out, "host        unknown")?,
        }
        let Seen {
            checkpoint_rows,
            segments,
            records_replayed,
            messages,
            body_bytes,
            machine_version,
            disk_version,
        } = &self.seen;
        let version = machine_version.map_or("none yet".to_owned(), |version| {
            format!("{checkpoint_rows} rows, machine version {version}")
        });
        writeln!(out, "formats     disk version {disk_version}")?;
        writeln!(out, "checkpoint  {version}")?;
        writeln!(
            out,
            "log         {segments} segments, {records_replayed} records after the checkpoint"
        )?;
        writeln!(
            out,
            "messages    {messages} in the checkpoint, {body_bytes} bytes of bodies read"
        )?;
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Fatal => "FATAL",
                Severity::Repairable => "DAMAGED",
                Severity::Note => "note",
            };
            let at = finding.offset.map(|at| format!(" at offset {at}"));
            let at = at.unwrap_or_default();
            writeln!(out, "\n{severity}: {}{at}: {}", finding.file, finding.what)?;
            writeln!(out, "  {}", finding.advice)?;
        }
        let verdict = if self.sound { "sound" } else { "damaged" };
        writeln!(out, "\nthe folder is {verdict}")
    }
}
