//! The few shapes that schemas are made of.

use serde_json::{Map, Value, json};

/// A schema's properties by name.
pub(super) type Properties<'a> = Vec<(&'a str, Value)>;

/// An object with these fields and no others.
pub(super) fn object(description: &str, required: &[&str], properties: Properties<'_>) -> Value {
    let fields: Map<String, Value> = properties
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    for name in required {
        assert!(
            fields.contains_key(*name),
            "{name} is required and not described"
        );
    }
    let mut schema = json!({
        "type": "object",
        "description": description,
        "properties": fields,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// Text of so many characters.
pub(super) fn short_text(description: &str, min: usize, max: usize) -> Value {
    json!({ "type": "string", "description": description, "minLength": min, "maxLength": max })
}

pub(super) fn base64(description: &str) -> Value {
    json!({ "type": "string", "contentEncoding": "base64", "description": description })
}

pub(super) fn boolean(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

/// A number that this service counts.
pub(super) fn count(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

/// A whole number within a range.
pub(super) fn whole(description: &str, min: u64, max: u64) -> Value {
    let mut schema = json!({ "type": "integer", "minimum": min, "description": description });
    if max < u64::MAX {
        schema["maximum"] = json!(max);
    }
    schema
}

/// One of a few words.
pub(super) fn word(description: &str, words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words, "description": description })
}

pub(super) fn list(description: &str, items: Value) -> Value {
    json!({ "type": "array", "items": items, "description": description })
}

/// A list of 1 to `max` items.
pub(super) fn batch(description: &str, items: Value, max: usize) -> Value {
    let mut schema = list(description, items);
    schema["minItems"] = json!(1);
    schema["maxItems"] = json!(max);
    schema
}

/// An object whose fields' names are the user's.
pub(super) fn map(description: &str, values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values, "description": description })
}

/// A schema that also takes `null`.
pub(super) fn or_null(mut schema: Value) -> Value {
    if let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
        schema
    } else {
        json!({ "oneOf": [schema, { "type": "null" }] })
    }
}

/// What stands under this name in the components.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A point in time.
pub(super) fn time(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}
