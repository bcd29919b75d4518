//! Many measurements of one thing, in; what to say of them, out.

/// The middle of a set of measurements, and the range of the middle half of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// A quarter of the measurements is below it.
    pub low: f64,
    /// Half of them is.
    pub median: f64,
    /// Three quarters of them are.
    pub high: f64,
}

impl Spread {
    /// The spread of these; all zero where there are none.
    #[must_use]
    pub fn of(measurements: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quarters| quantile(&sorted, quarters);
        Self { low: at(1), median: at(2), high: at(3) }
    }
}

/// Between the two nearest measurements, in proportion.
fn quantile(sorted: &[f64], quarters: usize) -> f64 {
    let steps = sorted.len().saturating_sub(1) * quarters;
    let (index, rest) = (steps / 4, steps % 4);
    let at = |index: usize| sorted.get(index).or(sorted.last()).copied().unwrap_or_default();
    let share = [0.0, 0.25, 0.5, 0.75].get(rest).copied().unwrap_or_default();
    at(index) + (at(index + 1) - at(index)) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_nearest_measurements() {
        check(&[], (0.0, 0.0, 0.0));
        check(&[7.0], (7.0, 7.0, 7.0));
        check(&[2.0, 1.0], (1.25, 1.5, 1.75));
        check(&[5.0, 1.0, 3.0, 2.0, 4.0], (2.0, 3.0, 4.0));
    }

    fn check(measurements: &[f64], (low, median, high): (f64, f64, f64)) {
        assert_eq!(Spread::of(measurements.iter().copied()), Spread { low, median, high });
    }
}
