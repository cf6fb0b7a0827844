//! Finishing with messages: deleting them, and changing when they are visible again.

use std::time::Duration;

use shoal_sqs::{
    Answer, BatchAnswer, BatchEntry, ChangeMessageVisibility, ChangeMessageVisibilityBatch,
    DeleteMessage, DeleteMessageBatch, ErrorKind, OperationName, SqsError,
};
use shoal_types::{QueueName, Receipt, ReceiptResult};

use super::access::Session;
use super::problems::error;
use crate::limits::HANDLE_CHARS_SHOWN;
use crate::operations::{Finish, Foreign, Wish};

/// `DeleteMessage`
pub(super) async fn delete(
    session: &Session<'_>,
    asked: DeleteMessage,
) -> Result<Answer, SqsError> {
    let handles = vec![asked.receipt_handle];
    let done = finish(session, &asked.queue, &handles, Deed::Delete).await?;
    only(done)?;
    Ok(Answer::Done(OperationName::DeleteMessage))
}

/// `DeleteMessageBatch`
pub(super) async fn delete_batch(
    session: &Session<'_>,
    asked: DeleteMessageBatch,
) -> Result<Answer, SqsError> {
    let handle = |entry: shoal_sqs::DeletedEntry| (entry.receipt_handle, ());
    let (batch, handles, _) = Batch::new(asked.entries, handle);
    let done = finish(session, &asked.queue, &handles, Deed::Delete).await?;
    Ok(Answer::DeleteMessageBatch(batch.answer(done)))
}

/// `ChangeMessageVisibility`
pub(super) async fn change_visibility(
    session: &Session<'_>,
    asked: ChangeMessageVisibility,
) -> Result<Answer, SqsError> {
    let handles = vec![asked.receipt_handle];
    let deed = Deed::Show(vec![asked.visibility_timeout_s]);
    let done = finish(session, &asked.queue, &handles, deed).await?;
    only(done)?;
    Ok(Answer::Done(OperationName::ChangeMessageVisibility))
}

/// `ChangeMessageVisibilityBatch`
pub(super) async fn change_visibility_batch(
    session: &Session<'_>,
    asked: ChangeMessageVisibilityBatch,
) -> Result<Answer, SqsError> {
    let handle =
        |entry: shoal_sqs::VisibilityEntry| (entry.receipt_handle, entry.visibility_timeout_s);
    let (batch, handles, timeouts) = Batch::new(asked.entries, handle);
    let done = finish(session, &asked.queue, &handles, Deed::Show(timeouts)).await?;
    Ok(Answer::ChangeMessageVisibilityBatch(batch.answer(done)))
}

/// What is to be done with messages.
enum Deed {
    Delete,
    /// They are visible again in so many seconds, each in its own.
    Show(Vec<u32>),
}

/// What became of one handle.
type Done = Result<(), SqsError>;

/// A handle, and what its answer depends on beside what became of it.
struct One<'a> {
    handle: &'a str,
    /// Whether its queue is a FIFO queue.
    fifo: bool,
    /// For how long its message was to be hidden; 0 if it was to be deleted.
    seconds: u32,
}

/// What is answered to one handle.
type OfOne = fn(ReceiptResult, &One<'_>) -> Done;

/// Does it for each handle: what became of it, in order. A handle that is none is found out without asking
/// anybody.
///
/// # Errors
/// If nothing can be said of the handles by themselves.
async fn finish(
    session: &Session<'_>,
    queue: &QueueName,
    handles: &[String],
    deed: Deed,
) -> Result<Vec<Done>, SqsError> {
    let route = session.queue(queue).await?;
    let parsed: Vec<Option<Receipt>> = handles.iter().map(|text| text.parse().ok()).collect();
    let receipts: Vec<Receipt> = parsed.iter().flatten().copied().collect();
    let (wish, of_one, seconds): (_, OfOne, _) = match deed {
        Deed::Delete => (Wish::Acknowledge, deleted, vec![0; handles.len()]),
        Deed::Show(seconds) => {
            let known = seconds
                .iter()
                .zip(&parsed)
                .filter(|(_, parsed)| parsed.is_some());
            let micros = known.map(|(seconds, _)| u64::from(*seconds) * 1_000_000);
            (Wish::Extend(micros.collect()), shown, seconds)
        }
    };
    let results = if receipts.is_empty() {
        Vec::new()
    } else {
        let deadline = session.deadline(Duration::ZERO);
        let mut finish = Finish::new(wish, receipts, Foreign::IsUnknown, deadline);
        let finished = session.app.on_queue(queue, deadline, &mut finish).await;
        finished.map_err(|problem| error(&problem))?
    };
    let mut results = results.into_iter();
    let handles = handles.iter().zip(&parsed).zip(seconds);
    let done = handles.map(|((handle, parsed), seconds)| match parsed {
        Some(_) => {
            let result = results.next().expect("one for every receipt");
            let one = One {
                handle,
                fifo: route.settings.fifo,
                seconds,
            };
            of_one(result.ok_or_else(not_asked)?, &one)
        }
        None => Err(not_a_handle(handle)),
    });
    Ok(done.collect())
}

/// Of a message that is to be deleted. In a standard queue an old handle says nothing against its deletion:
/// it is answered well and without effect, since somebody else has the message now.
fn deleted(result: ReceiptResult, one: &One<'_>) -> Done {
    match result {
        ReceiptResult::Done | ReceiptResult::Gone => Ok(()),
        ReceiptResult::Expired
        | ReceiptResult::Superseded
        | ReceiptResult::NotLeased
        | ReceiptResult::TooLong => match one.fifo {
            true => Err(expired(one.handle)),
            false => Ok(()),
        },
        ReceiptResult::Unknown => Err(not_a_handle(one.handle)),
    }
}

/// Of a message whose lease is to end at another time.
fn shown(result: ReceiptResult, one: &One<'_>) -> Done {
    let handle = one.handle;
    match result {
        ReceiptResult::Done => Ok(()),
        ReceiptResult::Expired | ReceiptResult::Superseded if one.fifo => Err(expired(handle)),
        ReceiptResult::Expired | ReceiptResult::NotLeased => {
            let message = format!(
                "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message is not inflight."
            );
            Err(SqsError::new(ErrorKind::MessageNotInflight, message))
        }
        ReceiptResult::Gone | ReceiptResult::Superseded => {
            let reason =
                "Message does not exist or is not available for visibility timeout change.";
            Err(SqsError::invalid("ReceiptHandle", handle, reason))
        }
        ReceiptResult::TooLong => {
            let reason =
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
            Err(SqsError::invalid("VisibilityTimeout", one.seconds, reason))
        }
        ReceiptResult::Unknown => Err(not_a_handle(handle)),
    }
}

fn expired(handle: &str) -> SqsError {
    SqsError::invalid("ReceiptHandle", handle, "The receipt handle has expired.")
}

/// Of a message in a partition that cannot be asked just now. Nothing was done.
fn not_asked() -> SqsError {
    let message = "The part of the queue that has this message cannot be reached just now.";
    SqsError::new(ErrorKind::ServiceUnavailable, message)
}

fn not_a_handle(handle: &str) -> SqsError {
    // Enough of it to be recognised.
    let shown: String = handle.chars().take(HANDLE_CHARS_SHOWN).collect();
    let message = format!("The input receipt handle \"{shown}\" is not a valid receipt handle.");
    SqsError::new(ErrorKind::ReceiptHandleIsInvalid, message)
}

/// What became of the one handle that there was.
fn only(done: Vec<Done>) -> Done {
    done.into_iter().next().expect("one for the one handle")
}

/// A batch's entries by their ids: those that were wrong as they came, and places for the others.
struct Batch(Vec<(String, Option<SqsError>)>);

impl Batch {
    /// Parts entries from what is to be done for those that are right.
    fn new<T, U>(
        entries: Vec<BatchEntry<T>>,
        part: impl Fn(T) -> (String, U),
    ) -> (Self, Vec<String>, Vec<U>) {
        let (mut handles, mut rest) = (Vec::new(), Vec::new());
        let mut of_one = |entry: BatchEntry<T>| {
            let wrong = match entry.item {
                Ok(item) => {
                    let (handle, more) = part(item);
                    handles.push(handle);
                    rest.push(more);
                    None
                }
                Err(error) => Some(error),
            };
            (entry.id, wrong)
        };
        let all = entries.into_iter().map(&mut of_one).collect();
        (Self(all), handles, rest)
    }

    fn answer(self, done: Vec<Done>) -> BatchAnswer<()> {
        let mut done = done.into_iter();
        let entries = self.0.into_iter().map(|(id, wrong)| match wrong {
            Some(error) => (id, Err(error)),
            None => (id, done.next().expect("one for every entry that was right")),
        });
        BatchAnswer(entries.collect())
    }
}
