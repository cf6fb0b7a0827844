//! One caller's request: what it may touch, and what handlers need beside the request itself.

use std::sync::Arc;
use std::time::Duration;

use shoal_api::Problem;
use shoal_sqs::{ErrorKind, OperationName, SqsError, arn, queue_url};
use shoal_types::{Applied, QueueName, QueueRoute, QueueSettings, Scope};
use tokio::time::Instant;

use super::caller::Caller;
use super::policy::{Decision, Policy};
use super::problems::error;
use crate::app::App;
use crate::dispatch::Deadline;
use crate::limits::{ANSWER_MARGIN, DEADLINE_DEFAULT, DEADLINE_MAX};

/// A request under way, and who asks.
pub(crate) struct Session<'a> {
    pub(super) app: &'a Arc<App>,
    caller: Caller,
    operation: OperationName,
    /// What queue URLs begin with.
    base: String,
    started: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        app: &'a Arc<App>,
        caller: Caller,
        operation: OperationName,
        base: String,
        started: Instant,
    ) -> Self {
        Self {
            app,
            caller,
            operation,
            base,
            started,
        }
    }

    /// Whose queues these are, and where.
    pub(super) fn scope(&self) -> &Scope {
        &self.caller.scope
    }

    /// When the answer has to be there, if a receive waits so long on purpose.
    pub(super) fn deadline(&self, wait: Duration) -> Deadline {
        let total = (DEADLINE_DEFAULT + wait).min(DEADLINE_MAX);
        Deadline {
            at: self.started + total,
            wait: wait.min(total.saturating_sub(ANSWER_MARGIN)),
        }
    }

    /// The address of a queue, as this client can reach it.
    pub(super) fn url(&self, queue: &QueueName) -> String {
        queue_url(&self.base, queue)
    }

    /// The queue, which the caller may do this with.
    ///
    /// # Errors
    /// `QueueDoesNotExist` if there is none, and also if it is another account's that has nothing for this
    /// caller: names cannot be tried out. `AccessDenied` if this caller may do other things with it.
    pub(super) async fn queue(&self, name: &QueueName) -> Result<Arc<QueueRoute>, SqsError> {
        self.caller.check_queue(name)?;
        let found = self.app.find(name, self.deadline(Duration::ZERO)).await;
        let route = found.map_err(|problem| error(&problem))?;
        self.check_policy(&route)?;
        Ok(route)
    }

    /// A name for a new queue.
    pub(super) fn check_name(&self, name: &QueueName) -> Result<(), SqsError> {
        self.caller.check_queue(name)
    }

    fn check_policy(&self, route: &QueueRoute) -> Result<(), SqsError> {
        let scope = route.name.scope();
        let is_own = scope.account() == self.caller.scope.account();
        let policy = route.settings.sqs.policy.as_deref();
        // Of one's own queues only what is denied matters; JSON can also write it with a backslash.
        let may_deny = |text: &str| text.contains("Deny") || text.contains('\\');
        if is_own && !policy.is_some_and(may_deny) {
            return Ok(());
        }
        let policy = policy.and_then(|text| Policy::read(text).ok());
        let policy = policy.unwrap_or_default();
        let caller = self.caller.scope.account();
        let decision = match is_own || can_be_permitted(self.operation) {
            true => policy.decide(caller, self.operation, &arn(&route.name)),
            false => Decision::Nothing,
        };
        match decision {
            Decision::Denied if is_own && is_the_owners(self.operation) => Ok(()),
            Decision::Denied if is_own || policy.knows(caller) => Err(self.denied(&route.name)),
            Decision::Allowed => Ok(()),
            Decision::Nothing if is_own => Ok(()),
            Decision::Nothing if policy.knows(caller) => Err(self.denied(&route.name)),
            Decision::Nothing | Decision::Denied => Err(SqsError::no_such_queue()),
        }
    }

    fn denied(&self, queue: &QueueName) -> SqsError {
        let message = format!(
            "{} is not authorized to perform: sqs:{} on resource: {}",
            self.caller.scope.account(),
            self.operation.as_str().to_ascii_lowercase(),
            arn(queue)
        );
        SqsError::new(ErrorKind::AccessDenied, message)
    }

    /// Who is noted as a message's sender: nobody for a queue's own account, which goes without saying.
    pub(super) fn sender(&self, queue: &QueueName) -> Option<String> {
        let account = self.caller.scope.account();
        (account != queue.scope().account()).then(|| account.to_owned())
    }

    /// Changes a queue's settings: those that the manager knows, not the cached ones, so that an earlier
    /// change is not undone.
    pub(super) async fn change(
        &self,
        name: &QueueName,
        change: impl AsyncFnOnce(&mut QueueSettings) -> Result<(), SqsError>,
    ) -> Result<(), SqsError> {
        let deadline = self.deadline(Duration::ZERO);
        let now = deadline.bound(self.app.manager.queue(name)).await;
        let now = now.map_err(|problem| error(&problem.applied(Applied::No)))?;
        let mut settings = now.settings;
        change(&mut settings).await?;
        check_settings(&settings, name)?;
        let changed = self.app.manager.change(name, &settings);
        let route = deadline.bound(changed).await;
        let route = route.map_err(|problem: Problem| error(&problem))?;
        self.app.routes.insert(route);
        Ok(())
    }
}

/// Checks what attributes are only together.
pub(super) fn check_settings(settings: &QueueSettings, name: &QueueName) -> Result<(), SqsError> {
    settings.validate(name).map_err(|invalid| {
        let message = format!("{}: {}", invalid.field, invalid.why);
        SqsError::new(ErrorKind::InvalidAttributeValue, message)
    })
}

/// What other accounts can be permitted. The rest, all that changes a queue itself, is its own account's,
/// whatever its policy says (SQS).
fn can_be_permitted(operation: OperationName) -> bool {
    matches!(
        operation,
        OperationName::ChangeMessageVisibility
            | OperationName::ChangeMessageVisibilityBatch
            | OperationName::DeleteMessage
            | OperationName::DeleteMessageBatch
            | OperationName::GetQueueAttributes
            | OperationName::GetQueueUrl
            | OperationName::ListDeadLetterSourceQueues
            | OperationName::PurgeQueue
            | OperationName::ReceiveMessage
            | OperationName::SendMessage
            | OperationName::SendMessageBatch
    )
}

/// What a policy does not take away from the queue's own account: it has no other way to undo the policy.
fn is_the_owners(operation: OperationName) -> bool {
    matches!(
        operation,
        OperationName::AddPermission
            | OperationName::DeleteQueue
            | OperationName::GetQueueAttributes
            | OperationName::RemovePermission
            | OperationName::SetQueueAttributes
    )
}
