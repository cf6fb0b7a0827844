//! An answer as a JSON object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::writing::Writer;

/// Writes members one after the other into an object that is open from the start.
pub(super) struct JsonWriter(Vec<u8>);

impl JsonWriter {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes);
        buffer.push(b'{');
        Self(buffer)
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        self.0.into()
    }

    /// A member's name, after a comma if it is not the first of its object.
    fn name(&mut self, name: &str) {
        self.separate();
        self.string(name);
        self.0.push(b':');
    }

    fn separate(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[')) {
            self.0.push(b',');
        }
    }

    fn string(&mut self, text: &str) {
        serde_json::to_writer(&mut self.0, text).expect("a text into a buffer");
    }

    /// What is between the brackets, with its name before; nothing at all if there is nothing.
    fn enclosed<T>(
        &mut self,
        name: &str,
        [open, close]: [u8; 2],
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        self.name(name);
        self.0.push(open);
        values.for_each(|value| write(self, value));
        self.0.push(close);
    }

    fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        write(self);
        self.0.push(b'}');
    }
}

impl Writer for JsonWriter {
    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.0.extend_from_slice(value.to_string().as_bytes());
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn binary(&mut self, name: &str, value: &[u8]) {
        self.text(name, &STANDARD.encode(value));
    }

    fn texts(&mut self, name: &str, _element: &str, values: &[String]) {
        self.enclosed(name, *b"[]", values, |json, value| {
            json.separate();
            json.string(value);
        });
    }

    fn texts_or_none(&mut self, name: &str, element: &str, values: &[String]) {
        if values.is_empty() {
            self.name(name);
            self.0.extend_from_slice(b"[]");
        } else {
            self.texts(name, element, values);
        }
    }

    fn objects<T>(
        &mut self,
        name: &str,
        _element: &str,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.enclosed(name, *b"[]", values, |json, value| {
            json.separate();
            json.object(|json| write(json, value));
        });
    }

    fn map<'v>(
        &mut self,
        name: &str,
        _element: &str,
        _pair: (&str, &str),
        values: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) {
        self.enclosed(name, *b"{}", values, |json, (key, value)| {
            json.text(key, value)
        });
    }

    fn map_of_objects<'v, T>(
        &mut self,
        name: &str,
        _element: &str,
        values: impl IntoIterator<Item = (&'v str, T)>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.enclosed(name, *b"{}", values, |json, (key, value)| {
            json.name(key);
            json.object(|json| write(json, value));
        });
    }
}
