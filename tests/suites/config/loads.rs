//! What is wrong beyond the text: plugins that do not take their settings, files that are not there.

use harness::{Ended, Form, bytes_of};

use super::{check, folder};

/// All of these, in this order, and nothing else.
fn assert_problems(ended: &Ended, expected: &[&str]) {
    let count = match expected.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let expected = format!("{}\n{count} in palisade.toml\n", expected.join("\n"));
    assert_eq!(ended.stderr, expected);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
}

#[tokio::test]
async fn a_plugin_that_refuses_its_settings_is_told_with_the_setting() {
    let settings = r#"{ deny = ["203.0.113.0/24"] }"#;
    let cases = [
        (
            r#"{ deny = ["203.0.113.0/24", "10.0.0.0/40"] }"#,
            r#"settings.deny[1]: "10.0.0.0/40" is not a network: prefix length is at most 32"#,
        ),
        (
            r#"{ dney = [] }"#,
            "settings.dney: unknown field `dney`, expected one of `allow`, `deny`, `default`, `connections`, `rules`, `default_action`, `malformed`, `status`, `body`",
        ),
        (r#"{ status = 200 }"#, "settings.status: 200 is not the status of a denial: expected 400 to 599"),
        (
            r#"{ rules = [{ name = "a", action = "deny", when = { path_regex = "(" } }] }"#,
            r#"settings.rules[0].when.path_regex: "(" is not a regular expression: unclosed group"#,
        ),
        (
            r#"{ rules = [{ name = "a", action = "perhaps" }] }"#,
            "settings.rules[0].action: unknown variant `perhaps`, expected one of `allow`, `deny`, `close`, `count`",
        ),
    ];
    for (instead, sentence) in cases {
        let folder = folder(&[(settings, instead)]);
        let expected =
            format!("plugin \"wall\" (plugins/firewall.wasm) did not load: refuses its configuration: {sentence}");
        assert_problems(&check(&folder).await, &[&expected]);
    }
}

#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_is_told() {
    let cases = [
        (
            r#"module   = "firewall""#,
            r#"module   = "ghost""#,
            "plugin \"wall\" (plugins/ghost.wasm) did not load: there is no such file",
        ),
        (
            r#"grant    = ["metrics"]"#,
            "",
            r#"plugin "wall" (plugins/firewall.wasm) did not load: asks for the capability "metrics", which the config does not grant: add `grant = ["metrics"]` to [plugin.wall] to allow it"#,
        ),
    ];
    for (text, instead, expected) in cases {
        let folder = folder(&[(text, instead)]);
        assert_problems(&check(&folder).await, &[expected]);
    }
}

#[tokio::test]
async fn a_bad_file_is_told_for_every_plugin_of_it_and_for_nobody() {
    let folder = folder(&[]);
    let half = bytes_of("firewall", Form::Module);
    folder.write("plugins/firewall.wasm", &half[..100]);
    folder.write("plugins/notes.wasm", "to do");
    let expected = [
        r#"plugin "wall" (plugins/firewall.wasm) did not load: is malformed WebAssembly at byte 11: unexpected end-of-file; is the file complete?"#,
        r#"plugins/notes.wasm, which no plugin of the configuration names: is not WebAssembly: it begins with "to do", not with "\x00asm""#,
    ];
    assert_problems(&check(&folder).await, &expected);
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_told() {
    let pair = r#"{ chain = "site.pem", key = "site.key" }"#;
    let upstream = r#"endpoints = ["127.0.0.1:3001"]"#;
    let with_ca = |ca: &str| format!("{upstream}\ntls = {{ server_name = \"localhost\", ca = \"{ca}\" }}");
    let cases = [
        (
            pair,
            r#"{ chain = "gone.pem", key = "site.key" }"#.to_owned(),
            r#"listener "public": cannot read the certificate in gone.pem: I/O error: No such file or directory (os error 2)"#,
        ),
        (
            pair,
            r#"{ chain = "site.pem", key = "gone.key" }"#.to_owned(),
            r#"listener "public": cannot read the private key in gone.key: I/O error: No such file or directory (os error 2)"#,
        ),
        (
            pair,
            r#"{ chain = "site.key", key = "site.key" }"#.to_owned(),
            r#"listener "public": there is no certificate in site.key"#,
        ),
        (
            pair,
            r#"{ chain = "site.pem", key = "site.pem" }"#.to_owned(),
            r#"listener "public": cannot read the private key in site.pem: no items found"#,
        ),
        (
            pair,
            r#"{ chain = "ca.pem", key = "site.key" }"#.to_owned(),
            r#"listener "public": the certificate in ca.pem and the key in site.key cannot be used together: keys may not be consistent: KeyMismatch"#,
        ),
        (
            pair,
            r#"{ chain = "palisade.toml", key = "site.key" }"#.to_owned(),
            r#"listener "public": there is no certificate in palisade.toml"#,
        ),
        (
            upstream,
            with_ca("gone.pem"),
            r#"upstream "web": cannot read the certificates in gone.pem: I/O error: No such file or directory (os error 2)"#,
        ),
        (upstream, with_ca("site.key"), r#"upstream "web": there is no root certificate in site.key"#),
    ];
    for (text, instead, expected) in cases {
        let folder = folder(&[(text, &instead)]);
        assert_problems(&check(&folder).await, &[expected]);
    }
}

#[tokio::test]
async fn problems_of_plugins_and_of_certificates_are_told_together() {
    let folder = folder(&[(r#"module   = "firewall""#, r#"module   = "ghost""#), ("\"site.pem\"", "\"gone.pem\"")]);
    assert_problems(
        &check(&folder).await,
        &[
            r#"plugin "wall" (plugins/ghost.wasm) did not load: there is no such file"#,
            r#"listener "public": cannot read the certificate in gone.pem: I/O error: No such file or directory (os error 2)"#,
        ],
    );
}

#[tokio::test]
async fn a_plugin_that_stands_where_it_never_runs_is_told() {
    let gate = "[plugin.gate]\nmodule = \"refuses-connection\"\n\n[upstream.web]";
    let lb = "[plugin.one]\nmodule = \"absurd-pick\"\n\n[plugin.two]\nmodule = \"absurd-pick\"\n\n[upstream.web]";
    let upstream = "upstream = \"web\"";
    let route = |chain: &str| format!("{upstream}\nchain = {chain}");
    let cases = [
        (
            gate,
            route(r#"["wall", "gate"]"#),
            r#"listener "public", route "public/0": the plugin "gate" filters connections and nothing else, which are accepted before a route is known: it belongs into the listener's chain"#,
        ),
        (
            lb,
            route(r#"["wall", "one", "two"]"#),
            r#"listener "public", route "public/0": the balancer "two" is never asked, because "one" comes before it in the chain"#,
        ),
    ];
    for (plugins, route, expected) in cases {
        let folder = folder(&[("[upstream.web]", plugins), (upstream, &route)]);
        for module in ["refuses-connection", "absurd-pick"] {
            folder.write(&format!("plugins/{module}.wasm"), bytes_of(module, Form::Module));
        }
        assert_problems(&check(&folder).await, &[expected]);
    }
}
