//! What is not TOML, and how problems are shown.

use crate::check::{check, listener, problems, root};

#[test]
fn what_is_not_toml_is_said_with_what_else_is_wrong() {
    let value = "is not a value: expected text in quotes, a number, true or false";
    check(
        &root("workers = two\ncache_dir =\n[log]\nlevel = info\nformat = \"xml\"\naccess = 1.2.3.4"),
        &[
            &format!("1:11: two {value}"),
            &format!("2:12: nothing {value}"),
            &format!("4:9: info {value}"),
            "5:10: log.format: \"xml\" is not a log format: expected \"text\" or \"json\"",
            &format!("6:10: 1.2.3.4 {value}"),
        ],
    );
    check(&root("workers = 1\nworkers = 2"), &["2:1: duplicate key"]);
    check(&root("workers 2"), &["1:9: key with no value, expected `=`"]);
    check(&root("cache_dir = \"x"), &["1:15: invalid basic string, expected `\"`"]);
    check(&root("workers = 01"), &["1:11: unexpected leading zero"]);
    check(
        &root("cache_dir = \"\\q\""),
        &["1:15: missing escaped value, expected `b`, `e`, `f`, `n`, `r`, `\\`, `\"`, `x`, `u`, `U`"],
    );
}

#[test]
fn nothing_is_missing_because_its_line_is_not_toml() {
    check("[[listener]\nname = \"public\"", &["1:12: unclosed array table, expected `]`"]);
    check("listner =", &["1:10: nothing is not a value: expected text in quotes, a number, true or false"]);
}

#[test]
fn after_an_open_bracket_nothing_more_is_said() {
    check(
        &root("workers = 0\n[log]\nlevel = [\"info\"\nformat = \"xml\""),
        &["4:1: expected a comma or a closing bracket before this"],
    );
}

#[test]
fn a_problem_is_shown_with_its_line_and_a_mark() {
    let text = listener("bind = [\"[::]:443\", \"localhost\"]").replace("\"web\"", "\"\u{1b}[31mwëb\t\"");
    assert_eq!(
        problems(&text).to_string(),
        "conf/palisade.toml:3:21: listener[0].bind[1]: \"localhost\" is not an address: expected \"IP:port\", such as \
         \"0.0.0.0:443\" or \"[::]:443\"
  |
3 | bind = [\"[::]:443\", \"localhost\"]
  |                     ^^^^^^^^^^^

conf/palisade.toml:5:13: invalid basic string, expected non-double-quote visible characters, `\\`
  |
5 | upstream = \"\u{fffd}[31mwëb \"
  |             ^

2 problems in conf/palisade.toml"
    );
}

#[test]
fn a_flood_of_problems_is_cut() {
    let text: String = (0..250).map(|number| format!("key{number} = 1\n")).collect();
    let problems = problems(&text);
    assert_eq!(problems.iter().count(), 100);
    assert!(problems.to_string().ends_with("\n251 problems in conf/palisade.toml, the first 100 of them shown"));
}
