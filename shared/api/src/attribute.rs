//! Message attributes in JSON: text as a plain string, everything else as an object with its type.
//! The rules are those of SQS, so that a message fits both APIs.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, de};
use shoal_types::{Attribute, limits};

use crate::{Problem, body};

/// One attribute: `"text"`, or `{"type": "Number", "value": "1.5"}`, or
/// `{"type": "Binary", "value_base64": "AP8="}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AttributeBody {
    /// Type `String`.
    Text(String),
    /// Any type.
    Typed(TypedAttribute),
}

/// An attribute with its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedAttribute {
    /// `String`, `Number` or `Binary`, optionally with `.` and a label.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value, unless it is binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value, if it is binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
}

/// Bytes of an attribute's type, label included (SQS).
const KIND_BYTES_MAX: usize = 256;

/// Checks attributes and makes them what is stored. `at` is the field they stand in.
pub(crate) fn read(
    attributes: BTreeMap<String, AttributeBody>,
    at: &str,
) -> Result<BTreeMap<String, Attribute>, Problem> {
    if attributes.len() > limits::ATTRIBUTES_MAX {
        let why = format!(
            "{} are more than {}",
            attributes.len(),
            limits::ATTRIBUTES_MAX
        );
        return Err(Problem::invalid(at, why));
    }
    let read_one = |(name, attribute): (String, AttributeBody)| {
        let field = format!("{at}.{name}");
        check_name(&name).map_err(|why| Problem::invalid(&*field, why))?;
        Ok((name, attribute.read(&field)?))
    };
    attributes.into_iter().map(read_one).collect()
}

/// What is stored, as users see it.
pub(crate) fn write(attributes: BTreeMap<String, Attribute>) -> BTreeMap<String, AttributeBody> {
    attributes
        .into_iter()
        .map(|(name, attribute)| (name, attribute.into()))
        .collect()
}

fn check_name(name: &str) -> Result<(), String> {
    if !(1..=limits::ATTRIBUTE_NAME_BYTES_MAX).contains(&name.len()) {
        return Err(format!(
            "a name has 1 to {} bytes",
            limits::ATTRIBUTE_NAME_BYTES_MAX
        ));
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Err("a name consists of A-Z, a-z, 0-9, -, _ and .".to_owned());
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return Err("a name has . only between other characters, one at a time".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return Err("a name does not start with aws. or amazon.".to_owned());
    }
    Ok(())
}

impl AttributeBody {
    fn read(self, field: &str) -> Result<Attribute, Problem> {
        let typed = match self {
            Self::Text(value) => TypedAttribute {
                kind: "String".to_owned(),
                value: Some(value),
                value_base64: None,
            },
            Self::Typed(typed) => typed,
        };
        let base = typed.kind.split('.').next().unwrap_or_default();
        if !["String", "Number", "Binary"].contains(&base) || typed.kind.len() > KIND_BYTES_MAX {
            let why = "is String, Number or Binary, optionally with . and a label";
            return Err(Problem::invalid(format!("{field}.type"), why));
        }
        let (value, name) = match (base, typed.value, typed.value_base64) {
            ("Binary", None, Some(base64)) => {
                let value = body::decode(&base64, || format!("{field}.value_base64"))?;
                (value, "value_base64")
            }
            ("Binary", ..) => {
                let why = "a Binary attribute has this, and no value";
                return Err(Problem::invalid(format!("{field}.value_base64"), why));
            }
            (_, Some(text), None) => (text.into(), "value"),
            _ => {
                let why = "an attribute that is not Binary has this, and no value_base64";
                return Err(Problem::invalid(format!("{field}.value"), why));
            }
        };
        if value.is_empty() {
            return Err(Problem::invalid(format!("{field}.{name}"), "is empty"));
        }
        Ok(Attribute {
            kind: typed.kind,
            value,
        })
    }
}

impl From<Attribute> for AttributeBody {
    fn from(attribute: Attribute) -> Self {
        let Attribute { kind, value } = attribute;
        match String::from_utf8(value.into()) {
            Ok(text) if kind == "String" => Self::Text(text),
            Ok(text) if !kind.starts_with("Binary") => Self::Typed(TypedAttribute {
                kind,
                value: Some(text),
                value_base64: None,
            }),
            Ok(text) => Self::binary(kind, text.as_bytes()),
            Err(e) => Self::binary(kind, e.as_bytes()),
        }
    }
}

impl AttributeBody {
    fn binary(kind: String, value: &[u8]) -> Self {
        let value_base64 = Some(body::encode(value));
        Self::Typed(TypedAttribute {
            kind,
            value: None,
            value_base64,
        })
    }
}

impl<'de> Deserialize<'de> for AttributeBody {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(AttributeVisitor)
    }
}

/// By hand, since a derived untagged enum would only say that nothing matched.
struct AttributeVisitor;

impl<'de> de::Visitor<'de> for AttributeVisitor {
    type Value = AttributeBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or an object with type and value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AttributeBody, E> {
        Ok(AttributeBody::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<AttributeBody, E> {
        Ok(AttributeBody::Text(text))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AttributeBody, A::Error> {
        TypedAttribute::deserialize(MapAccessDeserializer::new(map)).map(AttributeBody::Typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<BTreeMap<String, Attribute>, Problem> {
        read(crate::json::read(json.as_bytes())?, "attributes")
    }

    #[test]
    fn attributes_come_back_as_they_went_in() {
        let json = r#"{"bin":{"type":"Binary.png","value_base64":"AP8="},"n":{"type":"Number","value":"1.50"},"trace-id":"é"}"#;
        assert_eq!(
            serde_json::to_string(&write(parse(json).unwrap())).unwrap(),
            json
        );
    }

    #[test]
    fn what_sqs_would_not_take_is_refused_with_its_field() {
        for (json, field) in [
            (r#"{"":"x"}"#, "attributes."),
            (r#"{"a b":"x"}"#, "attributes.a b"),
            (r#"{"a..b":"x"}"#, "attributes.a..b"),
            (r#"{"AWS.x":"x"}"#, "attributes.AWS.x"),
            (r#"{"a":""}"#, "attributes.a.value"),
            (r#"{"a":{"type":"Int","value":"1"}}"#, "attributes.a.type"),
            (
                r#"{"a":{"type":"Binary","value":"1"}}"#,
                "attributes.a.value_base64",
            ),
            (
                r#"{"a":{"type":"Binary","value_base64":"?"}}"#,
                "attributes.a.value_base64",
            ),
            (
                r#"{"a":{"type":"String","value":"1","value_base64":"MQ=="}}"#,
                "attributes.a.value",
            ),
            (r#"{"a":{"type":"String"}}"#, "attributes.a.value"),
        ] {
            assert_eq!(
                parse(json).unwrap_err().field.as_deref(),
                Some(field),
                "{json}"
            );
        }
        for json in [
            r#"{"a":5}"#,
            r#"{"a":{"value":"1"}}"#,
            r#"{"a":{"type":"String","x":1}}"#,
        ] {
            assert!(
                parse(json)
                    .unwrap_err()
                    .field
                    .clone()
                    .unwrap()
                    .starts_with('a'),
                "{json}"
            );
        }
        let many = (0..11)
            .map(|i| format!("\"a{i}\":\"x\""))
            .collect::<Vec<_>>()
            .join(",");
        let problem = parse(&format!("{{{many}}}")).unwrap_err();
        assert_eq!(problem.detail, "attributes: 11 are more than 10");
    }
}
