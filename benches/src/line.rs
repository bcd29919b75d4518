//! Points in; the straight line that fits them best, and how well it does, out.

/// The line through points with the least squares of what is left above and below it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// What each further step costs.
    pub slope: f64,
    /// Where the line begins, at zero steps.
    pub start: f64,
    /// The share of the points' variance that the line explains: 1 where all of them lie on it.
    pub r_squared: f64,
}

impl Line {
    /// None for less than three points: through two there always is a line.
    #[must_use]
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < 3 {
            return None;
        }
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count(points);
        let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - x_mean, y - y_mean)).sum::<f64>();
        let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        let slope = xy / xx;
        let left = sum(&|x, y| (y - slope * x).powi(2));
        Some(Self { slope, start: y_mean - slope * x_mean, r_squared: if yy > 0.0 { 1.0 - left / yy } else { 1.0 } })
    }
}

fn count(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|_| 1.0).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_a_line_give_that_line_and_others_say_how_far_off_they_are() {
        check(&[(1.0, 5.0), (2.0, 7.0), (3.0, 9.0)], Some((2.0, 3.0, 1.0)));
        check(&[(1.0, 4.0), (2.0, 4.0), (3.0, 4.0)], Some((0.0, 4.0, 1.0)));
        check(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)], Some((0.0, 1.0, 0.0)));
        check(&[(1.0, 1.0), (2.0, 2.0)], None);
    }

    fn check(points: &[(f64, f64)], expected: Option<(f64, f64, f64)>) {
        let line = Line::through(points).map(|line| [line.slope, line.start, line.r_squared]);
        let expected = expected.map(|(slope, start, r_squared)| [slope, start, r_squared]);
        let is_near = line.into_iter().flatten().zip(expected.into_iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(line.is_some() == expected.is_some() && is_near, "{line:?}, not {expected:?}");
    }
}
