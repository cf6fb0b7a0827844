//! The largest of the recent samples.

use shoal_types::Micros;

use crate::limits::RECENT_SAMPLES;

/// The largest of the last one to two windows of [`RECENT_SAMPLES`] samples, in constant space. Stands
/// for a high percentile: with a thousand samples the largest is the p99.9.
#[derive(Clone, Debug, Default)]
pub(crate) struct WindowedMax {
    current: Micros,
    previous: Micros,
    samples: u32,
}

impl WindowedMax {
    pub(crate) fn add(&mut self, sample: Micros) {
        if self.samples == RECENT_SAMPLES {
            self.previous = self.current;
            self.current = 0;
            self.samples = 0;
        }
        self.samples += 1;
        self.current = self.current.max(sample);
    }

    /// 0 if there was no sample yet.
    pub(crate) fn get(&self) -> Micros {
        self.current.max(self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_sample_is_forgotten_after_two_windows() {
        let mut max = WindowedMax::default();
        max.add(900);
        for _ in 0..RECENT_SAMPLES {
            max.add(5);
        }
        assert_eq!(max.get(), 900);
        for _ in 0..RECENT_SAMPLES {
            max.add(5);
        }
        assert_eq!(max.get(), 5);
    }
}
