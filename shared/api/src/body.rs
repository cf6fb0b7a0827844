//! A message's body in JSON: text as `body`, any other bytes as `body_base64`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use shoal_types::Body;

use crate::Problem;

/// Makes a body of the two fields. `at` is put before their names: `messages[3].` or nothing.
pub(crate) fn read(
    text: Option<String>,
    base64: Option<String>,
    at: &str,
) -> Result<Body, Problem> {
    let field = |name: &str| format!("{at}{name}");
    let body = match (text, base64) {
        (Some(text), None) => Body::Text(text.into()),
        (None, Some(base64)) => Body::Binary(decode(&base64, || field("body_base64"))?),
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                field("body_base64"),
                "give this or body, not both",
            ));
        }
        (None, None) => return Err(Problem::invalid(field("body"), "is missing")),
    };
    if body.bytes().is_empty() {
        return Err(Problem::invalid(
            field("body"),
            "is empty, a message has at least 1 byte",
        ));
    }
    Ok(body)
}

/// The two fields of a body: text that is UTF-8, or base64.
pub(crate) fn write(body: Body) -> (Option<String>, Option<String>) {
    match body {
        Body::Text(bytes) => match String::from_utf8(bytes.into()) {
            Ok(text) => (Some(text), None),
            // Checked when it was taken; should it be wrong all the same, the bytes still arrive.
            Err(e) => (None, Some(STANDARD.encode(e.as_bytes()))),
        },
        Body::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
    }
}

/// Decodes base64 with the standard alphabet and padding.
pub(crate) fn decode(base64: &str, field: impl FnOnce() -> String) -> Result<Bytes, Problem> {
    match STANDARD.decode(base64) {
        Ok(bytes) => Ok(bytes.into()),
        Err(e) => Err(Problem::invalid(field(), format!("is not base64: {e}"))),
    }
}

/// Encodes base64 with the standard alphabet and padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What a consumer can check a body with: CRC-32C of its bytes.
#[must_use]
pub fn checksum(body: &[u8]) -> String {
    format!("crc32c:{:08x}", crc32c::crc32c(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_in_the_field_they_came_in() {
        for (text, base64) in [
            (Some("é\0\"".to_owned()), None),
            (None, Some("AP8=".to_owned())),
        ] {
            let body = read(text.clone(), base64.clone(), "").unwrap();
            assert_eq!(write(body), (text, base64));
        }
    }

    #[test]
    fn exactly_one_field_with_something_in_it() {
        let some = |text: &str| Some(text.to_owned());
        for (text, base64, field) in [
            (None, None, "m.body"),
            (some("a"), some("YQ=="), "m.body_base64"),
            (some(""), None, "m.body"),
            (None, some(""), "m.body"),
            (None, some("YQ"), "m.body_base64"),
            (None, some("Y-_="), "m.body_base64"),
        ] {
            assert_eq!(
                read(text, base64, "m.").unwrap_err().field.as_deref(),
                Some(field)
            );
        }
    }

    #[test]
    fn the_checksum_is_the_usual_crc32c() {
        assert_eq!(checksum(b"123456789"), "crc32c:e3069283");
    }
}
