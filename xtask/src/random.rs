//! Repeatable randomness for schedules and test data; no secret is ever made of it.

/// xorshift64* of Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Every seed gives its own sequence; zero would be a fixed point and is moved away.
    pub(crate) fn new(seed: u64) -> Self {
        let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(spread.max(1))
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Uniform in the half-open interval from 0 to 1, to 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * SCALE
    }

    /// One of the numbers from 0 to `count`, which is not among them; 0 when there are none.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let drawn = usize::try_from(self.next_u64() >> 33).unwrap_or_default();
        drawn.checked_rem(count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence_and_no_other() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.next_u64(), random.next_u64()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(draw(0), [0, 0]);
    }

    #[test]
    fn units_stay_below_one_and_fill_the_interval() {
        let mut random = Random::new(1);
        let drawn: Vec<f64> = (0..1000).map(|_| random.unit()).collect();
        assert!(drawn.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = drawn.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
