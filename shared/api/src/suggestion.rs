//! "Did you mean …?"

/// The known name closest to a mistyped one, if one is close enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Jaro-Winkler similarity from which on two names read alike; below, a guess would confuse.
    const ALIKE: f64 = 0.8;
    // Comparing is quadratic in the length, and no name of ours is as long as this.
    if name.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_name_and_noise_finds_nothing() {
        let known = ["visibility_timeout_s", "delay_s", "wait_s"];
        assert_eq!(
            nearest("visibility_timeout", known),
            Some("visibility_timeout_s")
        );
        assert_eq!(nearest("dealy_s", known), Some("delay_s"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"delay_s".repeat(100), known), None);
    }
}
