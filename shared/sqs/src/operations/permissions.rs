//! Permissions of a queue: statements added to and removed from its policy by a label.

use shoal_types::QueueName;
use shoal_types::limits::ACCOUNT_DIGITS;

use crate::reading::Members;
use crate::{ErrorKind, OperationName, SqsError, limits};

/// Lets other accounts do something with a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPermission {
    /// Which queue.
    pub queue: QueueName,
    /// The statement's name, `Sid` in the policy.
    pub label: String,
    /// Accounts of twelve digits; at least one.
    pub accounts: Vec<String>,
    /// `*`, or names of operations; 1 to 7.
    pub actions: Vec<String>,
}

/// Takes a permission back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovePermission {
    /// Which queue.
    pub queue: QueueName,
    /// The statement's name.
    pub label: String,
}

impl AddPermission {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        Ok(Self {
            queue: members.queue()?,
            label: label(members)?,
            accounts: accounts(members)?,
            actions: actions(members)?,
        })
    }
}

impl RemovePermission {
    pub(crate) fn read(members: &mut Members<'_>) -> Result<Self, SqsError> {
        Ok(Self {
            queue: members.queue()?,
            label: label(members)?,
        })
    }
}

fn label(members: &mut Members<'_>) -> Result<String, SqsError> {
    let label = members.required_text("Label")?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if label.len() > limits::LABEL_CHARS_MAX || !label.bytes().all(known) {
        let reason =
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.";
        return Err(SqsError::invalid("Label", label, reason));
    }
    Ok(label.into_owned())
}

fn accounts(members: &mut Members<'_>) -> Result<Vec<String>, SqsError> {
    let accounts = members.texts("AWSAccountIds", "AWSAccountId")?;
    if accounts.is_empty() {
        return Err(SqsError::missing("AWSAccountIds"));
    }
    if accounts.len() > limits::PERMISSION_ACCOUNTS_MAX {
        let (found, most) = (accounts.len(), limits::PERMISSION_ACCOUNTS_MAX);
        let message = format!("{found} AWSAccountIds were found, maximum allowed is {most}.");
        return Err(SqsError::new(ErrorKind::OverLimit, message));
    }
    let is_account =
        |id: &str| id.len() == ACCOUNT_DIGITS && id.bytes().all(|b| b.is_ascii_digit());
    if let Some(other) = accounts.iter().find(|id| !is_account(id)) {
        return Err(SqsError::invalid("PrincipalId", other, "Unable to verify."));
    }
    Ok(accounts.into_iter().map(|id| id.into_owned()).collect())
}

fn actions(members: &mut Members<'_>) -> Result<Vec<String>, SqsError> {
    let actions = members.texts("Actions", "ActionName")?;
    if actions.is_empty() {
        return Err(SqsError::missing("Actions"));
    }
    if actions.len() > limits::PERMISSION_ACTIONS_MAX {
        let (found, most) = (actions.len(), limits::PERMISSION_ACTIONS_MAX);
        let message = format!("{found} Actions were found, maximum allowed is {most}.");
        return Err(SqsError::new(ErrorKind::OverLimit, message));
    }
    if let Some(other) = actions.iter().find(|action| !can_be_permitted(action)) {
        let reason = "Only the queue owner is allowed to invoke this action.";
        return Err(SqsError::invalid(
            "ActionName",
            format!("SQS:{other}"),
            reason,
        ));
    }
    Ok(actions
        .into_iter()
        .map(|action| action.into_owned())
        .collect())
}

/// Operations that can be permitted to others by a label. Those on batches go with the single ones.
fn can_be_permitted(action: &str) -> bool {
    use OperationName as Op;
    let these = [
        Op::ChangeMessageVisibility,
        Op::DeleteMessage,
        Op::GetQueueAttributes,
        Op::GetQueueUrl,
        Op::ListDeadLetterSourceQueues,
        Op::PurgeQueue,
        Op::ReceiveMessage,
        Op::SendMessage,
    ];
    action == "*" || these.iter().any(|op| op.as_str() == action)
}
