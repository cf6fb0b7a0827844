//! Whole numbers whose range is part of their type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A whole number from `MIN` to `MAX`. Reading another one fails with an error that says the range,
/// whether it is too small, too large, a fraction or text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number, if it is within the range.
    #[must_use]
    pub fn new(value: u64) -> Option<Self> {
        (MIN..=MAX).contains(&value).then_some(Self(value))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number as seconds, in microseconds.
    #[must_use]
    pub fn seconds(self) -> shoal_types::Micros {
        self.0.saturating_mul(1_000_000)
    }

    /// The number, where the range fits in 32 bits.
    ///
    /// # Panics
    /// If the range does not: a mistake of whoever wrote the type.
    #[must_use]
    pub fn get_u32(self) -> u32 {
        u32::try_from(self.0).expect("the range was chosen to fit")
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Whole<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Whole<MIN, MAX> {
    type Err = String;

    /// Takes decimal digits; the error says the range.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let value = text.parse().ok().filter(|_| is_number).and_then(Self::new);
        value.ok_or_else(|| format!("{text:?} is not a whole number from {MIN} to {MAX}"))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_u64(WholeVisitor)
    }
}

struct WholeVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> de::Visitor<'_> for WholeVisitor<MIN, MAX> {
    type Value = Whole<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if MAX == u64::MAX {
            write!(f, "a whole number from {MIN}")
        } else {
            write!(f, "a whole number from {MIN} to {MAX}")
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Whole::new(value).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        let unsigned = u64::try_from(value).ok();
        unsigned
            .and_then(Whole::new)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Whole<1, 900>;

    #[test]
    fn the_error_says_the_range_whatever_came() {
        for bad in [
            "0",
            "901",
            "-1",
            "1.5",
            "\"5\"",
            "true",
            "null",
            "9223372036854775808",
            "1e2",
        ] {
            let error = serde_json::from_str::<Small>(bad).unwrap_err().to_string();
            assert!(
                error.contains("expected a whole number from 1 to 900"),
                "{bad}: {error}"
            );
        }
        assert_eq!(
            serde_json::from_str::<Small>("900").unwrap().seconds(),
            900_000_000
        );
    }
}
