//! What a parameter may be. Texts are borrowed from the request where nothing had to be unescaped.

use std::borrow::Cow;

/// A value as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Whole(i128),
    Fraction,
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Fields<'a>),
}

/// Names and values in the order in which they came; no name twice.
pub(crate) type Fields<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

impl Value<'_> {
    /// What AWS calls it in an error's text.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL_VALUE",
            Self::Bool(true) => "TRUE_VALUE",
            Self::Bool(false) => "FALSE_VALUE",
            Self::Whole(_) => "NUMBER_VALUE",
            Self::Fraction => "DECIMAL_VALUE",
            Self::Text(_) => "STRING_VALUE",
            Self::List(_) => "LIST_VALUE",
            Self::Object(_) => "STRUCTURE_VALUE",
        }
    }
}
