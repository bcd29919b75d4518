//! Figures out of Prometheus text.

/// The sum of a metric's series that have all these labels. None without such a series.
pub(crate) fn sum(text: &str, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix(metric).and_then(split_labels)?;
        let wanted = labels.iter().all(|(label, value)| name.contains(&format!("{label}=\"{value}\"")));
        if wanted { rest.parse::<f64>().ok() } else { None }
    });
    values.reduce(|sum, value| sum + value)
}

/// What follows a metric's name: labels, if any, and the value.
fn split_labels(rest: &str) -> Option<(&str, &str)> {
    match rest.strip_prefix('{') {
        Some(labelled) => labelled.rsplit_once("} "),
        None => rest.strip_prefix(' ').map(|value| ("", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE hits_total counter
hits_total{listener=\"a\",class=\"2xx\"} 3
hits_total{listener=\"a\",class=\"4xx\"} 1
hits_total{listener=\"b\",class=\"2xx\"} 7

hits 0.5
";

    #[test]
    fn the_series_with_all_labels_are_summed() {
        check("hits_total", &[], Some(11.0));
        check("hits_total", &[("listener", "a")], Some(4.0));
        check("hits_total", &[("class", "2xx"), ("listener", "b")], Some(7.0));
        check("hits_total", &[("listener", "c")], None);
        check("hits", &[], Some(0.5));
        check("misses", &[], None);
    }

    fn check(metric: &str, labels: &[(&str, &str)], expected: Option<f64>) {
        assert_eq!(sum(TEXT, metric, labels), expected);
    }
}
