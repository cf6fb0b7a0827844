//! What a host's disk does beside the process's turns. A job changes the disk at the moment it ends; if
//! a crash comes before, some part of it may have been done.

use shoal_host::core::{
    CheckpointDone, PendingCheckpoint, ScrubLook, SnapshotJob, SnapshotJobKind,
};
use shoal_storage::{Batch, Checkpoints, LogReader, Removal, Upkeep};
use shoal_types::{HostId, Micros};

use super::host::Input;
use super::{Event, World, contained};
use crate::actions::{Action, JobKind};
use crate::history::SimTime;
use crate::limits::WRITTEN_AGAIN_WHEN_FULL;
use crate::sometimes::Sometimes;
use crate::trace::Note;

/// How a job ended.
enum Ended {
    /// The process hears of it.
    Heard(Input),
    /// The process hears nothing.
    Quietly,
    /// The disk is full: nothing was written, and the same is tried again.
    WithoutRoom(Job),
}

/// One job.
pub(super) enum Job {
    Write(Batch),
    Checkpoint(Box<PendingCheckpoint>),
    Upkeep(Upkeep),
    Remove(Removal),
    Snapshot(SnapshotJob),
    Scrub(ScrubLook),
}

impl Job {
    pub(super) fn kind(&self) -> JobKind {
        match self {
            Self::Write(_) => JobKind::Write,
            Self::Checkpoint(_) => JobKind::Checkpoint,
            Self::Upkeep(_) => JobKind::Upkeep,
            Self::Remove(_) => JobKind::Removal,
            Self::Snapshot(job) => match job.kind() {
                SnapshotJobKind::Read => JobKind::SnapshotRead,
                SnapshotJobKind::Install => JobKind::SnapshotInstall,
                SnapshotJobKind::Stage | SnapshotJobKind::Verify | SnapshotJobKind::Discard => {
                    JobKind::SnapshotStage
                }
            },
            Self::Scrub(_) => JobKind::Scrub,
        }
    }

    /// Does it.
    fn run(self, log: &LogReader, checkpoints: &Checkpoints) -> Result<Ended, String> {
        match self {
            Self::Write(batch) => match batch.write() {
                Ok(done) => Ok(Ended::Heard(Input::Written(done))),
                Err(error) if error.may_succeed_later() => {
                    Ok(Ended::WithoutRoom(Self::Write(batch)))
                }
                Err(error) => Err(format!("the log cannot be written any more: {error}")),
            },
            Self::Checkpoint(pending) => pending
                .write(checkpoints)
                .map(|done| Ended::Heard(Input::Checkpoint(done)))
                .map_err(|error| format!("the checkpoint cannot be written any more: {error}")),
            Self::Snapshot(job) => job
                .run(checkpoints)
                .map(|done| Ended::Heard(Input::Snapshot(done)))
                .map_err(|error| format!("a snapshot cannot be installed: {error}")),
            Self::Scrub(look) => Ok(Ended::Heard(Input::Scrubbed(look.run(log, checkpoints)))),
            // The host goes on without these.
            Self::Upkeep(upkeep) => {
                let _ = upkeep.run();
                Ok(Ended::Quietly)
            }
            Self::Remove(removal) => {
                let _ = removal.run();
                Ok(Ended::Quietly)
            }
        }
    }
}

impl World {
    /// A process gives its disk something to do.
    pub(super) fn start_job(&mut self, id: HostId, job: Job) {
        let takes = self.job_takes(id, &job);
        // Snapshots are too rare for a planned kill to hit them.
        let faults = !self.options.faults.kinds.is_empty() && !self.is_settling();
        let rarely_reached = faults && matches!(job, Job::Snapshot(_));
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let begins = self.now.max(host.disk_stalled_until);
        let process = host.process.as_mut().expect("it gave the job");
        process.last_job += 1;
        let (life, number) = (process.life, process.last_job);
        host.installs |= job.kind() == JobKind::SnapshotInstall;
        let by_chance = rarely_reached && self.fault_random.one_in(job.kind().killed_one_in());
        let kills = by_chance || host.kill_in_job == Some(job.kind());
        if kills {
            host.kill_in_job = None;
        }
        process.jobs.insert(number, job);
        let event = Event::JobEnds {
            host: id,
            life,
            job: number,
        };
        if kills {
            let at = SimTime(begins.0 + self.disk_random.below(takes));
            self.schedule.at(at, Event::Act(Action::Kill(id)));
            let back = SimTime(at.0 + self.process_random.magnitude(10_000..3_000_000));
            self.schedule.at(back, Event::StartAgain { host: id });
        }
        self.schedule.at(SimTime(begins.0 + takes), event);
    }

    fn job_takes(&mut self, id: HostId, job: &Job) -> Micros {
        let disk = self.options.disk;
        let sync = disk.sync + self.disk_random.below(disk.jitter + 1);
        let usual = match job {
            Job::Write(batch) => sync + batch.bytes() / disk.throughput,
            Job::Checkpoint(_) => sync * self.disk_random.range(2..40),
            Job::Upkeep(_) => sync * self.disk_random.range(1..30),
            Job::Remove(_) => sync * self.disk_random.range(1..30),
            // Rows are mostly gathered in memory, and what was just written is read from there.
            Job::Snapshot(_) if self.disk_random.one_in(2) => self.disk_random.range(1..50),
            Job::Snapshot(_) => sync * self.disk_random.range(1..20),
            Job::Scrub(_) => sync * self.disk_random.range(1..10),
        };
        usual * self.hosts[&id].disk_slower
    }

    /// A job's time is over: it is done, unless the disk stalled meanwhile.
    pub(super) fn job_ends(&mut self, id: HostId, life: u64, number: u64) {
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let stalled_until = host.disk_stalled_until;
        let Some(process) = host.life(life) else {
            return;
        };
        if self.now < stalled_until {
            let event = Event::JobEnds {
                host: id,
                life,
                job: number,
            };
            return self.schedule.at(stalled_until, event);
        }
        let Some(job) = process.jobs.remove(&number) else {
            // It was hastened, and this is when it would have ended.
            return;
        };
        let kind = job.kind();
        let (log, checkpoints) = (&process.reader, &process.checkpoints);
        let result = contained(|| job.run(log, checkpoints));
        self.note_job(id, kind, &result);
        match result {
            Ok(Ok(Ended::Heard(input))) => self.give(id, input),
            Ok(Ok(Ended::Quietly)) => {}
            Ok(Ok(Ended::WithoutRoom(job))) => self.try_again_later(id, life, number, job),
            Ok(Err(why)) => self.give(id, Input::Failed(why)),
            Err(panic) => self.process_panicked(id, &panic),
        }
        self.go_on_from_snapshot(id);
    }

    /// The disk is as fast as usual again: what was begun on the slow one does not go on as slowly.
    pub(super) fn hasten_jobs(&mut self, id: HostId) {
        let at = SimTime(self.now.0 + self.options.disk.sync);
        let Some(process) = &self.hosts[&id].process else {
            return;
        };
        for number in process.jobs.keys() {
            let event = Event::JobEnds {
                host: id,
                life: process.life,
                job: *number,
            };
            self.schedule.at(at, event);
        }
    }

    /// A job without room waits on, under its number.
    fn try_again_later(&mut self, id: HostId, life: u64, number: u64, job: Job) {
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let process = host.life(life).expect("its job has just run");
        process.jobs.insert(number, job);
        let event = Event::JobEnds {
            host: id,
            life,
            job: number,
        };
        let at = SimTime(self.now.0 + WRITTEN_AGAIN_WHEN_FULL);
        self.schedule.at(at, event);
    }

    fn note_job(
        &mut self,
        id: HostId,
        kind: JobKind,
        result: &Result<Result<Ended, String>, String>,
    ) {
        let ok = matches!(result, Ok(Ok(Ended::Heard(_) | Ended::Quietly)));
        let failed = std::mem::take(&mut self.hosts[&id].disk.troubles().failed);
        self.trace.note(
            self.now,
            &Note::Job {
                host: id,
                what: kind,
                ok,
            },
        );
        match result {
            Ok(Ok(Ended::Heard(Input::Checkpoint(CheckpointDone::Durable { anew, .. })))) => {
                if *anew {
                    self.reached.note(Sometimes::CheckpointMended);
                }
                self.reached.note(Sometimes::CheckpointWritten)
            }
            Ok(Ok(Ended::Heard(Input::Checkpoint(CheckpointDone::NoSpace(_))))) => {
                self.reached.note(Sometimes::CheckpointFull)
            }
            Ok(Ok(Ended::Quietly)) if kind == JobKind::Removal => {
                self.reached.note(Sometimes::SegmentRemoved)
            }
            Ok(Err(_)) if failed.write => self.reached.note(Sometimes::StoppedByWriteError),
            Ok(Err(_)) if failed.sync => self.reached.note(Sometimes::StoppedBySyncError),
            Ok(Ok(Ended::WithoutRoom(_))) => self.reached.note(Sometimes::LogFull),
            _ => {}
        }
        if let Some(process) = &mut self.hosts.get_mut(&id).expect("one of ours").process {
            process.lost_trust |= failed.sync;
        }
    }

    /// A crash hits these jobs: none of them ends, and any part of them may have been done.
    pub(super) fn interrupt(
        &mut self,
        jobs: Vec<Job>,
        id: HostId,
        log: &LogReader,
        checkpoints: &Checkpoints,
    ) {
        let disk = self.hosts[&id].disk.clone();
        for job in jobs {
            let kind = job.kind();
            // Each has come as far as it has; they work side by side.
            let operations = if kind == JobKind::Write { 4 } else { 48 };
            let done = self.disk_random.magnitude(1..operations) - 1;
            disk.troubles().stop_after = Some(done);
            disk.troubles().failed = Default::default();
            // What it returns is lost with the process.
            let _ = contained(|| job.run(log, checkpoints));
            let failed = std::mem::take(&mut disk.troubles().failed);
            // These seldom change anything on the disk.
            let quiet = matches!(kind, JobKind::SnapshotRead | JobKind::SnapshotStage);
            let Some(file) = failed.stopped_at.or_else(|| quiet.then(String::new)) else {
                continue;
            };
            self.reached.note(match kind {
                JobKind::Write if file.starts_with("spare") => Sometimes::KilledInSegmentBegin,
                JobKind::Write => Sometimes::KilledInLogWrite,
                JobKind::Checkpoint => Sometimes::KilledInCheckpoint,
                JobKind::Upkeep => Sometimes::KilledInUpkeep,
                JobKind::Removal => Sometimes::KilledInRemoval,
                JobKind::SnapshotRead => Sometimes::KilledInSnapshotRead,
                JobKind::SnapshotStage => Sometimes::KilledInSnapshotStage,
                JobKind::SnapshotInstall => Sometimes::KilledInSnapshotInstall,
                JobKind::Scrub => continue,
            });
        }
        disk.troubles().stop_after = Some(0);
    }
}
