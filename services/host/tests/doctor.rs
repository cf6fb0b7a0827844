//! What is said about a data folder, sound or damaged, without changing a byte of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use shoal_host::core::encode_meta;
use shoal_host::doctor::{Diagnosis, DoctorError, Severity, examine};
use shoal_queue::Machine;
use shoal_replication::{Engine, EngineConfig, Record};
use shoal_storage::{
    CheckpointOptions, Checkpoints, Commit, DataFolder, DiskVersion, Log, LogOptions, Lsn, Tag,
};
use shoal_types::{
    BodyRef, Command, HostId, Incarnation, Mono, Now, PartitionId, Position, QueueSettings,
    Request, RequestId, Revision, SendItem, Ts, ViewNumber,
};

const QUEUE: PartitionId = PartitionId(7);
const BODY: Bytes = Bytes::from_static(&[b'x'; 50_000]);
const FIRST: &str = "0000000001.segment";
const LAST: &str = "0000000002.segment";

fn append(log: &mut Log, record: &Record) -> Lsn {
    let lsn = log.append(record.kind(), Tag::NONE, &record.encode()).lsn;
    let batch = log.take_batch().unwrap();
    let done = batch.write().unwrap();
    log.complete(done);
    lsn
}

/// Three messages in the checkpoint, their bodies in the first segment, and two records to be replayed
/// in the second. Gives where the bodies lie.
fn make_folder(path: &Path) -> Vec<BodyRef> {
    let folder = DataFolder::open(path).unwrap();
    let host = folder.host();
    let mut bodies = Vec::new();
    let (mut log, _) = Log::open(folder.disk(), LogOptions::new(host, 1)).unwrap();
    for _ in 0..3 {
        bodies.push(log.append(1, Tag::NONE, &[BODY]).at.body(0));
    }
    let done = log.take_batch().unwrap().write().unwrap();
    log.complete(done);
    drop(log);
    let (mut log, _) = Log::open(folder.disk(), LogOptions::new(host, 2)).unwrap();
    let replay_from = append(&mut log, &Record::Incarnation(Incarnation(1)));
    append(&mut log, &Record::Incarnation(Incarnation(2)));
    let checkpoints = Checkpoints::open(folder.disk(), CheckpointOptions::default()).unwrap();
    let commit = Commit {
        version: DiskVersion::V1,
        meta: encode_meta(&engine(host).checkpoint()),
        replay_from,
        writes: machine(host, &bodies).freeze().into_writes(),
    };
    checkpoints.write(commit).unwrap();
    bodies
}

fn engine(host: HostId) -> Engine {
    let now = Now {
        mono: Mono(1),
        wall: Ts(1),
    };
    Engine::new(EngineConfig::new(host, 1), None, now)
}

fn machine(host: HostId, bodies: &[BodyRef]) -> Machine {
    let mut machine = Machine::default();
    let at = Position {
        view: ViewNumber(1),
        ts: Ts(1_000),
        lane: host,
    };
    machine.begin_entry(at, &mut Vec::new());
    let create = Command::CreatePartition {
        partition: QUEUE,
        settings: QueueSettings::default().partition(Default::default()),
        revision: Revision(2),
    };
    let item = SendItem {
        size: BODY.len() as u32,
        crc: crc32c::crc32c(&BODY),
        delay: None,
        ttl: None,
        group: None,
        deduplication: None,
    };
    let send = Command::Send {
        partition: QUEUE,
        items: vec![item; bodies.len()],
    };
    for (id, command, bodies) in [(1, create, &[][..]), (2, send, bodies)] {
        let request = Request {
            id: RequestId(id),
            deadline: Ts(2_000),
            origin: Default::default(),
            command,
        };
        machine.apply(&request, bodies, &mut Vec::new());
    }
    machine
}

fn contents(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

/// Examines a fresh folder after something was done to it, and sees to it that nothing changes by that.
fn after(damage: impl FnOnce(&Path, &[BodyRef])) -> Diagnosis {
    let folder = tempfile::tempdir().unwrap();
    let bodies = make_folder(folder.path());
    damage(folder.path(), &bodies);
    let before = contents(folder.path());
    let diagnosis = examine(folder.path()).unwrap();
    assert!(contents(folder.path()) == before, "the folder was changed");
    diagnosis
}

fn flip(file: &Path, offset: u32) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset as usize] ^= 4;
    fs::write(file, bytes).unwrap();
}

fn worst(diagnosis: &Diagnosis) -> (Severity, &str, Option<u64>) {
    assert!(!diagnosis.sound);
    let worst = &diagnosis.findings[0];
    let name = worst.file.rsplit('/').next().unwrap();
    (worst.severity, name, worst.offset)
}

#[test]
fn a_sound_folder_is_sound() {
    let diagnosis = after(|_, _| {});
    assert!(diagnosis.sound, "{}", diagnosis.text());
    let seen = &diagnosis.seen;
    assert_eq!((seen.messages, seen.body_bytes), (3, 150_000));
    assert_eq!((seen.segments, seen.records_replayed), (2, 2));
    assert!(diagnosis.text().ends_with("the folder is sound\n"));
}

#[test]
fn an_empty_host_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    drop(DataFolder::open(folder.path()).unwrap());
    let diagnosis = examine(folder.path()).unwrap();
    assert!(diagnosis.sound, "{}", diagnosis.text());
}

#[test]
fn a_damaged_body_is_named_with_its_place_and_its_message() {
    let diagnosis = after(|path, bodies| flip(&path.join(FIRST), bodies[1].offset + 7));
    assert_eq!(worst(&diagnosis).0, Severity::Repairable);
    let of_message = |what: &str| what.starts_with("the body of message 2 of partition ");
    let body = diagnosis.findings.iter().find(|f| of_message(&f.what));
    assert!(body.is_some(), "{}", diagnosis.text());
    assert!(diagnosis.text().ends_with("the folder is damaged\n"));
}

#[test]
fn lost_segments_are_told_apart_by_whether_they_are_replayed() {
    let covered = after(|path, _| fs::remove_file(path.join(FIRST)).unwrap());
    assert_eq!(worst(&covered), (Severity::Repairable, FIRST, Some(0)));
    let damaged = covered.findings.iter().filter(|f| f.what.contains("body"));
    assert_eq!(damaged.count(), 3);
    let replayed = after(|path, _| flip(&path.join(LAST), 4_096 + 60));
    assert_eq!(worst(&replayed), (Severity::Fatal, LAST, Some(4_096)));
}

#[test]
fn a_damaged_checkpoint_or_identity_is_fatal() {
    let checkpoint = after(|path, _| {
        let file = path.join("checkpoint.redb");
        // Heads of earlier commits may still lie in pages that are free by now.
        let bytes = fs::read(&file).unwrap();
        let starts = (0..bytes.len() - 8).filter(|at| bytes[*at..].starts_with(b"SHOALCHK"));
        for at in starts {
            flip(&file, at as u32 + 14);
        }
    });
    let (severity, file, _) = worst(&checkpoint);
    assert_eq!((severity, file), (Severity::Fatal, "checkpoint.redb"));
    let identity = after(|path, _| flip(&path.join("identity"), 3));
    assert_eq!(worst(&identity), (Severity::Fatal, "identity", None));
    assert_eq!(identity.host, None);
}

#[test]
fn a_folder_in_use_or_not_there_is_not_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let missing = examine(&folder.path().join("nothing")).unwrap_err();
    assert!(matches!(missing, DoctorError::NoFolder(_)));
    let _owner = DataFolder::open(folder.path()).unwrap();
    let held = examine(folder.path()).unwrap_err().to_string();
    assert!(held.contains("is in use by process"), "{held}");
}
