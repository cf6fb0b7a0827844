//! Settings as text, each with where it came from.

use std::fmt::Write as _;

use figment::Figment;
use figment::value::Value;

use super::Known;

/// Endings of keys whose values are nobody's business.
const SECRET_ENDINGS: [&str; 3] = ["_secret", "_token", "_password"];

/// One line per key, in the alphabet's order.
pub(super) fn dump(known: &Known, figment: &Figment) -> String {
    let mut lines = String::new();
    for key in known.keys.keys().chain(&known.open) {
        let from = figment
            .find_metadata(key)
            .map_or("default", |metadata| &metadata.name);
        let shown = match figment.find_value(key) {
            Ok(_) if SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending)) => {
                "\"***\"".to_owned()
            }
            Ok(Value::Empty(..)) | Err(_) => {
                writeln!(lines, "# {key} is not set  # from {from}").expect("writing to memory");
                continue;
            }
            Ok(value) => toml_text(&value),
        };
        writeln!(lines, "{key} = {shown}  # from {from}").expect("writing to memory");
    }
    lines
}

fn toml_text(value: &Value) -> String {
    match toml::Value::try_from(value) {
        Ok(toml) => toml.to_string(),
        Err(_) => format!("{value:?}"),
    }
}
