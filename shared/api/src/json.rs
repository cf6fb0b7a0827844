//! Reading JSON so that a mistake is answered with the field it is in.

use serde::de::DeserializeOwned;
use shoal_types::ErrorCode;

use crate::object::Object;
use crate::{Problem, nearest};

/// Reads a body, which is an object.
///
/// # Errors
/// `invalid_request`, naming the field where there is one and, for an unknown one, the nearest known.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Only a body that is wrong is read a second time, slower, to find out where.
    match serde_json::from_slice::<Object<T>>(body) {
        Ok(Object(value)) => Ok(value),
        Err(_) => Err(explain::<T>(body)),
    }
}

fn explain<T: DeserializeOwned>(body: &[u8]) -> Problem {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Problem::new(
            ErrorCode::InvalidRequest,
            "the body is empty, expected JSON",
        );
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Err(error) => {
            let path = error.path().to_string();
            let error = error.inner();
            if error.is_data() {
                // The place in the text is of no use to a program, and the field says it to people.
                let text = error.to_string();
                describe(
                    &path,
                    text.rsplit_once(" at line ")
                        .map_or(&*text, |(text, _)| text),
                )
            } else {
                not_json(error)
            }
        }
        Ok(_) => {
            let trailing = reader.end().expect_err("reading failed before");
            not_json(&trailing)
        }
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(
        ErrorCode::InvalidRequest,
        format!("the body is not JSON: {error}"),
    )
}

/// Makes a problem of what serde says, in its own words, which are the same for every format and carry
/// names that are not in the path.
pub(crate) fn describe(path: &str, text: &str) -> Problem {
    if let Some(name) = quoted_after(text, "unknown field ") {
        return unknown_field(path, name, text);
    }
    for prefix in ["missing field ", "duplicate field "] {
        if let Some(name) = quoted_after(text, prefix) {
            let why = if prefix.starts_with("missing") {
                "is missing"
            } else {
                "is given twice"
            };
            return Problem::invalid(child(path, name), why);
        }
    }
    // What `Batch` says, and nothing else does.
    if text.starts_with("invalid length ") && text.contains("expected at most ") {
        return Problem::new(ErrorCode::TooLarge, format!("{path}: {text}")).at(path);
    }
    if path == "." {
        return Problem::new(ErrorCode::InvalidRequest, format!("the body: {text}"));
    }
    Problem::invalid(path, text)
}

fn unknown_field(path: &str, name: &str, text: &str) -> Problem {
    let field = child(path, name);
    let known = known_fields(text);
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown field; did you mean {near}?"),
        None if known.is_empty() => "unknown field; none is taken here".to_owned(),
        None => format!("unknown field, expected one of {}", known.join(", ")),
    };
    Problem::invalid(field, hint)
}

/// The names in "…, expected one of `a`, `b`" or "…, expected `a` or `b`".
fn known_fields(text: &str) -> Vec<&str> {
    let listed = text
        .split_once(", expected ")
        .map_or("", |(_, listed)| listed);
    listed.split('`').skip(1).step_by(2).collect()
}

/// The `name` in "prefix`name`…"; an unknown field may itself contain a backtick.
fn quoted_after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let quoted = text.strip_prefix(prefix)?.strip_prefix('`')?;
    let end = quoted.find("`, ").or_else(|| quoted.rfind('`'))?;
    Some(&quoted[..end])
}

fn child(path: &str, name: &str) -> String {
    // The reader may have recorded the name already.
    if path == "." || path == name {
        name.to_owned()
    } else if path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Whole;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default, rename = "items")]
        _items: Vec<Inner>,
        #[serde(default, rename = "wait_s")]
        _wait_s: Option<Whole<0, 20>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "delay_s")]
        _delay_s: Whole<0, 900>,
    }

    fn problem(body: &str) -> (Option<String>, String) {
        let problem = read::<Outer>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidRequest);
        (problem.field.clone(), problem.detail.to_string())
    }

    #[test]
    fn mistakes_name_their_field() {
        for (body, field, words) in [
            (
                r#"{"items":[{"delay_s":1},{"delay_s":-1}]}"#,
                "items[1].delay_s",
                "`-1`, expected a whole number from 0 to 900",
            ),
            (r#"{"items":[{}]}"#, "items[0].delay_s", "is missing"),
            (
                r#"{"items":[{"delay":1}]}"#,
                "items[0].delay",
                "did you mean delay_s?",
            ),
            (r#"{"colour":1}"#, "colour", "expected one of items, wait_s"),
            (r#"{"a`b, c":1}"#, "a`b, c", "unknown field"),
            (r#"{"wait_s":1,"wait_s":1}"#, "wait_s", "given twice"),
            (
                r#"{"wait_s":"5"}"#,
                "wait_s",
                "string \"5\", expected a whole number from 0 to 20",
            ),
            (r#"{"items":{}}"#, "items", "expected a sequence"),
        ] {
            let (named, detail) = problem(body);
            assert_eq!(named.as_deref(), Some(field), "{body}: {detail}");
            assert!(
                detail.starts_with(&format!("{field}: ")) && detail.contains(words),
                "{detail}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        for (body, words) in [
            ("", "the body is empty"),
            (" \n", "the body is empty"),
            ("{", "the body is not JSON: EOF"),
            ("{} {}", "the body is not JSON: trailing characters"),
            ("[]", "the body: invalid type: sequence, expected an object"),
            ("null", "the body: invalid type: null, expected an object"),
            ("{\"items\":[,]}", "the body is not JSON"),
        ] {
            let (field, detail) = problem(body);
            assert!(detail.starts_with(words), "{body:?}: {detail}");
            assert_eq!(field, None, "{body:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(
            problem(&format!("{{\"items\":{deep}"))
                .1
                .contains("expected")
        );
    }
}
