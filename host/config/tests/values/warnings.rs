//! What is good and yet hardly meant.

use super::*;

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let warn = |text: &str, expected: &[&str]| {
        let rows: Vec<String> = good(text)
            .warnings
            .iter()
            .map(|warning| format!("{}:{}: {}: {}", warning.line, warning.column, warning.key, warning.message))
            .collect();
        assert_eq!(rows, expected, "of {text}");
    };
    warn(
        &SMALL.replace("127.0.0.1:80\"", "10.0.0.1:80\""),
        &[
            "2:13: upstream.web.endpoints: 10.0.0.1:80 is reached without encryption: write tls = { … }, or tls = false if that \
         is meant",
        ],
    );
    warn(
        &format!("{SMALL}[admin]\nbind = \"0.0.0.0:9901\"\nallow_remote = true"),
        &["9:8: admin.bind: \"0.0.0.0:9901\" lets other machines reach the admin listener"],
    );
    warn(
        &SMALL.replace("bind", "trusted_proxies = [\"0.0.0.0/0\"]\nbind"),
        &["5:20: listener[0].trusted_proxies[0]: \"0.0.0.0/0\" believes every client's own word on who it is"],
    );
    warn(
        &format!("plugins_dir = \"p\"\n[plugin.edge]\nmodule = \"m\"\nshared = {{ keys = 5 }}\n{SMALL}")
            .replace("bind", "chain = [\"edge\"]\nbind"),
        &["4:10: plugin.edge.shared: is of no use without grant = [\"shared\"]"],
    );
    let unused = "plugins_dir = \"p\"\n[plugin.edge]\nmodule = \"m\"\ngrant = [\"log\"]\n[upstream.spare]\nendpoints = \
                  [\"127.0.0.1:1\"]\n";
    warn(
        &format!("{unused}{SMALL}"),
        &[
            "2:1: plugin.edge: is in no chain",
            "4:10: plugin.edge.grant[0]: \"log\" is always granted",
            "5:1: upstream.spare: is in no route, and no plugin is granted it",
        ],
    );
}
