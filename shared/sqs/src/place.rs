//! Where a queue is, in AWS's words: its ARN and its URL, to and from a name with its scope.

use shoal_types::{QueueName, Scope};

use crate::{SqsError, limits};

/// The ARN of a queue: `arn:aws:sqs:region:account:name`.
#[must_use]
pub fn arn(queue: &QueueName) -> String {
    let scope = queue.scope();
    let (region, account) = (scope.region(), scope.account());
    format!("arn:aws:sqs:{region}:{account}:{}", queue.local())
}

/// The queue that an ARN names. AWS's other partitions are taken too, and mean nothing here.
#[must_use]
pub fn queue_from_arn(arn: &str) -> Option<QueueName> {
    let rest = arn.strip_prefix("arn:aws")?;
    let mut parts = rest.splitn(5, ':');
    let partition = parts.next()?;
    if !["", "-cn", "-us-gov"].contains(&partition) || parts.next()? != "sqs" {
        return None;
    }
    let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
    let scope = Scope::new(account, region).ok()?;
    QueueName::new(&scope, name).ok()
}

/// The URL of a queue under `base`, the scheme and host by which the client came, such as
/// `http://localhost:9324`.
#[must_use]
pub fn queue_url(base: &str, queue: &QueueName) -> String {
    let base = base.trim_end_matches('/');
    format!("{base}/{}/{}", queue.scope().account(), queue.local())
}

/// The queue that a URL names, in the region that the caller means. Whatever scheme and host it has, only
/// account and name count: a client that came by another address than last time still finds its queue.
///
/// # Errors
/// `QueueDoesNotExist` if it cannot be a queue's URL, which AWS answers too.
pub fn queue_from_url(url: &str, region: &str) -> Result<QueueName, SqsError> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map(|at| &rest[at..]),
        None => Some(url),
    };
    path.filter(|_| url.len() <= limits::QUEUE_URL_BYTES_MAX)
        .and_then(|path| queue_from_path(path, region))
        .ok_or_else(SqsError::no_such_queue)
}

/// The queue that the path `/account/name` names, if it is such a path.
pub(crate) fn queue_from_path(path: &str, region: &str) -> Option<QueueName> {
    let (account, name) = path.strip_prefix('/')?.split_once('/')?;
    let scope = Scope::new(account, region).ok()?;
    QueueName::new(&scope, name).ok()
}
