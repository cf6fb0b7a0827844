//! Taking typed members out of a request's tree of values.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use shoal_types::{QueueName, Scope};

use super::value::{Fields, Value};
use crate::{ErrorKind, Protocol, SqsError, place};

/// What is the same for all members of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) protocol: Protocol,
    /// The caller's account and region.
    pub(crate) scope: &'a Scope,
    /// What most texts are borrowed from.
    pub(crate) body: &'a Bytes,
    /// The queue in the request's path, if there is one.
    pub(crate) path_queue: Option<&'a QueueName>,
}

/// The members of a request or of an object in it. Taking one removes it; what is never asked for is
/// ignored, as AWS ignores what it does not know.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    context: Context<'a>,
    fields: Fields<'a>,
}

/// A map from texts to texts, no name twice.
pub(crate) type Texts<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The elements of a list, in order.
#[derive(Debug, Default)]
pub(crate) struct List<'a>(pub(crate) Vec<Value<'a>>);

impl<'a> Members<'a> {
    pub(crate) fn new(context: Context<'a>, fields: Fields<'a>) -> Self {
        Self { context, fields }
    }

    /// True if the request was sent to a queue's own address.
    pub(crate) fn has_path_queue(&self) -> bool {
        self.context.path_queue.is_some()
    }

    /// True if there is such a member, even an empty one.
    pub(crate) fn has(&self, name: &str) -> bool {
        let given =
            |(other, value): &(Cow<'_, str>, Value<'_>)| other == name && *value != Value::Null;
        self.fields.iter().any(given)
    }

    /// True if there is such a member with something in it.
    pub(crate) fn has_some(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, value)| {
            other == name
                && match value {
                    Value::Null => false,
                    Value::List(elements) => !elements.is_empty(),
                    _ => true,
                }
        })
    }

    fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.fields.iter().position(|(other, _)| other == name)?;
        match self.fields.swap_remove(at).1 {
            Value::Null => None,
            value => Some(value),
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, SqsError> {
        self.take(name).map(|value| text(name, value)).transpose()
    }

    /// A text that has to be there, and not empty.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<Cow<'a, str>, SqsError> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| SqsError::missing(name))
    }

    /// The bytes of a text: a part of the request's body where that is possible, else its own.
    pub(crate) fn bytes(&self, text: Cow<'a, str>) -> Bytes {
        let body = self.context.body;
        match text {
            Cow::Borrowed(text) if body.as_ptr_range().contains(&text.as_ptr()) => {
                body.slice_ref(text.as_bytes())
            }
            Cow::Borrowed(text) => Bytes::copy_from_slice(text.as_bytes()),
            Cow::Owned(text) => text.into(),
        }
    }

    /// Bytes, which come as base64.
    pub(crate) fn binary(&mut self, name: &str) -> Result<Option<Bytes>, SqsError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(e) => Err(SqsError::invalid(
                name,
                text,
                format!("Is not base64: {e}."),
            )),
        }
    }

    /// A whole number in this range. `reason` is the sentence that says so.
    pub(crate) fn whole(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
        reason: &str,
    ) -> Result<Option<u32>, SqsError> {
        let number = match (self.take(name), self.context.protocol) {
            (None, _) => return Ok(None),
            (Some(Value::Whole(number)), _) => number,
            // In the query protocol all values are texts.
            (Some(Value::Text(text)), Protocol::Query) => match parse_whole(&text) {
                Some(number) => number,
                None => return Err(SqsError::invalid(name, text, "Must be an integer.")),
            },
            (Some(other), _) => return Err(wrong_type(name, &other, "Integer")),
        };
        match u32::try_from(number) {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(SqsError::invalid(name, number, reason)),
        }
    }

    /// A list. The query protocol numbers its elements, under the name of one of them.
    pub(crate) fn list(&mut self, name: &str, element: &str) -> Result<Option<List<'a>>, SqsError> {
        let Protocol::Query = self.context.protocol else {
            return match self.take(name) {
                None => Ok(None),
                Some(Value::List(elements)) => Ok(Some(List(elements))),
                Some(other) => Err(wrong_type(name, &other, "List")),
            };
        };
        match self.take(element) {
            None => Ok(None),
            Some(value) => numbered(element, value).map(|elements| Some(List(elements))),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(
        &mut self,
        name: &str,
        element: &str,
    ) -> Result<Vec<Cow<'a, str>>, SqsError> {
        let List(elements) = self.list(name, element)?.unwrap_or_default();
        elements
            .into_iter()
            .map(|value| text(name, value))
            .collect()
    }

    /// A map from texts to texts. In the query protocol it is a list of pairs, here under `element`, with
    /// the names `key` and `value`.
    pub(crate) fn map(
        &mut self,
        name: &str,
        element: &str,
        key: &str,
        value: &str,
    ) -> Result<Texts<'a>, SqsError> {
        let pairs = self.pairs(name, element, key, value)?;
        let with_text = |(key, value): (Cow<'a, str>, Value<'a>)| {
            let value = text(&key, value)?;
            Ok((key, value))
        };
        pairs.into_iter().map(with_text).collect()
    }

    /// A map from texts to objects.
    pub(crate) fn objects(
        &mut self,
        name: &str,
        element: &str,
    ) -> Result<Vec<(Cow<'a, str>, Self)>, SqsError> {
        let pairs = self.pairs(name, element, "Name", "Value")?;
        let with_members = |(key, value): (Cow<'a, str>, Value<'a>)| {
            let members = self.object(&key, value)?;
            Ok((key, members))
        };
        pairs.into_iter().map(with_members).collect()
    }

    /// The members of an object within the request.
    pub(crate) fn object(&self, name: &str, value: Value<'a>) -> Result<Self, SqsError> {
        match value {
            Value::Object(fields) => Ok(Self::new(self.context, fields)),
            other => Err(wrong_type(name, &other, "Structure")),
        }
    }

    fn pairs(
        &mut self,
        name: &str,
        element: &str,
        key: &str,
        value: &str,
    ) -> Result<Fields<'a>, SqsError> {
        let Protocol::Query = self.context.protocol else {
            return match self.take(name) {
                None => Ok(Fields::new()),
                Some(Value::Object(pairs)) => Ok(pairs),
                Some(other) => Err(wrong_type(name, &other, "Map")),
            };
        };
        let List(elements) = self.list(name, element)?.unwrap_or_default();
        let mut pairs = Fields::with_capacity(elements.len());
        for pair in elements {
            let mut pair = self.object(element, pair)?;
            let Some(key) = pair.text(key)? else {
                return Err(SqsError::missing(&format!("{element}.{key}")));
            };
            let Some(given) = pair.take(value) else {
                return Err(SqsError::missing(&format!("{element}.{value}")));
            };
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(SqsError::invalid(element, key, "The name is given twice."));
            }
            pairs.push((key, given));
        }
        Ok(pairs)
    }
}

/// Members that name queues.
impl Members<'_> {
    /// The queue of `QueueUrl`. In the query protocol that of the path goes before it; in JSON it stands in
    /// for one that is not given.
    pub(crate) fn queue(&mut self) -> Result<QueueName, SqsError> {
        let url = self.text("QueueUrl")?.filter(|url| !url.is_empty());
        match (self.context.path_queue, url) {
            (Some(queue), None) => Ok(queue.clone()),
            (Some(queue), Some(_)) if self.context.protocol == Protocol::Query => Ok(queue.clone()),
            (_, Some(url)) => place::queue_from_url(&url, self.context.scope.region()),
            (None, None) => Err(SqsError::missing("QueueUrl")),
        }
    }

    /// A queue of the caller's by its name alone, as it is created. `fifo` is whether it is to be one.
    pub(crate) fn local_queue(&mut self, name: &str, fifo: bool) -> Result<QueueName, SqsError> {
        let text = self.required_text(name)?;
        match QueueName::new(self.context.scope, &text) {
            Ok(queue) if queue.is_fifo() == fifo => Ok(queue),
            _ if fifo => Err(SqsError::new(
                ErrorKind::InvalidParameterValue,
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, \
                 must end with .fifo suffix and be 1 to 80 in length",
            )),
            _ => Err(SqsError::new(
                ErrorKind::InvalidParameterValue,
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            )),
        }
    }

    /// A queue by its name and, if `owner` names one, another account than the caller's.
    pub(crate) fn owned_queue(&mut self, name: &str, owner: &str) -> Result<QueueName, SqsError> {
        let text = self.required_text(name)?;
        let scope = match self.text(owner)? {
            Some(account) => Scope::new(&account, self.context.scope.region())
                .map_err(|e| SqsError::invalid(owner, account, format!("{e}.")))?,
            None => self.context.scope.clone(),
        };
        // No queue can have a name that is none.
        QueueName::new(&scope, &text).map_err(|_| SqsError::no_such_queue())
    }

    /// The queue of an ARN.
    pub(crate) fn queue_of_arn(&mut self, name: &str) -> Result<Option<QueueName>, SqsError> {
        let Some(arn) = self.text(name)? else {
            return Ok(None);
        };
        let queue = place::queue_from_arn(&arn).ok_or_else(|| {
            let message = format!(
                "You must use this format to specify the {name}: \
                 arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
            );
            SqsError::new(ErrorKind::InvalidParameterValue, message)
        })?;
        Ok(Some(queue))
    }
}

fn text<'a>(name: &str, value: Value<'a>) -> Result<Cow<'a, str>, SqsError> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wrong_type(name, &other, "String")),
    }
}

/// The elements of a list in the query protocol, in the order of their numbers; gaps mean nothing. AWS's
/// own old examples leave out the number of a lone element, so that is taken too.
fn numbered<'a>(element: &str, value: Value<'a>) -> Result<Vec<Value<'a>>, SqsError> {
    let fields = match value {
        Value::Object(fields) => fields,
        lone => return Ok(vec![lone]),
    };
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    if !fields.iter().any(|(name, _)| is_number(name)) {
        return Ok(vec![Value::Object(fields)]);
    }
    let mut elements = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let Ok(number) = name.parse::<u32>() else {
            let message = format!(
                "The parameter {element}.{} has no number.",
                crate::error::quoted(&name)
            );
            return Err(SqsError::new(ErrorKind::MalformedQueryString, message));
        };
        elements.push((number, value));
    }
    elements.sort_by_key(|(number, _)| *number);
    Ok(elements.into_iter().map(|(_, value)| value).collect())
}

fn parse_whole(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let right = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| right)
}

fn wrong_type(name: &str, value: &Value<'_>, wanted: &str) -> SqsError {
    let message = format!("{name}: {} cannot be converted to {wanted}", value.kind());
    SqsError::new(ErrorKind::Serialization, message)
}
