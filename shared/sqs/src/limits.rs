//! Bounds of what is read from a request. Those of messages, queues and tags that the rest of Shoal knows
//! too stand in `shoal_types::limits`.

use shoal_types::limits;

/// Bytes of a request's body. A message of 1 MiB triples if a form has to escape every byte and grows six
/// times as JSON's `\u00xx`; the attributes and the rest come to less than another 1 MiB.
pub const BODY_BYTES_MAX: usize = 7 << 20;
/// Bytes of a query string: longer addresses are refused by most of what stands between client and service.
/// Larger requests go as a form.
pub const QUERY_BYTES_MAX: usize = 64 << 10;
/// Parameters of a form or values of a JSON body. The largest request that means something, ten messages
/// with ten attributes each, has some 350; the rest is for long lists of attribute names.
pub const PARAMETERS_MAX: usize = 2_000;
/// Parts of a parameter's name, as in `SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue`.
pub const NAME_PARTS_MAX: usize = 8;

/// Entries of a batch (SQS).
pub const BATCH_ENTRIES_MAX: usize = 10;
/// Characters of an entry's id (SQS).
pub const BATCH_ID_CHARS_MAX: usize = 80;
/// Bytes of a batch's messages together (SQS): as many as of one message.
pub const BATCH_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX;
/// Messages of one receive (SQS).
pub const RECEIVE_MESSAGES_MAX: u32 = 10;
/// Queues on a page of a list (SQS).
pub const PAGE_QUEUES_MAX: u32 = 1_000;
/// Move tasks in an answer (SQS).
pub const MOVE_TASKS_MAX: u32 = 10;
/// Messages a second of a move task (SQS).
pub const MOVE_RATE_MAX: u32 = 500;
/// Actions of one permission (SQS).
pub const PERMISSION_ACTIONS_MAX: usize = 7;
/// Accounts of one permission: as many as a policy of the longest size could name.
pub const PERMISSION_ACCOUNTS_MAX: usize = 200;
/// Characters of a permission's label (SQS).
pub const LABEL_CHARS_MAX: usize = 80;
/// Bytes of an attribute's type, label included (SQS).
pub const ATTRIBUTE_KIND_BYTES_MAX: usize = 256;
/// Bytes of a trace header: X-Ray's own has some 100, and what stands after it is the sender's.
pub const TRACE_HEADER_BYTES_MAX: usize = 1_024;
/// Bytes of a queue URL: the name has 80, the account 12, a host name at most 253.
pub const QUEUE_URL_BYTES_MAX: usize = 1_024;
/// Bytes of a value that an error's text repeats: enough to recognise it, and no flood of logs.
pub const QUOTED_BYTES_MAX: usize = 1_024;
/// Bytes of the header `Authorization`: SQS's clients send some 300.
pub const AUTHORIZATION_BYTES_MAX: usize = 8 << 10;
/// Headers that a signature may cover: more than any client sends.
pub const SIGNED_HEADERS_MAX: usize = 64;
