//! Texts around a case, and what is said of them.

use std::path::Path;

use palisade_config::{Config, Problems};

/// `line:column: key: message`, every problem of a text.
#[track_caller]
pub(crate) fn check(text: &str, expected: &[&str]) {
    let rows: Vec<String> = problems(text)
        .iter()
        .map(|problem| {
            let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
            format!("{}:{}: {key}{}", problem.line, problem.column, problem.message)
        })
        .collect();
    assert_eq!(rows, expected, "of {text}");
}

#[track_caller]
#[expect(clippy::expect_used, reason = "a case that is a config fails its test")]
pub(crate) fn problems(text: &str) -> Problems {
    Config::parse(text, Path::new("conf/palisade.toml")).expect_err(text)
}

/// The case on line 1, then what makes the rest complete.
pub(crate) fn root(case: &str) -> String {
    format!(
        "{case}\n[upstream.web]\nendpoints = [\"127.0.0.1:80\"]\n[[listener]]\nname = \"public\"\nbind = \
         \"127.0.0.1:8080\"\n[[listener.route]]\nupstream = \"web\"\n"
    )
}

/// The case on line 4, in the table of a plugin.
pub(crate) fn plugin(case: &str) -> String {
    root(&format!("plugins_dir = \"p\"\n[plugin.edge]\nmodule = \"firewall\"\n{case}"))
}

/// The case on line 2, in the table of an upstream.
pub(crate) fn upstream(case: &str) -> String {
    root("").replace("\n[upstream.web]\nendpoints = [\"127.0.0.1:80\"]\n", &format!("[upstream.web]\n{case}\n"))
}

/// The case on line 3, in the table of a listener.
pub(crate) fn listener(case: &str) -> String {
    format!(
        "[[listener]]\nname = \"public\"\n{case}\n[[listener.route]]\nupstream = \"web\"\n[upstream.web]\nendpoints = \
         [\"127.0.0.1:80\"]\n"
    )
}

/// The case on line 6, in the table of a route.
pub(crate) fn route(case: &str) -> String {
    listener("bind = \"127.0.0.1:80\"").replace("upstream = \"web\"\n", &format!("upstream = \"web\"\n{case}\n"))
}
