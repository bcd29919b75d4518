//! Prometheus text, as far as tests ask it.

/// What the host counted up to one moment.
#[derive(Debug, Clone)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line}"))).collect())
    }

    /// The sum of all series of this name that have these labels, among others; zero where there are none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// As [`Metrics::sum`], for what is counted in whole numbers.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small and not negative")]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.sum(name, labels).round() as u64
    }

    /// How many series of this name have these labels, among others.
    #[must_use]
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.matching(name, labels).count()
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name == name && labels.iter().all(|label| sample.has(label)))
    }
}

impl Sample {
    fn has(&self, (name, value): &(&str, &str)) -> bool {
        self.labels.iter().any(|(own, text)| own == name && text == value)
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut rest = labels.strip_suffix('}')?;
    let mut labels = Vec::new();
    while let Some((label, more)) = rest.split_once("=\"") {
        let (text, after) = quoted(more)?;
        labels.push((label.to_owned(), text));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// The text up to the closing quote, with its escapes resolved, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(index + 1..)?)),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_name_and_some_of_their_labels() {
        let text = "# HELP a_total x\na_total{b=\"1\",c=\"x,\\\"y\\\\\"} 2\na_total{b=\"2\"} 3.5\nup 1\n";
        let metrics = Metrics::parse(text);
        for (name, labels, sum, series) in [
            ("a_total", &[][..], 5.5, 2),
            ("a_total", &[("b", "1")][..], 2.0, 1),
            ("a_total", &[("c", "x,\"y\\")][..], 2.0, 1),
            ("a_total", &[("b", "3")][..], 0.0, 0),
            ("up", &[][..], 1.0, 1),
        ] {
            assert!((metrics.sum(name, labels) - sum).abs() < 1e-9, "{name} {labels:?}");
            assert_eq!(metrics.series(name, labels), series, "{name} {labels:?}");
        }
    }
}
