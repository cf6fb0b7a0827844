//! What is drawn once for a run: each seed gives another kind of cluster, of network, of disks, and
//! switches on other faults ("swarm testing": what never happens together is tested apart as well).

use std::collections::BTreeMap;

use shoal_types::{HostId, MachineVersion, Micros};

use crate::faults::FaultKind;
use crate::limits::{CLOCK_ERROR_MAX, MS, SECOND};
use crate::members::MemberOptions;
use crate::random::Random;
use crate::releases::{FIRST, ReleaseOptions, SUCCESSION, TRANSFERS};

/// Everything about a run that does not change while it runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything follows from it.
    pub seed: u64,
    /// The hosts that form the cluster.
    pub hosts: Vec<HostId>,
    /// How long clients load the cluster while faults happen.
    pub load: Micros,
    /// Faults: which, and how often.
    pub faults: FaultOptions,
    /// Logs and checkpoints.
    pub storage: StorageOptions,
    /// Between hosts, and between them and clients.
    pub network: NetworkOptions,
    /// How fast disks are.
    pub disk: DiskOptions,
    /// The clocks of the hosts.
    pub clocks: BTreeMap<HostId, ClockOptions>,
    /// When each host is told to form.
    pub formation: BTreeMap<HostId, Micros>,
    /// Which release each host runs, and when it is upgraded.
    pub releases: ReleaseOptions,
    /// Who may become a member.
    pub members: MemberOptions,
    /// Partitions are followed by others, as when queues move.
    pub moves: bool,
    /// Messages die and go to other queues, and tasks move them.
    pub dead_letters: bool,
}

/// Faults: which, and how often.
#[derive(Clone, Debug)]
pub struct FaultOptions {
    /// These may happen.
    pub kinds: Vec<FaultKind>,
    /// Mean time between two faults.
    pub every: Micros,
    /// How long hosts stay away, links stay cut and so on; a fault draws around it.
    pub lasts: Micros,
}

/// Logs and checkpoints.
#[derive(Clone, Copy, Debug)]
pub struct StorageOptions {
    /// Size of a log segment.
    pub segment_bytes: u32,
    /// Time between two checkpoints.
    pub checkpoint_interval: Micros,
    /// Bytes of log between two checkpoints.
    pub checkpoint_log_bytes: u64,
    /// Bytes of log kept for a member that is behind.
    pub catch_up_bytes: u64,
    /// Bytes of a chunk of a snapshot.
    pub chunk_bytes: usize,
    /// Bytes of snapshots sent in a second.
    pub snapshot_bytes_per_second: u64,
}

/// Between hosts, and between them and clients.
#[derive(Clone, Copy, Debug)]
pub struct NetworkOptions {
    /// Shortest time one way.
    pub latency: Micros,
    /// Added at random.
    pub jitter: Micros,
    /// Of a thousand frames so many are lost and come later, holding up all behind them, as with TCP.
    pub repeated_permille: u64,
    /// Of a hundred thousand frames so many end their connection.
    pub broken_per_100_000: u64,
    /// Of a thousand messages so many are lost for good, though TCP would not lose them.
    pub lost_permille: u64,
    /// Of a thousand messages so many come twice.
    pub twice_permille: u64,
    /// Of a thousand messages so many come later than those sent after them.
    pub late_permille: u64,
    /// Messages are written to bytes and read again, as on a real network.
    pub encoded: bool,
}

/// How fast disks are.
#[derive(Clone, Copy, Debug)]
pub struct DiskOptions {
    /// Shortest time of a write with its sync.
    pub sync: Micros,
    /// Added at random.
    pub jitter: Micros,
    /// Bytes per microsecond.
    pub throughput: u64,
    /// What a power loss leaves of unsynced data: true: a random part, false: nothing.
    pub keeps_some: bool,
}

/// The clocks of one host.
#[derive(Clone, Copy, Debug)]
pub struct ClockOptions {
    /// Microseconds that the monotonic clock gains in a second (negative: loses).
    pub drift_ppm: i64,
    /// Microseconds by which the system's wall clock is ahead of true time when the run begins.
    pub ahead: i64,
}

/// What the command line fixes; everything else is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Seconds of load.
    pub seconds: u64,
    /// Hosts of the cluster.
    pub hosts: Option<u64>,
    /// Partitions are followed by others, as when queues move.
    pub moves: bool,
    /// Messages die and go to other queues, and tasks move them.
    pub dead_letters: bool,
}

impl Wanted {
    /// The oldest rules that know what the clients ask for.
    fn version(self) -> MachineVersion {
        match (self.moves, self.dead_letters) {
            (_, true) => TRANSFERS,
            (true, false) => SUCCESSION,
            (false, false) => FIRST,
        }
    }
}

impl Options {
    /// Another kind of run for every seed.
    #[must_use]
    pub fn draw(seed: u64, wanted: Wanted) -> Self {
        let random = Random::new(seed);
        let hosts = wanted
            .hosts
            .unwrap_or_else(|| draw_hosts(&mut random.fork("hosts")));
        let hosts: Vec<HostId> = (1..=hosts).map(HostId).collect();
        let faults = FaultOptions::draw(&mut random.fork("faults"), hosts.len());
        let mut clocks = draw_clocks(&mut random.fork("clocks"), &hosts, &faults);
        let members = MemberOptions::draw(&mut random.fork("members"), hosts.len());
        members.draw_clocks(&mut random.fork("spare clocks"), &mut clocks);
        let storage = StorageOptions::draw(&mut random.fork("storage"));
        let load = wanted.seconds * SECOND;
        Self {
            seed,
            releases: ReleaseOptions::draw(&mut random.fork("releases"), &hosts, load)
                .at_least(wanted.version()),
            moves: wanted.moves,
            dead_letters: wanted.dead_letters,
            load,
            storage,
            members,
            network: NetworkOptions::draw(&mut random.fork("network"), &faults),
            disk: DiskOptions::draw(&mut random.fork("disk")),
            formation: draw_formation(&mut random.fork("formation"), &hosts),
            clocks,
            faults,
            hosts,
        }
    }

    /// Without any fault, and everything as one would like it: where scenarios start from.
    #[must_use]
    pub fn calm(seed: u64, hosts: u64, seconds: u64) -> Self {
        let hosts: Vec<HostId> = (1..=hosts).map(HostId).collect();
        let right = ClockOptions {
            drift_ppm: 0,
            ahead: 0,
        };
        Self {
            seed,
            load: seconds * SECOND,
            faults: FaultOptions {
                kinds: Vec::new(),
                every: SECOND,
                lasts: SECOND,
            },
            storage: StorageOptions {
                segment_bytes: 256 << 10,
                checkpoint_interval: 3 * SECOND,
                checkpoint_log_bytes: 1 << 20,
                catch_up_bytes: 1 << 40,
                chunk_bytes: 64 << 10,
                snapshot_bytes_per_second: 64 << 20,
            },
            network: NetworkOptions {
                latency: 100,
                jitter: 100,
                repeated_permille: 0,
                broken_per_100_000: 0,
                lost_permille: 0,
                twice_permille: 0,
                late_permille: 0,
                encoded: true,
            },
            disk: DiskOptions {
                sync: 300,
                jitter: 300,
                throughput: 200,
                keeps_some: true,
            },
            clocks: hosts.iter().map(|host| (*host, right)).collect(),
            formation: hosts.iter().map(|host| (*host, 10 * MS)).collect(),
            releases: ReleaseOptions::default(),
            members: MemberOptions::default(),
            moves: false,
            dead_letters: false,
            hosts,
        }
    }
}

fn draw_hosts(random: &mut Random) -> u64 {
    *random.choose(&[3, 3, 3, 3, 3, 3, 4, 4, 4, 5])
}

impl FaultOptions {
    fn draw(random: &mut Random, hosts: usize) -> Self {
        let mut kinds = Vec::new();
        let quiet = random.one_in(12);
        if !quiet {
            let percent = *random.choose(&[10, 25, 50]);
            kinds.extend(
                FaultKind::ALL
                    .iter()
                    .copied()
                    .filter(|kind| kind.fits(hosts) && random.chance_percent(percent)),
            );
            if kinds.is_empty() {
                kinds.push(*random.choose(&[FaultKind::Kill, FaultKind::Minority]));
            }
        }
        Self {
            kinds,
            every: random.magnitude(300 * MS..10 * SECOND),
            lasts: random.magnitude(50 * MS..8 * SECOND),
        }
    }

    fn has(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind)
    }
}

impl StorageOptions {
    fn draw(random: &mut Random) -> Self {
        // Hosts that keep next to nothing need snapshots often.
        let forgetful = random.one_in(3);
        let (segments, slowest): (&[u32], Micros) = if forgetful {
            (&[16 << 10], 2 * SECOND)
        } else {
            (&[16 << 10, 64 << 10, 256 << 10, 4 << 20], 40 * SECOND)
        };
        let kept: &[u64] = if forgetful {
            &[1, 32 << 10]
        } else {
            &[64 << 10, 256 << 10, 4 << 20, 1 << 40]
        };
        Self {
            segment_bytes: *random.choose(segments),
            checkpoint_interval: random.magnitude(500 * MS..slowest),
            checkpoint_log_bytes: *random.choose(&[64 << 10, 1 << 20, 256 << 20]),
            catch_up_bytes: *random.choose(kept),
            // A cluster with one host dead and one let behind serves nobody until that has its snapshot,
            // so it must not take longer than operations may wait once faults are over.
            chunk_bytes: *random.choose(&[16 << 10, 64 << 10, 1 << 20]),
            snapshot_bytes_per_second: *random.choose(&[8 << 20, 64 << 20]),
        }
    }
}

impl NetworkOptions {
    fn draw(random: &mut Random, faults: &FaultOptions) -> Self {
        let mut rate = |wanted: bool, most: u64| if wanted { random.range(1..most + 1) } else { 0 };
        let (repeated, broken) = (
            faults.has(FaultKind::PacketLoss),
            faults.has(FaultKind::BrokenLinks),
        );
        let (lost, twice) = (
            faults.has(FaultKind::LostMessages),
            faults.has(FaultKind::TwiceMessages),
        );
        let late = faults.has(FaultKind::LateMessages);
        Self {
            repeated_permille: rate(repeated, 20),
            broken_per_100_000: rate(broken, 30),
            lost_permille: rate(lost, 50),
            twice_permille: rate(twice, 50),
            late_permille: rate(late, 50),
            latency: random.magnitude(30..3_000),
            jitter: random.magnitude(20..2_000),
            encoded: random.one_in(4),
        }
    }
}

impl DiskOptions {
    fn draw(random: &mut Random) -> Self {
        let sync = random.magnitude(50..6_000);
        Self {
            sync,
            jitter: random.range(sync / 10 + 1..sync + 2),
            throughput: random.magnitude(20..1_000),
            keeps_some: !random.one_in(4),
        }
    }
}

fn draw_clocks(
    random: &mut Random,
    hosts: &[HostId],
    faults: &FaultOptions,
) -> BTreeMap<HostId, ClockOptions> {
    let error = *random.choose(&[1, CLOCK_ERROR_MAX / 10, CLOCK_ERROR_MAX]);
    let far = faults
        .has(FaultKind::FarClock)
        .then(|| *random.choose(hosts));
    let mut draw = |host: &HostId| {
        let near = random.range(0..2 * error + 1) as i64 - error as i64;
        let off = random.magnitude(600 * MS..7_200 * SECOND) as i64;
        let off = if random.one_in(2) { -off } else { off };
        let ahead = if far == Some(*host) { off } else { near };
        let drift_ppm = random.range(0..601) as i64 - 300;
        (*host, ClockOptions { drift_ppm, ahead })
    };
    hosts.iter().map(&mut draw).collect()
}

/// Mostly all at once; sometimes some of them seconds later.
fn draw_formation(random: &mut Random, hosts: &[HostId]) -> BTreeMap<HostId, Micros> {
    let late = random.one_in(4);
    let mut at = |host: &HostId| {
        let at = if late && random.one_in(2) {
            random.range(SECOND..8 * SECOND)
        } else {
            random.range(MS..50 * MS)
        };
        (*host, at)
    };
    hosts.iter().map(&mut at).collect()
}
