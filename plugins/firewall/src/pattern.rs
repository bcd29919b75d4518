//! A regular expression, in; whether it is found in some bytes, out, in time linear in their number.
//!
//! The syntax is that of Rust's `regex` crate without Unicode tables: `.` is any byte, `\w` and `(?i)` are ASCII. The
//! automaton is built when the plugin is configured, where it takes at most [`STATES_BYTES_MAX`]; a larger one is built
//! lazily while it matches, at most [`CACHE_BYTES`] of it, which takes several times the time for each byte.

use std::{borrow::Cow, cell::RefCell, fmt};

use regex_automata::{
    Input, MatchKind,
    dfa::{StartKind, dense},
    hybrid::{
        BuildError,
        dfa::{Cache, DFA},
    },
    nfa::thompson::{self, WhichCaptures},
    util::syntax,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::state_table::StateTable;

/// A compiled regular expression. It may be found anywhere in the bytes: anchor it with `^` and `$` where that matters.
#[derive(Clone)]
pub(crate) struct Pattern(Automaton);

#[derive(Clone)]
enum Automaton {
    /// Every state.
    Whole(StateTable),
    /// The rules by which states are made, and those that were needed so far.
    Lazy(Box<(DFA, RefCell<Cache>)>),
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// A sentence that quotes the text and says what is wrong, or that it takes more than [`COMPILED_BYTES_MAX`].
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::compile(text, false).map_err(|reason| format!("{text:?} is not a regular expression: {reason}"))
    }

    /// Finds this very text; every character stands for itself.
    ///
    /// # Errors
    ///
    /// A sentence, where the text takes more than [`COMPILED_BYTES_MAX`].
    pub(crate) fn literal(text: &str, ignore_case: bool) -> Result<Self, String> {
        let mut escaped = String::with_capacity(text.len() * 2);
        for letter in text.chars() {
            if letter.is_ascii_punctuation() {
                escaped.push('\\');
            }
            escaped.push(letter);
        }
        Self::compile(&escaped, ignore_case)
    }

    fn compile(text: &str, ignore_case: bool) -> Result<Self, String> {
        let syntax = syntax(ignore_case);
        let automaton = match Automaton::whole(text, syntax) {
            Some(whole) => whole,
            None => Automaton::lazy(text, syntax)?,
        };
        Ok(Self(automaton))
    }

    /// Whether the expression is found in the bytes.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        match &self.0 {
            Automaton::Whole(table) => table.is_in(bytes),
            Automaton::Lazy(lazy) => {
                let (lazy, cache) = &**lazy;
                let found = lazy.try_search_fwd(&mut cache.borrow_mut(), &Input::new(bytes).earliest(true));
                // A search gives up only where it was configured to, and it was not.
                matches!(found, Ok(Some(_)))
            }
        }
    }
}

// Both are of kind "all", and look for the earliest match: whether there is one, found at its first possible end.
impl Automaton {
    /// None where it is too large, or where there is none.
    fn whole(text: &str, syntax: syntax::Config) -> Option<Self> {
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Unanchored)
            .accelerate(false)
            .dfa_size_limit(Some(STATES_BYTES_MAX))
            .determinize_size_limit(Some(STATES_BYTES_MAX));
        let whole = dense::Builder::new().syntax(syntax).thompson(compiler()).configure(config).build(text);
        StateTable::new(&whole.ok()?).map(Self::Whole)
    }

    fn lazy(text: &str, syntax: syntax::Config) -> Result<Self, String> {
        let config =
            DFA::config().match_kind(MatchKind::All).cache_capacity(CACHE_BYTES).skip_cache_capacity_check(true);
        let lazy = DFA::builder().syntax(syntax).thompson(compiler()).configure(config).build(text);
        let lazy = lazy.map_err(|error| reason(&error))?;
        let cache = RefCell::new(lazy.create_cache());
        Ok(Self::Lazy(Box::new((lazy, cache))))
    }
}

fn syntax(ignore_case: bool) -> syntax::Config {
    syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .case_insensitive(ignore_case)
        .nest_limit(64)
}

fn compiler() -> thompson::Config {
    thompson::Config::new().utf8(false).nfa_size_limit(Some(COMPILED_BYTES_MAX)).which_captures(WhichCaptures::None)
}

/// What the whole automaton of one expression may take, and so may what it is built of.
pub(crate) const STATES_BYTES_MAX: usize = 64 << 10;

/// What one expression may take, compiled.
pub(crate) const COMPILED_BYTES_MAX: usize = 64 << 10;

/// What one expression may take for the states of its automaton. When they are full they are forgotten, and built anew.
pub(crate) const CACHE_BYTES: usize = 128 << 10;

/// One sentence. The syntax error in it draws the expression over several lines, and says what is wrong in the last
/// one.
fn reason(error: &BuildError) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    let text = source.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pattern").finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A regular expression in the syntax of Rust's regex crate, on bytes and ASCII classes. \
                            It may be found anywhere: anchor it with ^ and $ where that matters.",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(pattern: &str, found: &[&[u8]], missed: &[&[u8]]) {
        let pattern = Pattern::parse(pattern).unwrap();
        for bytes in found {
            assert!(pattern.is_in(bytes), "{}", bytes.escape_ascii());
        }
        for bytes in missed {
            assert!(!pattern.is_in(bytes), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_pattern_is_found_anywhere_unless_anchored() {
        check("b+", &[b"abc", b"bbb"], &[b"", b"ac"]);
        check("^b+$", &[b"bbb"], &[b"abc", b"bbc", b"bb\n"]);
        check("", &[b"", b"a"], &[]);
        check(r"\.(php|asp)$", &[b"/x.php"], &[b"/x.php5", b"/xphp"]);
        check("(?i)sqlmap|nikto", &[b"SQLMap/1", b"x Nikto"], &[b"curl"]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_hide_nothing() {
        check("^/a.*secret", &[b"/a\xff\xfe/secret", b"/a\n/secret"], &[]);
        check(r"\xff", &[b"\xff"], &[b"\xfe"]);
        check("caf\u{e9}", &["caf\u{e9}".as_bytes()], &[b"caf\xe9"]);
    }

    #[test]
    fn a_literal_stands_for_itself() {
        let text = r"a.b*(c)[d]\{e}|f^$+?-#&~ é";
        assert!(Pattern::literal(text, false).unwrap().is_in(format!("<{text}>").as_bytes()));
        assert!(!Pattern::literal(text, false).unwrap().is_in(text.to_uppercase().as_bytes()));
        assert!(Pattern::literal("a.B", true).unwrap().is_in(b"xA.b"));
        assert!(!Pattern::literal("a.b", true).unwrap().is_in(b"axb"));
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        let check = |text: &str, expected: &str| assert_eq!(Pattern::parse(text).unwrap_err(), expected);
        check("(", "\"(\" is not a regular expression: unclosed group");
        check("a{2", "\"a{2\" is not a regular expression: unclosed counted repetition");
        check(r"\p{Greek}", "\"\\\\p{Greek}\" is not a regular expression: Unicode not allowed here");
        check(
            "(a{200}){200}",
            "\"(a{200}){200}\" is not a regular expression: heap usage during NFA compilation exceeded limit of 65536",
        );
    }

    /// Patterns that explode in a backtracking engine are found missing at once, and the cache keeps its bound where
    /// nearly every byte needs a new state.
    #[test]
    fn no_pattern_takes_more_than_linear_time() {
        let same = vec![b'a'; 1 << 20];
        let mut random = 1_u32;
        let mut mixed = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if random >> 31 == 0 { b'a' } else { b'b' }
        };
        let mixed: Vec<u8> = (0..1 << 16).map(|_| mixed()).collect();
        for pattern in ["(a+)+$b", "(a|aa)+c", "a*a*a*a*a*a*c", "(.*)(.*)(.*)(.*)x", "[ab]{0,9}a[ab]{30}c"] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert!(!pattern.is_in(&same) && !pattern.is_in(&mixed));
            match &pattern.0 {
                Automaton::Whole(table) => assert!(table.bytes() <= STATES_BYTES_MAX),
                Automaton::Lazy(lazy) => assert!(lazy.1.borrow().memory_usage() < 2 * CACHE_BYTES),
            }
        }
    }

    proptest! {
        /// A table says the same as the search that it stands for.
        #[test]
        fn both_kinds_of_automata_agree(
            pattern in "\\^?(a|b|\\.|\\[ab\\]|\\(a\\|b+\\)|a\\*|\\\\b|\\(\\?i:B\\)|\\^|\\$){0,6}\\$?",
            text in "[abcB .]{0,12}|[abcB .]{13,60}",
        ) {
            let whole = Pattern::parse(&pattern).unwrap();
            prop_assert!(matches!(&whole.0, Automaton::Whole(_)));
            let lazy = Pattern(Automaton::lazy(&pattern, syntax(false)).unwrap());
            prop_assert_eq!(whole.is_in(text.as_bytes()), lazy.is_in(text.as_bytes()));
        }
    }

    /// Which one an expression gets is a matter of size.
    #[test]
    fn only_what_is_small_is_built_at_once() {
        let is_whole = |text: &str| matches!(&Pattern::parse(text).unwrap().0, Automaton::Whole(..));
        assert!(is_whole(r"\.(php|asp)$") && is_whole("(?i)sqlmap|nikto"));
        assert!(!is_whole("[ab]{0,9}a[ab]{30}c"));
        check(
            "^[ab]*a[ab]{14}c$",
            &[&[b"bba", &[b'b'; 14][..], b"c"].concat()],
            &[b"a", &[b"bb", &[b'b'; 14][..], b"c"].concat()],
        );
    }
}
