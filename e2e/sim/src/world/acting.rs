//! Carrying out the steps of faults and scenarios.

use shoal_storage::{Disk, Verified};
use shoal_types::HostId;

use super::disk::SimDisk;
use super::host::{Host, Input};
use super::{Event, World};
use crate::actions::Action;
use crate::checkers::Checker;
use crate::faults::FaultKind;
use crate::history::SimTime;
use crate::limits::{CLOCK_ERROR_MAX, MS, SECOND};
use crate::random::Random;
use crate::sometimes::Sometimes;
use crate::trace::Note;

impl World {
    /// One step, now.
    pub(super) fn act(&mut self, action: Action) {
        if self.now < self.guarded_until {
            // Something is under way that bears no other fault.
            return self.plan(self.guarded_until, action);
        }
        self.trace.note(self.now, &Note::Act(action.clone()));
        self.calm.news();
        match action {
            Action::Kill(id) => self.kill(id, "killed"),
            Action::PowerOff(id) => self.power_off(id),
            Action::PowerOffAll => {
                self.reached.note(Sometimes::AllPowerLost);
                for id in self.all_hosts() {
                    self.power_off(id);
                }
            }
            Action::Start(id) => self.start(id),
            Action::KillInStart(id) => self.host(id).kill_in_start = true,
            Action::PowerOffAtVote { host, lasts } => {
                self.host(host).power_off_at_vote = Some(lasts);
            }
            Action::KillInJob { host, job } => self.host(host).kill_in_job = Some(job),
            Action::Freeze { host, clock } => self.freeze(host, clock),
            Action::Thaw(id) => self.thaw(id),
            Action::Leave(id) => self.give(id, Input::Leave),
            Action::Upgrade { host, supports } => self.upgrade(host, supports),
            Action::Retire(id) => self.retire(id),
            Action::Cut(pairs) => {
                if pairs.len() == 8 && self.options.hosts.len() == 4 {
                    self.reached.note(Sometimes::TwoTwoSplit);
                }
                self.network.cut(&pairs);
                self.links_changed();
            }
            Action::Mend(pairs) => {
                self.network.mend(&pairs);
                self.links_changed();
            }
            Action::CutClients(id) => {
                self.host(id).client_cuts += 1;
                self.clients_hear_nothing_of(id);
            }
            Action::MendClients(id) => {
                let host = self.host(id);
                host.client_cuts = host.client_cuts.saturating_sub(1);
            }
            Action::SlowLink { from, to, by } => self.network.slow(from, to, by),
            Action::BreakLinks(id) => self.break_links(id),
            Action::SlowProcess { host, turn } => self.host(host).turn_longer = turn,
            Action::SetClock { host, ahead } => self.set_clock(host, ahead),
            other => self.act_on_disk(other),
        }
    }

    fn act_on_disk(&mut self, action: Action) {
        match action {
            Action::SlowDisk { host, times } => self.host(host).disk_slower = times.max(1),
            Action::StallDisk { host, lasts } => {
                self.host(host).disk_stalled_until = SimTime(self.now.0 + lasts);
            }
            Action::FillDisk { host, room, copies } => {
                let host = self.host(host);
                host.had_disk_trouble = true;
                let capacity = room.map(|room| host.disk.used() + room);
                host.disk.memory().set_capacity(capacity);
                host.disk.troubles().room_to_copy = room.filter(|_| copies);
            }
            Action::FailWrite(id) => {
                self.host(id).had_disk_trouble = true;
                self.host(id).disk.troubles().fail_write = true;
            }
            Action::FailSync(id) => {
                self.host(id).had_disk_trouble = true;
                self.host(id).disk.troubles().fail_sync = true;
            }
            Action::FailReads { host, times } => {
                self.host(host).had_disk_trouble = true;
                self.host(host).disk.troubles().fail_reads = times;
            }
            Action::Damage { host, place } => self.damage(host, place),
            Action::LoseTail(id) => self.lose_tail(id),
            Action::CopyData(id) => {
                let host = self.host(id);
                host.copy = Some(host.disk.fork());
            }
            Action::SetBack(id) => {
                if let Some(copy) = self.host(id).copy.take() {
                    self.set_back(id, copy);
                }
            }
            Action::Wipe(id) => self.set_back(id, SimDisk::new()),
            other => unreachable!("{other:?} is no matter of disks"),
        }
    }

    pub(super) fn host(&mut self, id: HostId) -> &mut Host {
        self.hosts.get_mut(&id).expect("one of ours")
    }

    fn freeze(&mut self, id: HostId, clock: bool) {
        let now = self.now;
        let host = self.host(id);
        if host.process.is_none() {
            return;
        }
        host.frozen = true;
        if clock {
            host.clock.stop(now);
        }
        self.clients_hear_nothing_of(id);
        self.links_changed();
    }

    pub(super) fn thaw(&mut self, id: HostId) {
        let now = self.now;
        let host = self.host(id);
        if !std::mem::take(&mut host.frozen) {
            return;
        }
        host.clock.go_on(now);
        for event in std::mem::take(&mut host.postponed) {
            self.schedule.at(now, event);
        }
        self.reached.note(Sometimes::Thawed);
        if self.is_left_out(id) {
            self.reached.note(Sometimes::ThawedOutsideTheView);
        }
        self.links_changed();
    }

    /// True if some other host is in a later view that does without this one.
    fn is_left_out(&self, id: HostId) -> bool {
        let view_of = |id: &HostId| {
            let process = self.hosts[id].process.as_ref();
            process.map(|process| process.core.engine().view())
        };
        let own = view_of(&id).map(|view| view.number);
        let views = self.hosts.keys().filter_map(view_of);
        views
            .into_iter()
            .any(|view| Some(view.number) > own && !view.is_writer(id))
    }

    /// At most a minority of the hosts loses its data or has a clock that is far off in one run: more is
    /// beyond what anything can bear.
    fn may_lose(&self, id: HostId) -> bool {
        let mut lost = self.failed_hosts();
        if lost.contains(&id) {
            return true;
        }
        lost.push(id);
        self.members.bear(&lost)
    }

    /// True if there is a sound host that may be lost as well.
    fn another_may_be_lost(&self) -> bool {
        let failed = self.failed_hosts();
        let mut sound = self.hosts.keys().filter(|id| !failed.contains(id));
        sound.any(|id| self.may_lose(*id))
    }

    fn retire(&mut self, id: HostId) {
        if self.may_lose(id) {
            self.power_off(id);
            self.lose(id);
        }
    }

    fn set_clock(&mut self, id: HostId, ahead: i64) {
        let host = self.host(id);
        // One that is far off stays so.
        if host.clock.ahead().unsigned_abs() > CLOCK_ERROR_MAX {
            return;
        }
        let went_ahead = host.clock.set(ahead);
        self.reached.note(if went_ahead {
            Sometimes::ClockSteppedAhead
        } else {
            Sometimes::ClockSteppedBack
        });
    }

    /// Changes bits of a file. Of the newest segment only before its last block: what is at the very end
    /// of a log cannot be told from an unfinished write. See [`World::lose_tail`].
    fn damage(&mut self, id: HostId, place: u64) {
        if !self.may_lose(id) {
            return;
        }
        let mut random = Random::new(place);
        let disk = self.host(id).disk.memory().clone();
        let mut names = disk.list().unwrap_or_default();
        names.sort_unstable();
        let newest = names
            .iter()
            .rfind(|name| name.ends_with(".segment"))
            .cloned();
        let last_block = self.last_block(id);
        let spared = |name: &String| Some(name) == newest.as_ref() && last_block == 0;
        names.retain(|name| !spared(name) && !name.starts_with("spare"));
        if names.is_empty() {
            return;
        }
        let mut name = random.choose(&names).clone();
        let mut len = disk.open(&name).and_then(|file| file.len()).unwrap_or(0);
        if last_block > 0 && random.one_in(3) {
            // What is damaged there matters to who starts before the segment is closed.
            name = newest.expect("it has blocks");
            len = last_block;
            self.plan(SimTime(self.now.0 + MS), Action::Kill(id));
            self.plan(SimTime(self.now.0 + 100 * MS), Action::Start(id));
        } else if Some(&name) == newest.as_ref() {
            len = last_block;
        }
        if len == 0 {
            return;
        }
        for _ in 0..random.magnitude(1..64) {
            disk.flip(&name, random.below(len), 1 << random.below(8));
        }
        let host = self.host(id);
        host.damaged = true;
        host.had_disk_trouble = true;
    }

    /// Where the last block on disk of a running host's newest segment begins; 0 if nothing comes before.
    fn last_block(&self, id: HostId) -> u64 {
        let Some(process) = &self.hosts[&id].process else {
            return 0;
        };
        let log = process.core.log();
        let newest = log.segments().last().map(|segment| segment.number);
        let (Some(newest), reader) = (newest, log.reader()) else {
            return 0;
        };
        let mut last = 0;
        while let Ok(Verified::UpTo(block)) = reader.verify(newest, last, 1) {
            last = block;
        }
        u64::from(last)
    }

    /// The end of the log, which looks like an unfinished write then: nobody can tell from the disk alone.
    fn lose_tail(&mut self, id: HostId) {
        const PAGE: usize = 4096;
        if !self.may_lose(id) {
            return;
        }
        let disk = self.host(id).disk.memory().clone();
        let mut names = disk.list().unwrap_or_default();
        names.sort_unstable();
        let Some(newest) = names.iter().rfind(|name| name.ends_with(".segment")) else {
            return;
        };
        let read = || {
            let file = disk.open(newest)?;
            let mut bytes = vec![0; file.len()? as usize];
            file.read_at(0, &mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        let bytes = read().unwrap_or_default();
        let is_used = |page: &[u8]| page.iter().any(|byte| *byte != 0);
        // The first page is the segment's header.
        let last = bytes
            .chunks(PAGE)
            .rposition(is_used)
            .filter(|page| *page > 0);
        if let Some(page) = last {
            for offset in page * PAGE..((page + 1) * PAGE).min(bytes.len()) {
                disk.flip(newest, offset as u64, 0x5a);
            }
            self.host(id).damaged = true;
            self.host(id).tail_lost = true;
        }
    }

    /// Nothing else happens until the others have had time to notice.
    fn set_back(&mut self, id: HostId, to: SimDisk) {
        const TIME_TO_NOTICE: u64 = 2 * SECOND;
        if !self.may_lose(id) || !self.all_is_calm_around(id) {
            return;
        }
        self.kill(id, "its data folder is set back");
        let host = self.host(id);
        host.disk = to;
        host.set_back = true;
        host.durable_at_end = None;
        self.guarded_until = SimTime(self.now.0 + TIME_TO_NOTICE);
        self.start(id);
    }

    /// True if the host and all members act in the same view and hear each other.
    fn all_is_calm_around(&self, id: HostId) -> bool {
        let members = self.members.now();
        let view_of = |host: &HostId| {
            let host = &self.hosts[host];
            let process = host.process.as_ref().filter(|_| host.is_alive());
            let acting = process.filter(|p| p.core.engine().status().acting);
            acting.map(|process| process.core.engine().view().number)
        };
        let view = view_of(&id);
        let hears = |a: &HostId, b: &HostId| a == b || !self.is_unanswered(*a, *b);
        let all_hear = members.iter().all(|a| members.iter().all(|b| hears(a, b)));
        let same_view = members.iter().all(|host| view_of(host) == view);
        view.is_some() && members.contains(&id) && same_view && all_hear
    }

    /// Hosts that the others refuse. Each must have lost something, and does not come back.
    pub(super) fn look_for_refused(&mut self) {
        for id in self.all_hosts() {
            let host = &self.hosts[&id];
            let Some(process) = host.process.as_ref().filter(|_| !host.away) else {
                continue;
            };
            let Some(why) = process.core.engine().forgotten() else {
                continue;
            };
            let (set_back, lost) = (host.set_back, host.set_back || host.damaged);
            if set_back {
                self.reached.note(Sometimes::SetBackRefused);
            }
            if !lost {
                let what = format!("{id} lost nothing and is refused: {why}");
                self.violation(Checker::Assertions, what);
            }
            self.lose(id);
        }
    }

    /// A fault comes over the cluster, and the next one is planned.
    pub(super) fn fault(&mut self) {
        if self.is_settling() {
            return;
        }
        let events: Vec<_> = self
            .options
            .faults
            .kinds
            .iter()
            .copied()
            .filter(|kind| !kind.is_constant())
            .filter(|kind| *kind != FaultKind::Gone || self.another_may_be_lost())
            .collect();
        if events.is_empty() {
            return;
        }
        let kind = *self.fault_random.choose(&events);
        *self.summary.faults.entry(kind).or_default() += 1;
        let hosts = self.all_hosts();
        let plan = kind.plan(&hosts, &self.options.faults, &mut self.fault_random);
        for (after, action) in plan {
            self.plan(SimTime(self.now.0 + after), action);
        }
        let every = self.options.faults.every;
        let next = self.fault_random.range(every / 4..every * 7 / 4);
        self.schedule.at(SimTime(self.now.0 + next), Event::Fault);
    }

    /// A step to be taken then, unless the faults are over by that time.
    pub(super) fn plan(&mut self, at: SimTime, action: Action) {
        self.schedule.at(at, Event::Act(action));
    }
}
