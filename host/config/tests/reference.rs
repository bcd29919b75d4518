//! What `docs/config.md` says is so.

use std::{collections::BTreeSet, path::Path};

use palisade_config::Config;

const REFERENCE: &str = include_str!("../../../docs/config.md");

#[test]
fn its_first_example_is_a_config_without_a_warning() {
    let example = examples().next().expect("an example");
    let config = Config::parse(example, Path::new("palisade.toml")).expect("a config");
    assert_eq!(config.warnings, []);
}

#[test]
fn its_other_examples_are_one_config_together() {
    let examples: Vec<&str> = examples().skip(1).collect();
    let config = Config::parse(&examples.concat(), Path::new("palisade.toml")).expect("a config");
    assert_eq!(config.warnings, []);
    assert!(examples.len() > 5, "an example for each table");
}

#[test]
fn it_has_a_row_for_every_key_and_no_other() {
    let tables = ["dns", "log", "shutdown", "engine", "acme", "plugin", "upstream", "listener", "admin"];
    check("## Top level", "zzzzzzzz = 1", &tables);
    check("### A trusted key", "trusted_keys = [{ zzzzzzzz = 1 }]", &[]);
    check("## `[log]`", "log.zzzzzzzz = 1", &[]);
    check("## `[admin]`", "admin.zzzzzzzz = 1", &[]);
    check("## `[shutdown]`", "shutdown.zzzzzzzz = 1", &[]);
    check("## `[engine]`", "engine.zzzzzzzz = 1", &[]);
    check("## `[acme.NAME]`", "acme.a.zzzzzzzz = 1", &[]);
    check("## `[plugin.NAME]`", "plugin.a.zzzzzzzz = 1", &[]);
    check("### `shared` of a plugin", "plugin.a.shared.zzzzzzzz = 1", &[]);
    check("### `backoff` of a plugin", "plugin.a.backoff.zzzzzzzz = 1", &[]);
    check("### `limits` of a plugin", "plugin.a.limits.zzzzzzzz = 1", &[]);
    check("## `[dns]`", "dns.zzzzzzzz = 1", &[]);
    check("### Endpoints that are found", "upstream.a.discover.zzzzzzzz = 1", &[]);
    check("### `health` of an upstream", "upstream.a.health.zzzzzzzz = 1", &[]);
    check("### `ejection` of an upstream", "upstream.a.ejection.zzzzzzzz = 1", &[]);
    check("## `[upstream.NAME]`", "upstream.a.zzzzzzzz = 1", &[]);
    check("### `retries` of an upstream", "upstream.a.retries.zzzzzzzz = 1", &[]);
    check("### `budget` of `retries`", "upstream.a.retries.budget.zzzzzzzz = 1", &[]);
    check("### `circuit` of an upstream", "upstream.a.circuit.zzzzzzzz = 1", &[]);
    check("### `error_rate` of a `circuit`", "upstream.a.circuit.error_rate.zzzzzzzz = 1", &[]);
    check("### `hedge` of an upstream", "upstream.a.hedge.zzzzzzzz = 1", &[]);
    check("### An endpoint as a table", "upstream.a.endpoints = [{ zzzzzzzz = 1 }]", &[]);
    check("### `tls` of an upstream", "upstream.a.tls.zzzzzzzz = 1", &[]);
    check("## `[[listener]]`", "[[listener]]\nzzzzzzzz = 1", &[]);
    check("### An entry of a `chain` as a table", "[[listener]]\nchain = [{ zzzzzzzz = 1 }]", &[]);
    check("### `tls` of a listener", "[[listener]]\ntls.zzzzzzzz = 1", &[]);
    check("### A certificate of a listener", "[[listener]]\ntls.certificates = [{ zzzzzzzz = 1 }]", &[]);
    check(
        "### A certificate that an authority issues",
        "[[listener]]\ntls.certificates = [{ acme = \"a\", zzzzzzzz = 1 }]",
        &[],
    );
    check("### `client_certificates` of a listener's `tls`", "[[listener]]\ntls.client_certificates.zzzzzzzz = 1", &[]);
    check("### `redirect_to_https` as a table", "[[listener]]\nredirect_to_https.zzzzzzzz = 1", &[]);
    check("### `limits` of a listener", "[[listener]]\nlimits.zzzzzzzz = 1", &[]);
    let route = |key: &str| format!("[[listener]]\n[[listener.route]]\n{key}");
    check("## `[[listener.route]]`", &route("zzzzzzzz = 1"), &[]);
    check("### Several upstreams", &route("upstream = [{ zzzzzzzz = 1 }, {}]"), &[]);
    check("### `sticky` of a route", &route("sticky.zzzzzzzz = 1"), &[]);
    check("### `mirror` of a route", &route("mirror.zzzzzzzz = 1"), &[]);
}

/// The keys that the reader says it knows, but for `elsewhere`, are those in the section's rows.
#[track_caller]
#[expect(clippy::expect_used, reason = "a section that is not there fails its test")]
fn check(section: &str, unknown_key: &str, elsewhere: &[&str]) {
    let problems = Config::parse(unknown_key, Path::new("palisade.toml")).expect_err(unknown_key);
    let message = problems.iter().find(|problem| problem.key.ends_with("zzzzzzzz")).expect(unknown_key).message.clone();
    let (_, known) = message.split_once(": expected ").expect(&message);
    let known: BTreeSet<&str> = known.split(", ").flat_map(|keys| keys.split(" or ")).collect();

    let (_, after) = REFERENCE.split_once(&format!("\n{section}\n")).expect(section);
    let rows = after.split("\n#").next().unwrap_or_default().lines().filter_map(|line| line.strip_prefix("| `"));
    let keys = rows.filter_map(|row| row.split('`').next()).chain(elsewhere.iter().copied());
    assert_eq!(keys.collect::<BTreeSet<&str>>(), known, "{section}");
}

/// The TOML blocks of the reference.
fn examples() -> impl Iterator<Item = &'static str> {
    REFERENCE.split("```toml\n").skip(1).filter_map(|block| block.split("```").next())
}
