//! What SQS answers when it says no: one list of kinds, each with its two names, its status and whose
//! fault it is.
//!
//! A kind has two names because there are two protocols: the shape's name stands in `__type` of a JSON
//! answer, the older code in an XML answer and, for clients that still look for it there, in the header
//! `x-amzn-query-error` of a JSON answer.

use std::borrow::Cow;
use std::fmt;

use crate::limits;

/// Whose fault an error is; clients try again only what is not theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is wrong and stays so.
    Sender,
    /// The service could not; the same request may succeed later.
    Receiver,
}

impl Fault {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "Sender",
            Self::Receiver => "Receiver",
        }
    }
}

macro_rules! error_kinds {
    ($($(#[$doc:meta])* $name:ident = $type:literal, $code:literal, $status:literal, $fault:ident;)*) => {
        /// Why a request was refused or failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $name,)* }

        impl ErrorKind {
            /// Every kind, for documents and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// `__type` of a JSON answer.
            #[must_use]
            pub fn json_type(self) -> &'static str {
                match self { $(Self::$name => $type,)* }
            }

            /// `Code` of an XML answer, and of a failed entry of a batch in both protocols.
            #[must_use]
            pub fn query_code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Whose fault it is.
            #[must_use]
            pub fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)* }
            }
        }
    };
}

error_kinds! {
    /// No such queue, or not for this caller.
    QueueDoesNotExist = "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400, Sender;
    /// A queue of this name exists with another value of an attribute.
    QueueNameExists = "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists", 400, Sender;
    /// A queue of this name was deleted too short a time ago.
    QueueDeletedRecently = "com.amazonaws.sqs#QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently", 400, Sender;
    /// A batch without entries.
    EmptyBatchRequest = "com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", 400, Sender;
    /// Two entries of a batch have the same id.
    BatchEntryIdsNotDistinct = "com.amazonaws.sqs#BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400, Sender;
    /// A batch's messages together are too large.
    BatchRequestTooLong = "com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", 400, Sender;
    /// More than ten entries in a batch.
    TooManyEntriesInBatchRequest = "com.amazonaws.sqs#TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400, Sender;
    /// An entry's id has other characters or more than 80.
    InvalidBatchEntryId = "com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", 400, Sender;
    /// The message is not in a consumer's hands.
    MessageNotInflight = "com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", 400, Sender;
    /// The operation does not go with this queue or this state.
    UnsupportedOperation = "com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", 400, Sender;
    /// A purge was done less than a minute ago.
    PurgeQueueInProgress = "com.amazonaws.sqs#PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403, Sender;
    /// More than a queue may have: leased messages, actions of a permission.
    OverLimit = "com.amazonaws.sqs#OverLimit", "OverLimit", 403, Sender;
    /// What an ARN or a task's handle names is not there.
    ResourceNotFound = "com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException", 404, Sender;
    /// Not a receipt handle, or not of this queue.
    ReceiptHandleIsInvalid = "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 400, Sender;
    /// No attribute of this name.
    InvalidAttributeName = "com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName", 400, Sender;
    /// A queue's attribute has a value it cannot have.
    InvalidAttributeValue = "com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue", 400, Sender;
    /// A body with characters that SQS does not take.
    InvalidMessageContents = "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", 400, Sender;
    /// Too many requests; clients slow down on this one.
    RequestThrottled = "com.amazonaws.sqs#RequestThrottled", "RequestThrottled", 403, Sender;
    /// Not an address of a queue.
    InvalidAddress = "com.amazonaws.sqs#InvalidAddress", "InvalidAddress", 404, Sender;
    /// Not over a connection that is safe enough.
    InvalidSecurity = "com.amazonaws.sqs#InvalidSecurity", "InvalidSecurity", 403, Sender;
    /// A parameter's value is not one it can have.
    InvalidParameterValue = "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", 400, Sender;
    /// A parameter that has to be there is not.
    MissingParameter = "com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter", 400, Sender;
    /// No such action, or not at this address.
    InvalidAction = "com.amazon.coral.service#InvalidActionException", "InvalidAction", 400, Sender;
    /// A JSON request names no operation of SQS.
    UnknownOperation = "com.amazon.coral.service#UnknownOperationException", "UnknownOperationException", 400, Sender;
    /// The body is not JSON, or a member has another type.
    Serialization = "com.amazon.coral.service#SerializationException", "MalformedInput", 400, Sender;
    /// Query string or form cannot be read.
    MalformedQueryString = "com.amazon.coral.service#MalformedQueryStringException", "MalformedQueryString", 400, Sender;
    /// A version of the API that is not spoken.
    NoSuchVersion = "com.amazon.coral.service#NoSuchVersionException", "NoSuchVersion", 400, Sender;
    /// The body is larger than any request may be.
    RequestTooLarge = "com.amazon.coral.service#RequestEntityTooLargeException", "RequestEntityTooLarge", 413, Sender;
    /// No signature where one has to be.
    MissingAuthenticationToken = "com.amazon.coral.service#MissingAuthenticationTokenException", "MissingAuthenticationToken", 403, Sender;
    /// An access key, or a session token, that is not known.
    InvalidClientTokenId = "com.amazon.coral.service#UnrecognizedClientException", "InvalidClientTokenId", 403, Sender;
    /// The signature is not what the secret gives.
    SignatureDoesNotMatch = "com.amazon.coral.service#InvalidSignatureException", "SignatureDoesNotMatch", 403, Sender;
    /// A signature with parts missing or malformed.
    IncompleteSignature = "com.amazon.coral.service#IncompleteSignatureException", "IncompleteSignature", 400, Sender;
    /// The caller may not do this.
    AccessDenied = "com.amazon.coral.service#AccessDeniedException", "AccessDenied", 403, Sender;
    /// The service cannot just now; nothing is wrong with the request.
    ServiceUnavailable = "com.amazon.coral.service#ServiceUnavailableException", "ServiceUnavailable", 503, Receiver;
    /// A fault of ours.
    InternalFailure = "com.amazon.coral.service#InternalFailure", "InternalFailure", 500, Receiver;
}

/// A refusal with its reason for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct SqsError {
    /// Why.
    pub kind: ErrorKind,
    /// Why, in words; AWS's where they are known.
    pub message: Cow<'static, str>,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.query_code())
    }
}

impl SqsError {
    /// A refusal of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A parameter that has to be there is not, or is empty where empty is none.
    #[must_use]
    pub fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(ErrorKind::MissingParameter, message)
    }

    /// A parameter's value is not one it can have. `reason` is a sentence.
    #[must_use]
    pub fn invalid(parameter: &str, value: impl fmt::Display, reason: impl fmt::Display) -> Self {
        let value = value.to_string();
        let value = quoted(&value);
        let message =
            format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}");
        Self::new(ErrorKind::InvalidParameterValue, message)
    }

    /// No such queue, or none that this caller may know of. The text is that of JSON; in XML it says more,
    /// see [`crate::write_error`].
    #[must_use]
    pub fn no_such_queue() -> Self {
        Self::new(
            ErrorKind::QueueDoesNotExist,
            "The specified queue does not exist.",
        )
    }
}

/// As much of a client's value as an error's text repeats.
pub(crate) fn quoted(value: &str) -> Cow<'_, str> {
    if value.len() <= limits::QUOTED_BYTES_MAX {
        return Cow::Borrowed(value);
    }
    let end = value.floor_char_boundary(limits::QUOTED_BYTES_MAX);
    Cow::Owned(format!("{}…", &value[..end]))
}
