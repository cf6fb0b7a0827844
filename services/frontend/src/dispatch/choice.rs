//! Which host to ask: two random ones of the best kind, and of these the less busy one.

/// What decides about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Was asked already, by this request and in this round.
    pub(super) tried: bool,
    /// Takes commands, as far as the cluster's last known view says.
    pub(super) active: bool,
    /// Failed a moment ago.
    pub(super) failing: bool,
    /// Calls that wait for its answer.
    pub(super) in_flight: usize,
}

impl Candidate {
    /// Smaller is better. A host that just failed may still be the only one that lives, so nothing but
    /// having been tried excludes one.
    fn rank(self) -> u8 {
        u8::from(self.failing) + 2 * u8::from(!self.active)
    }
}

/// The index of the host to ask next; `None` if all were tried. `random` gives a number below its
/// argument.
pub(super) fn choose(
    candidates: &[Candidate],
    mut random: impl FnMut(usize) -> usize,
) -> Option<usize> {
    let untried = || candidates.iter().enumerate().filter(|(_, c)| !c.tried);
    let best = untried().map(|(_, c)| c.rank()).min()?;
    let eligible = || untried().filter(move |(_, c)| c.rank() == best);
    let count = eligible().count();
    let mut pick = |among: usize| random(among);
    let first = pick(count);
    if count == 1 {
        return eligible().next().map(|(index, _)| index);
    }
    // The second among the others.
    let second = (first + 1 + pick(count - 1)) % count;
    let (first, second) = (eligible().nth(first)?, eligible().nth(second)?);
    Some(if second.1.in_flight < first.1.in_flight {
        second.0
    } else {
        first.0
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    use super::*;

    const IDLE: Candidate = Candidate {
        tried: false,
        active: true,
        failing: false,
        in_flight: 0,
    };

    fn shares(candidates: &[Candidate]) -> Vec<usize> {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut chosen = vec![0; candidates.len()];
        for _ in 0..3_000 {
            let index = choose(candidates, |below| rng.random_range(0..below)).unwrap();
            chosen[index] += 1;
        }
        chosen
    }

    #[test]
    fn equal_hosts_are_asked_equally_often() {
        assert!(
            shares(&[IDLE; 3])
                .iter()
                .all(|count| (900..1_100).contains(count))
        );
    }

    #[test]
    fn the_busiest_of_three_is_not_asked_at_all() {
        let busy = Candidate {
            in_flight: 9,
            ..IDLE
        };
        assert_eq!(shares(&[IDLE, busy, IDLE])[1], 0);
    }

    #[test]
    fn a_failing_host_comes_after_healthy_ones_and_an_inactive_one_last() {
        let failing = Candidate {
            failing: true,
            ..IDLE
        };
        let inactive = Candidate {
            active: false,
            ..IDLE
        };
        let tried = Candidate {
            tried: true,
            ..IDLE
        };
        let zero = |_| 0;
        assert_eq!(choose(&[inactive, failing, IDLE], zero), Some(2));
        assert_eq!(choose(&[inactive, failing, tried], zero), Some(1));
        assert_eq!(choose(&[inactive, tried, tried], zero), Some(0));
        assert_eq!(choose(&[tried, tried], zero), None);
        assert_eq!(choose(&[], zero), None);
    }
}
