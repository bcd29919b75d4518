//! A seed, in; numbers that look like chance, and are the same in every run, out.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The time until the next of things that come at random, of this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }

    /// A time of this mean whose logarithm has this standard deviation.
    pub(crate) fn log_normal(&mut self, mean: f64, spread: f64) -> f64 {
        // Box and Muller, 1958.
        let normal = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        mean * (spread * normal - spread * spread / 2.0).exp()
    }

    /// Above zero, at most one.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (float_of((mixed ^ (mixed >> 31)) >> 11) + 1.0) / 9_007_199_254_740_992.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "it has 53 bits")]
fn float_of(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of a simulation are far below 2^53")]
pub(crate) fn float(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and times are not negative")]
pub(crate) fn whole(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_as_asked_for() {
        let mut chance = Chance::new(1);
        let mut mean = |draw: fn(&mut Chance) -> f64| (0..200_000).map(|_| draw(&mut chance)).sum::<f64>() / 200_000.0;
        assert!((mean(|chance| chance.exponential(3.0)) - 3.0).abs() < 0.03);
        assert!((mean(|chance| chance.log_normal(3.0, 0.5)) - 3.0).abs() < 0.03);
    }
}
