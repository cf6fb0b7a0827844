//! Going on from a snapshot: the core is dropped and rebuilt from the same disk, as if the process had been
//! started anew, while its port stays open.

use std::sync::Arc;

use shoal_storage::LogError;

use crate::driver::{Driver, DriverError, Input};

impl Driver {
    /// Waits until nothing that the core began is under way, then rebuilds it. Whoever waits for an answer
    /// is told that this host stopped; whatever came meanwhile is dropped, and said again.
    pub(crate) async fn restart(&mut self) -> Result<(), DriverError> {
        self.replies.clear();
        self.links.set_members(&[]);
        self.jobs.close();
        loop {
            tokio::select! {
                biased;
                input = self.inputs.recv() => {
                    if let Some(input) = input {
                        self.note_while_restarting(input)?;
                    }
                }
                () = self.jobs.wait() => break,
            }
        }
        while let Ok(input) = self.inputs.try_recv() {
            self.note_while_restarting(input)?;
        }
        self.jobs.reopen();
        let (recovery, checkpoints) = (self.recovery.clone(), Arc::clone(&self.checkpoints));
        let clock = self.clock.clone();
        let rebuilt =
            tokio::task::spawn_blocking(move || recovery.recover(&checkpoints, &clock)).await;
        let core = rebuilt.expect("recovering does not panic");
        self.core = core.map_err(DriverError::Restart)?;
        self.reader = self.core.log().reader();
        self.bodies.read_from(self.core.log().reader());
        let incarnation = self.core.origin().incarnation;
        self.identity.set_incarnation(incarnation);
        self.dialled = None;
        self.status
            .send_modify(|status| status.incarnation = incarnation);
        tracing::info!(
            %incarnation, messages = self.core.machine().totals().0,
            executed = %self.core.machine().executed(), "host goes on from a snapshot"
        );
        Ok(())
    }

    /// What must not be lost, of what comes in while the core is rebuilt.
    fn note_while_restarting(&mut self, input: Input) -> Result<(), DriverError> {
        match input {
            Input::Leave => self.begin_to_leave(),
            Input::Written(Err(error)) => return Err(LogError::into(error)),
            _ => {}
        }
        Ok(())
    }
}
