//! Damage to the files of one host while it is down: noticed, and nothing of it reaches anybody.
//!
//! Of each kind of damage the host must either say what is wrong and not serve, or serve and have mended
//! it. What is delivered in the end is compared byte for byte with what was sent, by the load's ledger.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use shoal_e2e::{ensure_kept, prepare_load, waiting_plan};
use shoal_harness::{Cluster as _, Processes, limits, run, wait};
use shoal_load_test::Plan;

/// Enough for several closed segments of 1 MiB.
const MESSAGES: u64 = 6_000;
const BODY_BYTES: usize = 1_024;
/// With these the messages are more than the 256 MiB of log after which a checkpoint is due.
const LARGE_BODY_BYTES: usize = 50_000;
/// The host that is damaged.
const VICTIM: usize = 1;
/// What a host says of damage, whatever it then does about it.
const WORDS: [&str; 5] = ["corrupt", "damage", "missing", "checksum", "repair"];
/// Bytes of a page, of the log as of redb.
const PAGE: u64 = 4_096;

#[test]
fn a_bit_that_flips_anywhere_in_a_log_is_noticed_and_reaches_nobody() {
    run(async |bench| {
        let (mut cluster, load) = filled(bench, waiting_plan(MESSAGES, BODY_BYTES)).await?;
        type Region = fn(&[u8]) -> Result<u64>;
        let regions: [(&str, Region); 8] = [
            ("the segment's magic", |_| Ok(3)),
            ("the segment's salt", |_| Ok(17)),
            ("a block's header", |_| Ok(PAGE + 9)),
            ("a block's checksum", |_| Ok(PAGE + 33)),
            ("a record's header", |_| Ok(PAGE + 36 + 5)),
            ("a record early in the segment", |bytes| {
                data_from(bytes, 0.05)
            }),
            ("a record in the middle", |bytes| data_from(bytes, 0.4)),
            ("a record late in the segment", |bytes| {
                data_from(bytes, 0.8)
            }),
        ];
        for (number, (region, place)) in regions.into_iter().enumerate() {
            let segment = closed_segment(cluster.data(VICTIM), number)?;
            let bytes = fs::read(&segment)?;
            flip(&segment, place(&bytes)?)?;
            match start_damaged(&mut cluster).await? {
                Outcome::Refused(said) => {
                    println!("{region}: refused, {said}");
                    fs::write(&segment, bytes)?;
                }
                Outcome::Serves(said) => println!("{region}: serves, {said:?}"),
            }
        }
        finish(cluster, load).await
    });
}

#[test]
fn a_segment_deleted_truncated_or_zeroed_is_noticed_and_reaches_nobody() {
    type Harm = fn(&Path) -> Result<()>;
    run(async |bench| {
        let (mut cluster, load) = filled(bench, waiting_plan(MESSAGES, BODY_BYTES)).await?;
        let harms: [(&str, Harm); 4] = [
            ("deleted", |path| Ok(fs::remove_file(path)?)),
            ("truncated to nothing", |path| truncate(path, 0)),
            ("truncated in the middle", |path| truncate(path, 50 * PAGE)),
            ("a hole of zeros", |path| {
                let file = fs::File::options().write(true).open(path)?;
                Ok(file.write_all_at(&[0; 2 * PAGE as usize], 20 * PAGE)?)
            }),
        ];
        for (number, (harm, apply)) in harms.into_iter().enumerate() {
            let segment = closed_segment(cluster.data(VICTIM), number)?;
            let bytes = fs::read(&segment)?;
            apply(&segment)?;
            match start_damaged(&mut cluster).await? {
                Outcome::Refused(said) => {
                    println!("{harm}: refused, {said}");
                    fs::write(&segment, bytes)?;
                }
                Outcome::Serves(said) => println!("{harm}: serves, {said:?}"),
            }
        }
        finish(cluster, load).await
    });
}

/// Not every bit of a checkpoint means something: redb has free pages, and several versions of some. What
/// is asked is that no flip makes a difference to anybody, that some are noticed, since they hit rows, and
/// that the host mends them without anybody's help.
#[test]
fn a_bit_that_flips_in_a_checkpoint_reaches_nobody() {
    run(async |bench| {
        // Enough bytes for a checkpoint to be due, which is then being written or there.
        let plan = Plan {
            batch: 50,
            ..waiting_plan(MESSAGES, LARGE_BODY_BYTES)
        };
        let (mut cluster, load) = filled(bench, plan).await?;
        let checkpoint = cluster.data(VICTIM).join("checkpoint.redb");
        let mut noticed = 0;
        for share in [0.0, 0.06, 0.1, 0.14, 0.18] {
            let bytes = fs::read(&checkpoint)?;
            // Behind the last page in use nothing more can be hit.
            let Ok(at) = data_from(&bytes, share) else {
                break;
            };
            flip(&checkpoint, at)?;
            match start_damaged_checkpoint(&mut cluster).await? {
                Outcome::Refused(said) => bail!("byte {at} of {}: {said}", bytes.len()),
                Outcome::Serves(said) => {
                    println!("byte {at} of {}: serves, {said:?}", bytes.len());
                    noticed += usize::from(said.is_some());
                }
            }
        }
        ensure!(noticed > 0, "no flip was noticed");
        finish(cluster, load).await
    });
}

enum Outcome {
    /// It ended, saying this.
    Refused(String),
    /// It is ready, having said this about damage.
    Serves(Option<String>),
}

type Waiting = shoal_load_test::Load<shoal_load_test::Rest>;

/// A cluster with messages waiting, whose victim is down.
async fn filled(bench: &shoal_harness::Bench, plan: Plan) -> Result<(Processes<'_>, Waiting)> {
    let mut cluster = bench.processes().start().await?;
    let load = prepare_load(&cluster.endpoint(), plan).await?;
    load.produce().await;
    cluster.kill(VICTIM).await?;
    Ok((cluster, load))
}

/// Damage to the log must be noticed before anything is served.
async fn start_damaged(cluster: &mut Processes<'_>) -> Result<Outcome> {
    let outcome = start_damaged_checkpoint(cluster).await?;
    if let Outcome::Serves(None) = outcome {
        let log = cluster.log(VICTIM).await?;
        bail!("it serves and has not noticed anything:\n{log}");
    }
    Ok(outcome)
}

/// Starts the victim, waits until it has ended or is ready, and leaves it down again.
async fn start_damaged_checkpoint(cluster: &mut Processes<'_>) -> Result<Outcome> {
    cluster.forget_log(VICTIM)?;
    cluster.restart(VICTIM).await?;
    let ended = wait::until("the damaged host to decide", limits::READY, async || {
        if cluster.has_ended(VICTIM)? {
            return Ok(true);
        }
        cluster.is_ready(VICTIM).await?;
        Ok(false)
    })
    .await?;
    let log = cluster.log(VICTIM).await?;
    let said = log
        .lines()
        .find(|line| WORDS.iter().any(|word| line.contains(word)))
        .map(str::to_owned);
    if ended {
        let Some(said) = said else {
            bail!("it ended and does not say that something is damaged:\n{log}");
        };
        return Ok(Outcome::Refused(said));
    }
    cluster.kill(VICTIM).await?;
    Ok(Outcome::Serves(said))
}

/// With the victim back, everything that was accepted is delivered as it was sent.
async fn finish(mut cluster: Processes<'_>, load: Waiting) -> Result<()> {
    cluster.restart(VICTIM).await?;
    cluster.ready(VICTIM).await?;
    // The victim has to answer for what it has.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let report = load.consume().await;
    ensure!(report.verdict.accepted == MESSAGES, "{report}");
    ensure_kept(&report)
}

/// Another one each time, since a host that mends itself may go on with a segment that is damaged.
fn closed_segment(data: &Path, number: usize) -> Result<PathBuf> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "segment") {
            segments.push(path);
        }
    }
    segments.sort();
    // The last one is being filled.
    segments.pop();
    ensure!(segments.len() > 3, "too few segments: {segments:?}");
    Ok(segments.swap_remove(number % segments.len()))
}

/// The first place behind this share of a segment that is no padding, of which nobody asks what it says.
fn data_from(bytes: &[u8], share: f64) -> Result<u64> {
    const WINDOW: usize = 64;
    let from = (bytes.len() as f64 * share) as usize;
    let found = bytes[from..]
        .windows(WINDOW)
        .position(|window| window.iter().filter(|byte| **byte != 0).count() > WINDOW / 2);
    let found = found.context("nothing but padding")?;
    // Well within it.
    let within = found + WINDOW / 2;
    let set = bytes[from + within..].iter().position(|byte| *byte != 0);
    Ok((from + within + set.context("nothing but padding")?) as u64)
}

fn flip(file: &Path, at: u64) -> Result<()> {
    let file = fs::File::options().read(true).write(true).open(file)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 1 << (at % 8);
    Ok(file.write_all_at(&byte, at)?)
}

fn truncate(path: &Path, bytes: u64) -> Result<()> {
    Ok(fs::File::options().write(true).open(path)?.set_len(bytes)?)
}
