//! `[plugin.NAME]`.

use crate::check::{check, plugin, root};

#[test]
fn a_plugin_has_a_name_and_a_module() {
    check(
        &root("[plugin.Edge]\nmodule = \"firewall\""),
        &[
            "1:1: plugin.Edge: needs plugins_dir, the folder that modules are in, which is missing",
            "1:9: plugin.Edge: \"Edge\" is not a name: expected a lower-case letter, then at most 62 lower-case letters, \
             digits or hyphens, such as \"web-1\"",
        ],
    );
    check(
        &plugin("").replace("module", "modul"),
        &[
            "2:1: plugin.edge.module: is missing: a plugin needs it",
            "3:1: plugin.edge.modul: is not a key of a plugin: did you mean \"module\"?",
        ],
    );
    let expected = "expected the name of a file in plugins_dir without .wasm: letters, digits, \".\", \"-\" and \"_\"";
    for module in ["", "../firewall", "a/b", ".hidden", "a b", "ä"] {
        let row = format!("3:10: plugin.edge.module: \"{module}\" is not a module: {expected}");
        check(&plugin("").replace("\"firewall\"", &format!("\"{module}\"")), &[&row]);
    }
    check(
        &plugin("").replace("\"firewall\"", "\"firewall.wasm\""),
        &["3:10: plugin.edge.module: \"firewall.wasm\" has its ending: expected the name without .wasm"],
    );
    check(
        &plugin("on_error = \"ignore\""),
        &["4:12: plugin.edge.on_error: \"ignore\" is not a policy: expected \"closed\" or \"open\""],
    );
    check(
        &plugin("isolation = \"process\""),
        &["4:13: plugin.edge.isolation: \"process\" is not an isolation: expected \"shared\" or \"request\""],
    );
}

#[test]
fn a_plugin_is_granted_what_there_is() {
    check(
        &plugin("grant = [\"metrics\", \"files\", \"metrics\"]"),
        &[
            "4:21: plugin.edge.grant[1]: \"files\" is not a capability: expected \"metrics\", \"shared\" or \"tls\"",
            "4:30: plugin.edge.grant[2]: \"metrics\" is granted already",
        ],
    );
    check(
        &plugin("grant = \"metrics\""),
        &["4:9: plugin.edge.grant: \"metrics\" is not a list: expected capabilities, such as [\"metrics\"]"],
    );
}

#[test]
fn what_a_plugin_shares_has_bounds_and_they_are_the_same_for_all_who_share_it() {
    let granted = "grant = [\"shared\"]\nshared = ";
    check(
        &plugin(&format!("{granted}{{ name = \"A pool\", keys = 0, bytes = \"1 KiB\", ttl = 1 }}")),
        &[
            "5:19: plugin.edge.shared.name: \"A pool\" is not a name: expected a lower-case letter, then at most 62 lower-case \
             letters, digits or hyphens, such as \"web-1\"",
            "5:36: plugin.edge.shared.keys: 0 is out of range: expected 1 to 10000000",
            "5:47: plugin.edge.shared.bytes: \"1 KiB\" is out of range: expected 64 KiB to 4 GiB",
            "5:56: plugin.edge.shared.ttl: is not a key of what a plugin shares: expected name, keys or bytes",
        ],
    );
    check(
        &plugin(&format!("{granted}\"pool\"")),
        &["5:10: plugin.edge.shared: \"pool\" is not a table: expected the keys of what a plugin shares"],
    );
    // The second is what the first has by default, under the name of the first.
    let other = "\n[plugin.other]\nmodule = \"m\"\ngrant = [\"shared\"]\nshared = { name = \"edge\", keys = 5 }";
    check(
        &plugin(&format!("grant = [\"shared\"]{other}")),
        &[
            "5:1: plugin.other: shares \"edge\" with plugin.edge, and with other bounds: 5 keys and 4 MiB here, 10000 keys and \
           4 MiB there; expected the same",
        ],
    );
}

#[test]
fn settings_have_a_form_in_json() {
    check(
        &plugin(
            "settings = { from = 2020-01-01, rate = [1.5, nan], \"a b\" = { c = -inf }, n = 18446744073709551616 }",
        ),
        &[
            "4:21: plugin.edge.settings.from: 2020-01-01 has no form in JSON: expected it in quotes",
            "4:46: plugin.edge.settings.rate[1]: nan has no form in JSON",
            "4:66: plugin.edge.settings.\"a b\".c: -inf has no form in JSON",
            "4:78: plugin.edge.settings.n: 18446744073709551616 is out of range: expected -9223372036854775808 to \
             18446744073709551615",
        ],
    );
    check(
        &plugin("settings = \"deny\""),
        &["4:12: plugin.edge.settings: \"deny\" is not a table: expected settings, such as { status = 403 }"],
    );
    let deep = format!("settings = {{ a = {}1{} }}", "[".repeat(70), "]".repeat(70));
    let path = format!("plugin.edge.settings.a{}", "[0]".repeat(64));
    check(&plugin(&deep), &[&format!("4:82: {path}: is nested too deep: expected at most 64 levels")]);
}

#[test]
fn requests_are_granted_to_upstreams_that_there_are() {
    check(
        &plugin("grant = [\"fetch\", { fetch = [\"wep\"] }, { fetch = [] }, { fetch = [\"web\"], all = true }]"),
        &[
            "4:10: plugin.edge.grant[0]: \"fetch\" needs upstreams: expected { fetch = [\"NAME\"] }",
            "4:30: plugin.edge.grant[1].fetch[0]: no upstream is called \"wep\": did you mean \"web\"?",
            "4:40: plugin.edge.grant[2]: \"fetch\" is granted already",
            "4:50: plugin.edge.grant[2].fetch: names no upstream: expected their names, such as [\"auth\"]",
            "4:56: plugin.edge.grant[3]: \"fetch\" is granted already",
            "4:75: plugin.edge.grant[3].all: is not a key of a grant: expected fetch",
        ],
    );
}

#[test]
fn a_plugins_limits_have_bounds() {
    check(
        &plugin(
            "limits = { memory = \"5 GiB\", deadline = \"0s\", configure_deadline = \"11m\", table_elements = 10_000_001, \
             instances = 0, series = 0, exchanges = 0, body = 1, bodies = \"17 GiB\", fuel = 1 }",
        ),
        &[
            "4:21: plugin.edge.limits.memory: \"5 GiB\" is out of range: expected 64 KiB to 4 GiB",
            "4:41: plugin.edge.limits.deadline: \"0s\" is out of range: expected 1ms to 1m",
            "4:68: plugin.edge.limits.configure_deadline: \"11m\" is out of range: expected 1ms to 10m",
            "4:92: plugin.edge.limits.table_elements: 10000001 is out of range: expected 1 to 10000000",
            "4:116: plugin.edge.limits.instances: 0 is out of range: expected 1 to 1000",
            "4:128: plugin.edge.limits.series: 0 is out of range: expected 1 to 1000000",
            "4:143: plugin.edge.limits.exchanges: 0 is out of range: expected 1 to 100000",
            "4:153: plugin.edge.limits.body: 1 is out of range: expected 1024 to 1073741824",
            "4:165: plugin.edge.limits.bodies: \"17 GiB\" is out of range: expected 1 KiB to 16 GiB",
            "4:175: plugin.edge.limits.fuel: is not a key of a plugin's limits: expected memory, deadline, \
             configure_deadline, table_elements, instances, series, exchanges, body, fetches, fetch_body, fetch_timeout or bodies",
        ],
    );
}
