//! A mistyped name in, the name that was probably meant out.

/// The candidate that takes the fewest edits, if they are few for a name of this length.
pub(crate) fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = typed.chars().count();
    let edits_max = (length / 3).clamp(1, 3);
    candidates
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= edits_max)
        .map(|candidate| (if swapped(typed, candidate) { 1 } else { edits(typed, candidate) }, candidate))
        .min()
        .filter(|(edits, _)| *edits <= edits_max)
        .map(|(_, candidate)| candidate)
}

/// Whether two names have the same characters in another order: one slip of the fingers.
fn swapped(from: &str, to: &str) -> bool {
    let sorted = |name: &str| {
        let mut characters: Vec<char> = name.chars().collect();
        characters.sort_unstable();
        characters
    };
    sorted(from) == sorted(to)
}

/// Characters to insert, remove or replace (the Levenshtein distance).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = to.chars().zip(1..).map(|(_, column)| column).collect();
    for (above, left_character) in from.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above.saturating_add(1);
        for (cell, upper_character) in row.iter_mut().zip(to.chars()) {
            let replaced = diagonal.saturating_add(usize::from(left_character != upper_character));
            diagonal = *cell;
            left = replaced.min(left.min(*cell).saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_else(|| from.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_edits_are_forgiven() {
        check("bnid", Some("bind"));
        check("binds", Some("bind"));
        check("wbe", Some("web"));
        check("trusted_proxy", Some("trusted_proxies"));
        check("limts", Some("limits"));
    }

    #[test]
    fn another_word_is_not_a_mistyped_one() {
        check("port", None);
        check("x", None);
        check("", None);
        check("certificates", None);
    }

    #[track_caller]
    fn check(typed: &str, expected: Option<&str>) {
        let names = ["bind", "chain", "limits", "trusted_proxies", "web"];
        assert_eq!(nearest(typed, names.into_iter()), expected);
    }
}
