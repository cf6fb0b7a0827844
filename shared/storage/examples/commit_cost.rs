//! What durability costs on a disk: `cargo run --release -p shoal-storage --example commit_cost --
//! --data DIR [--seconds N]`. Writes into an empty folder of its own under DIR and removes it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shoal_storage::{Address, Disk, Log, LogOptions, RealDisk, Tag, random_u64};
use shoal_types::{HostId, ViewNumber};

type Failure = Box<dyn std::error::Error>;

const OWNER: HostId = HostId(1);
/// Records of a restart that is measured.
const RESTART_RECORDS: u64 = 100_000;

struct Arguments {
    data: PathBuf,
    seconds: u64,
}

fn arguments() -> Option<Arguments> {
    let mut data = None;
    let mut seconds = 3;
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        match (&name[..], given.next()?) {
            ("--data", value) => data = Some(PathBuf::from(value)),
            ("--seconds", value) => seconds = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(Arguments {
        data: data?,
        seconds,
    })
}

fn main() -> Result<(), Failure> {
    let Some(arguments) = arguments() else {
        return Err("usage: commit_cost --data DIR [--seconds N]".into());
    };
    let folder = arguments
        .data
        .join(format!("commit-cost-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&folder, Duration::from_secs(arguments.seconds));
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, time: Duration) -> Result<(), Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new(folder));
    println!("group commits, one after the other, each one durable:");
    for (name, record, per_batch) in [
        ("1 KiB", 1 << 10, 1),
        ("10 × 1 KiB", 1 << 10, 10),
        ("100 × 1 KiB", 1 << 10, 100),
        ("100 KiB", 100 << 10, 1),
    ] {
        commits(&disk, name, record, per_batch, time)?;
    }
    restart(&disk)
}

fn open(disk: &Arc<dyn Disk>) -> Result<(Log, shoal_storage::Scan), Failure> {
    let options = LogOptions::new(OWNER, random_u64()?);
    Ok(Log::open(Arc::clone(disk), options)?)
}

/// Spares are made on a thread of their own, as a host does.
fn keep_up(log: &mut Log) {
    if let Some(job) = log.upkeep() {
        std::thread::spawn(move || {
            if let Err(error) = job.run() {
                eprintln!("no spare: {error}");
            }
        });
    }
}

fn write(log: &mut Log) -> Result<(), Failure> {
    while let Some(batch) = log.take_batch() {
        let done = batch.write()?;
        let _ = log.complete(done);
    }
    Ok(())
}

fn free_old_segments(log: &mut Log) -> Result<(), Failure> {
    let closed: Vec<u32> = log
        .segments()
        .iter()
        .filter(|s| s.closed)
        .map(|s| s.number)
        .collect();
    Ok(log.remove_segments(&closed).run()?)
}

fn commits(
    disk: &Arc<dyn Disk>,
    name: &str,
    record: usize,
    per_batch: usize,
    time: Duration,
) -> Result<(), Failure> {
    let (mut log, scan) = open(disk)?;
    drop(scan);
    // A spare first, so that what is measured is the steady state.
    if let Some(job) = log.upkeep() {
        job.run()?;
    }
    let body = Bytes::from(vec![7; record]);
    let mut took = Vec::new();
    let started = Instant::now();
    let mut index = 0;
    while started.elapsed() < time {
        let begun = Instant::now();
        for _ in 0..per_batch {
            index += 1;
            let tag = Tag {
                view: ViewNumber(1),
                lane: OWNER,
                index,
            };
            log.append(1, tag, std::slice::from_ref(&body));
        }
        write(&mut log)?;
        took.push(begun.elapsed());
        keep_up(&mut log);
    }
    let per_second = index as f64 / started.elapsed().as_secs_f64();
    let (median, p99) = quantiles(&mut took);
    let megabytes = per_second * record as f64 / 1e6;
    println!(
        "  {name:>12}: median {median:>7.1?}, p99 {p99:>7.1?}, {per_second:>8.0} records/s, {megabytes:>6.1} MB/s"
    );
    if log.segments().len() > 8 {
        free_old_segments(&mut log)?;
    }
    Ok(())
}

/// 100,000 records of 1 KiB are written, opened again and read.
fn restart(disk: &Arc<dyn Disk>) -> Result<(), Failure> {
    let (mut log, _) = open(disk)?;
    let body = Bytes::from(vec![7; 1 << 10]);
    let first = log.next_lsn();
    let mut places: VecDeque<Address> = VecDeque::new();
    let started = Instant::now();
    for i in 1..=RESTART_RECORDS {
        let tag = Tag {
            view: ViewNumber(2),
            lane: OWNER,
            index: i,
        };
        places.push_back(log.append(1, tag, std::slice::from_ref(&body)).at);
        if i % 100 == 0 {
            write(&mut log)?;
            keep_up(&mut log);
        }
    }
    println!(
        "{RESTART_RECORDS} records of 1 KiB written in {:.2?}",
        started.elapsed()
    );
    drop(log);

    let started = Instant::now();
    let options = LogOptions {
        replay_from: first,
        ..LogOptions::new(OWNER, random_u64()?)
    };
    let (log, scan) = Log::open(Arc::clone(disk), options)?;
    let opened = started.elapsed();
    let mut records = 0;
    for record in scan {
        record?;
        records += 1;
    }
    println!(
        "restart: opened in {opened:.2?}, {records} records replayed in {:.2?} more",
        started.elapsed() - opened
    );

    let reader = log.reader();
    let mut took = Vec::new();
    let count = places.len();
    for i in 0..20_000 {
        // All over the place: a step that is coprime to the count.
        let at = places[i * 7_919 % count];
        let begun = Instant::now();
        reader.body(at.body(0), 1 << 10)?;
        took.push(begun.elapsed());
    }
    let (median, p99) = quantiles(&mut took);
    println!("a body of 1 KiB read: median {median:.1?}, p99 {p99:.1?}");
    let started = Instant::now();
    let mut next = 1;
    while next <= RESTART_RECORDS {
        let found = reader.entries(ViewNumber(2), OWNER, next, RESTART_RECORDS, 1 << 20)?;
        next += found.len() as u64;
    }
    let took = started.elapsed();
    let rate = RESTART_RECORDS as f64 * 1024.0 / 1e6 / took.as_secs_f64();
    println!("all entries read by lane in {took:.2?} ({rate:.0} MB/s)");
    Ok(())
}

fn quantiles(took: &mut [Duration]) -> (Duration, Duration) {
    took.sort_unstable();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}
