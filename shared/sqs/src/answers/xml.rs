//! An answer as an XML document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::writing::Writer;

/// Writes elements one after the other.
pub(super) struct XmlWriter(String);

impl XmlWriter {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(super) fn finish(self) -> Bytes {
        self.0.into()
    }

    pub(super) fn declare(&mut self) {
        self.0.push_str("<?xml version=\"1.0\"?>");
    }

    pub(super) fn open_with_namespace(&mut self, name: &str, namespace: &str) {
        self.0.extend(["<", name, " xmlns=\"", namespace, "\">"]);
    }

    pub(super) fn close(&mut self, name: &str) {
        self.0.extend(["</", name, ">"]);
    }

    pub(super) fn empty(&mut self, name: &str) {
        self.0.extend(["<", name, "/>"]);
    }

    pub(super) fn within(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.0.extend(["<", name, ">"]);
        write(self);
        self.close(name);
    }

    /// Text with what means something in XML escaped. A carriage return is escaped because readers make a
    /// line feed of it; what XML cannot carry at all becomes U+FFFD.
    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(needs_escape) {
            let (plain, tail) = rest.split_at(at);
            self.0.push_str(plain);
            let mut tail = tail.chars();
            self.0.push_str(match tail.next() {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                Some('\'') => "&apos;",
                Some('\r') => "&#xD;",
                _ => "\u{FFFD}",
            });
            rest = tail.as_str();
        }
        self.0.push_str(rest);
    }
}

fn needs_escape(c: char) -> bool {
    matches!(c, '&' | '<' | '>' | '"' | '\'' | '\r') || !crate::message::is_taken(c)
}

impl Writer for XmlWriter {
    fn text(&mut self, name: &str, value: &str) {
        self.within(name, |xml| xml.escaped(value));
    }

    fn number(&mut self, name: &str, value: u64) {
        self.within(name, |xml| xml.0.push_str(&value.to_string()));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.within(name, |xml| {
            xml.0.push_str(if value { "true" } else { "false" })
        });
    }

    fn binary(&mut self, name: &str, value: &[u8]) {
        self.within(name, |xml| STANDARD.encode_string(value, &mut xml.0));
    }

    fn texts(&mut self, _name: &str, element: &str, values: &[String]) {
        values.iter().for_each(|value| self.text(element, value));
    }

    fn texts_or_none(&mut self, name: &str, element: &str, values: &[String]) {
        self.texts(name, element, values);
    }

    fn objects<T>(
        &mut self,
        _name: &str,
        element: &str,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        for value in values {
            self.within(element, |xml| write(xml, value));
        }
    }

    fn map<'v>(
        &mut self,
        _name: &str,
        element: &str,
        (key_name, value_name): (&str, &str),
        values: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) {
        for (key, value) in values {
            self.within(element, |xml| {
                xml.text(key_name, key);
                xml.text(value_name, value);
            });
        }
    }

    fn map_of_objects<'v, T>(
        &mut self,
        _name: &str,
        element: &str,
        values: impl IntoIterator<Item = (&'v str, T)>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        for (key, value) in values {
            self.within(element, |xml| {
                xml.text("Name", key);
                xml.within("Value", |xml| write(xml, value));
            });
        }
    }
}
