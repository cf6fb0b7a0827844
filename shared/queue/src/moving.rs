//! Tasks that move a partition's messages to other queues.
//!
//! A task goes through the numbers that there were when it began, once and upwards, and takes what can be
//! received when it comes by. What is leased, delayed or dead then stays; so does a FIFO message of whose group
//! an older one stays. Messages that nobody said where to move are counted as failed.

use shoal_types::limits::PIECE_MESSAGES_MAX;
use shoal_types::{
    ErrorCode, MoveProgress, MoveStatus, MoveTask, MoveTo, Outcome, Refusal, Revision, Target, Ts,
};

use crate::execute::fenced;
use crate::parcels::Packing;
use crate::partition::{Partition, Step};
use crate::transfers::{Contained, Moving};

impl Moving {
    pub(crate) fn progress(&self) -> MoveProgress {
        MoveProgress {
            task: self.task.task,
            status: self.status,
            to_move: self.to_move,
            moved: self.moved,
            failed: self.failed,
        }
    }
}

/// What becomes of a message that a task comes by.
enum Passed {
    Goes,
    /// For good.
    Stays,
    /// The task comes by again.
    Later,
    /// The parcel is full.
    Full,
}

impl Partition {
    pub(crate) fn start_move(
        &mut self,
        task: &MoveTask,
        revision: Revision,
    ) -> Result<Outcome, Refusal> {
        let record = self.sends();
        let known = record.and_then(|known| known.moving.as_ref());
        let is_known = known.is_some_and(|known| known.task.task == task.task);
        let runs = known.is_some_and(|known| is_unfinished(known.status));
        if revision
            < record
                .map(|known| known.moving_revision)
                .unwrap_or_default()
        {
            return Err(fenced());
        }
        if is_known {
            self.outbox().moving_revision = revision;
            return Ok(Outcome::Done);
        }
        if runs {
            return Err(Refusal::not_applied(
                ErrorCode::InvalidRequest,
                "task: another one is not at its end",
            ));
        }
        let moving = Moving {
            task: task.clone(),
            status: MoveStatus::Running,
            next: 1,
            looked_at: 0,
            last: self.last,
            to_move: self.counts().ready,
            moved: 0,
            failed: 0,
            not_before: Ts::ZERO,
        };
        self.transfers.get_or_insert_default();
        let record = self.outbox();
        record.moving = Some(moving);
        record.moving_revision = revision;
        Ok(Outcome::Done)
    }

    pub(crate) fn cancel_move(
        &mut self,
        task: u64,
        revision: Revision,
    ) -> Result<Outcome, Refusal> {
        let record = self.sends();
        let known = record.filter(|known| {
            let moving = known.moving.as_ref();
            moving.is_some_and(|moving| moving.task.task == task)
        });
        let Some(known) = known else {
            return Err(Refusal::not_applied(
                ErrorCode::InvalidRequest,
                "task: not the partition's last one",
            ));
        };
        if revision < known.moving_revision {
            return Err(fenced());
        }
        self.outbox().moving_revision = revision;
        self.end_moving(MoveStatus::Cancelled);
        Ok(Outcome::Done)
    }

    /// The running task ends that way; a cancelled one once what is on its way has arrived or is back.
    pub(crate) fn end_moving(&mut self, status: MoveStatus) {
        let record = self.outbox();
        let parcel = record.parcel.as_ref();
        let is_on_its_way = parcel.is_some_and(|one| matches!(one.contents, Contained::Moved(_)));
        let Some(moving) = record.moving.as_mut() else {
            return;
        };
        moving.status = match (moving.status, status) {
            (MoveStatus::Running, MoveStatus::Cancelled) if is_on_its_way => MoveStatus::Cancelling,
            (MoveStatus::Running, status) => status,
            (MoveStatus::Cancelling, _) if !is_on_its_way => MoveStatus::Cancelled,
            (ended, _) => ended,
        };
    }

    /// A parcel of the task arrived.
    pub(crate) fn note_moved(&mut self, messages: u64) {
        if let Some(moving) = &mut self.outbox().moving {
            moving.moved += messages;
        }
        self.end_cancelled();
    }

    /// A parcel of the task that began with this message was never taken.
    pub(crate) fn look_again_from(&mut self, first: Option<u64>) {
        if let (Some(moving), Some(first)) = (&mut self.outbox().moving, first) {
            moving.next = moving.next.min(first);
        }
        self.end_cancelled();
    }

    /// The task was cancelled, and what is on its way arrives yet.
    pub(crate) fn is_cancelling(&self) -> bool {
        let moving = self.sends().and_then(|known| known.moving.as_ref());
        moving.is_some_and(|moving| moving.status == MoveStatus::Cancelling)
    }

    fn end_cancelled(&mut self) {
        if self.is_cancelling() {
            self.end_moving(MoveStatus::Cancelled);
        }
    }

    /// True if the task might have something to go at this time. It waits for what the partition follows: a
    /// group's older messages may be there.
    pub(crate) fn is_moving_at(&self, now: Ts) -> bool {
        let moving = self.sends().and_then(|known| known.moving.as_ref());
        let goes_on = |moving: &Moving| {
            moving.status == MoveStatus::Running
                && moving.not_before <= now
                && self.contents.held().is_none()
        };
        moving.is_some_and(goes_on)
    }

    /// When the task may make its next parcel, if one runs.
    pub(crate) fn next_parcel_of_task(&self) -> Option<Ts> {
        let moving = self.sends()?.moving.as_ref()?;
        (moving.status == MoveStatus::Running).then_some(moving.not_before)
    }

    /// The next messages of the task that go to one partition. False if none is to go now.
    pub(crate) fn pack_task(&mut self, step: &mut Step<'_>) -> bool {
        if !self.is_moving_at(step.now) {
            return false;
        }
        if self.forwarding().is_some() {
            self.end_moving(MoveStatus::Failed);
            return false;
        }
        let record = self.outbox();
        let turn = record.parcels;
        let mut moving = record.moving.take().expect("it is moving");
        let mut packing = Packing::default();
        // The first message that goes to another partition than the parcel.
        let mut later = None;
        let mut looked_at = 0;
        let is_at_end = loop {
            let Some(number) = self.contents.slots.first_ready_from(moving.next) else {
                break true;
            };
            if number > moving.last {
                break true;
            }
            if looked_at == PIECE_MESSAGES_MAX || packing.numbers.len() >= moving.task.parcel_max()
            {
                break false;
            }
            looked_at += 1;
            match self.pass(number, &mut moving, &mut packing, turn, step) {
                Passed::Goes | Passed::Stays => {}
                Passed::Later => {
                    later.get_or_insert(number);
                }
                Passed::Full => break false,
            }
            moving.looked_at = moving.looked_at.max(number);
            moving.next = number + 1;
        };
        if let Some(later) = later {
            moving.next = later;
        } else if is_at_end && packing.numbers.is_empty() {
            moving.status = MoveStatus::Completed;
        }
        moving.not_before = step
            .now
            .after(moving.task.pace() * packing.numbers.len() as u64);
        self.outbox().moving = Some(moving);
        let Some(to) = packing.to.filter(|_| !packing.numbers.is_empty()) else {
            return false;
        };
        self.send_off(to, Contained::Moved(packing.numbers));
        true
    }

    fn pass(
        &mut self,
        number: u64,
        moving: &mut Moving,
        packing: &mut Packing,
        turn: u64,
        step: &mut Step<'_>,
    ) -> Passed {
        if self.is_expired(number, step.now) {
            self.contents.remove(number, step.bodies);
            return Passed::Stays;
        }
        if self.is_doomed(number) || !self.follows_what_goes(number, packing) {
            return Passed::Stays;
        }
        let Some(target) = self.target_of(number, &moving.task.to) else {
            // Those that it comes by again were counted.
            moving.failed += u64::from(number > moving.looked_at);
            return Passed::Stays;
        };
        let size = self.contents.slots.slot(number).expect("it is ready").size;
        if !packing.has_room_for(size) {
            return Passed::Full;
        }
        if !packing.goes_along(target, self.group_hash(number), turn) {
            return Passed::Later;
        }
        packing.add(number, size);
        self.contents.go(number);
        Passed::Goes
    }

    fn target_of<'a>(&self, number: u64, to: &'a MoveTo) -> Option<&'a Target> {
        match to {
            MoveTo::One(target) => Some(target),
            MoveTo::Origins(targets) => {
                let died_in = self.contents.dead_from(number)?.queue;
                targets.iter().find(|target| target.queue == died_in)
            }
        }
    }

    /// Whether all older messages of a FIFO message's group are in the parcel or gone.
    fn follows_what_goes(&self, number: u64, packing: &Packing) -> bool {
        if !self.settings.fifo {
            return true;
        }
        let link = self.contents.link(number).expect("it has a group");
        // They are in order.
        if packing.numbers.binary_search(&link.previous).is_ok() {
            return true;
        }
        self.contents.is_first_of_group(number) && self.contents.groups().may_go(&link.group)
    }
}

fn is_unfinished(status: MoveStatus) -> bool {
    matches!(status, MoveStatus::Running | MoveStatus::Cancelling)
}
