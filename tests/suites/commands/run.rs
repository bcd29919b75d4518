//! `palisade plugin run`: what it prints of plugins that change, answer, close, count, log and fail.

use harness::{Ended, Folder, Form, bytes_of, run_command};

const REQUEST: &str = "GET /admin/x HTTP/1.1\nhost: www.example.test\naccept: */*\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\ncontent-type: text/plain\n\nhello\n";
const WALL: &str = r#"{ "rules": [{ "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } }] }"#;

/// Takes the request through the plugin; the options follow `run`.
async fn run(module: &str, settings: &str, options: &str) -> Ended {
    let folder = Folder::new();
    folder.write("plugin.wasm", bytes_of(module, Form::Module));
    for (name, text) in [("s.json", settings), ("r.http", REQUEST), ("a.http", RESPONSE), ("bad.http", "GET /\n")] {
        folder.write(name, text);
    }
    // On a busy machine the default of 50 ms can pass while the program does not run at all.
    let patience = if options.contains("--deadline-ms") { "" } else { "--deadline-ms 30000" };
    let line = format!("plugin run plugin.wasm --settings s.json {patience} {options}");
    run_command("palisade", &line.split_whitespace().collect::<Vec<_>>(), folder.path()).await
}

/// The report without its times: one line for each step and each thing that the plugin did.
fn lines(ended: &Ended) -> Vec<String> {
    let timeless = |line: &str| match line.rsplit_once(" (") {
        Some((text, time)) if time.ends_with("s)") && !line.starts_with(' ') => text.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    ended.stdout.lines().map(timeless).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[track_caller]
fn check(ended: &Ended, code: i32, expected: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    let found = lines(ended);
    assert_eq!(found, [&["lifecycle configured"], expected].concat(), "{}", ended.stderr);
}

const BOTH: &str = "--request r.http --response a.http";

#[tokio::test]
async fn what_a_filter_changes_is_shown_as_a_difference() {
    let ended = run("tag", r#"{ "name": "seen" }"#, BOTH).await;
    let expected = ["request-filter proceed", "+ x-tag: seen", "response-filter proceed", "+ x-tag: seen"];
    check(&ended, 0, &expected);
    // Every step says how long the plugin took.
    assert!(ended.stdout.lines().filter(|line| line.contains("-filter")).all(|line| line.ends_with("s)")));
}

#[tokio::test]
async fn an_answer_is_shown_whole_with_the_metrics_that_were_touched() {
    let expected = [
        "connection-filter accept",
        "request-filter reply 403",
        "> 403 Forbidden",
        "> content-type: text/plain; charset=utf-8",
        "> body: 10 bytes, \"forbidden\\n\"",
        "metric palisade_plugin_denied_total{plugin=\"plugin\",rule=\"admin\",phase=\"request\"} +1",
        "metric palisade_plugin_matched_total{plugin=\"plugin\",rule=\"admin\",action=\"deny\"} +1",
    ];
    check(&run("firewall", WALL, &format!("{BOTH} --grant metrics")).await, 0, &expected);
    // The client's address is what it is said to be.
    let ended =
        run("firewall", r#"{ "deny": ["203.0.113.0/24"] }"#, &format!("{BOTH} --grant metrics --client 203.0.113.9"))
            .await;
    assert_eq!(lines(&ended).get(1).map(String::as_str), Some("connection-filter refuse"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_balancer_picks_among_the_endpoints_and_an_observer_is_told() {
    let two = format!("{BOTH} --grant metrics --endpoint a:1 --endpoint b:2");
    check(&run("balance", "{}", &two).await, 0, &["balancer pick a:1"]);
    let none = format!("{BOTH} --grant metrics");
    check(&run("balance", "{}", &none).await, 0, &["balancer not asked: there is no --endpoint"]);
    let told = run("qps", r#"{ "labels": [] }"#, &none).await;
    let found = lines(&told);
    assert!(found.contains(&"observer told of the beginning and of the end: complete, status 200".to_owned()));
    let counted = "metric palisade_plugin_requests_total{plugin=\"plugin\",class=\"2xx\"} +1";
    assert!(found.iter().any(|line| line == counted), "{}", told.stdout);
}

#[tokio::test]
async fn a_plugin_that_closes_has_run_and_one_that_fails_has_failed() {
    check(&run("close", "{}", BOTH).await, 0, &["request-filter close"]);
    check(&run("fails", "{}", BOTH).await, 1, &["request-filter failed: this plugin always fails"]);
    let late = run("endless-loop", "{}", &format!("{BOTH} --deadline-ms 20")).await;
    check(&late, 1, &["request-filter missed its deadline of 20 ms"]);
    let trapped = run("panics-in-observer", "{}", BOTH).await;
    assert_eq!(trapped.code, Some(1), "{}", trapped.stdout);
    let found = lines(&trapped);
    assert!(found.iter().any(|line| line.starts_with("observer trapped: panicked at ")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("log error: panicked at ")), "{found:?}");
}

#[tokio::test]
async fn what_a_filter_makes_of_a_body_is_shown() {
    let ended = run("reshape", r#"{ "response": { "edit": "upper" } }"#, &format!("{BOTH} --grant metrics")).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found = lines(&ended);
    for line in ["response-body-filter change", "- body: 6 bytes, \"hello\\n\"", "+ body: 6 bytes, \"HELLO\\n\""] {
        assert!(found.iter().any(|found| found == line), "{line:?} in {found:#?}");
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_a_sentence() {
    for (module, settings, options, sentence) in [
        ("tag", "{}", "--request bad.http", "bad.http: line 1: \"GET /\": invalid"),
        ("tag", "{}", "--request gone.http", "cannot read gone.http"),
        ("tag", "{}", "--request r.http --response r.http", "r.http: line 1: \"GET /admin/x HTTP/1.1\": "),
        ("tag", "[1]", "--request r.http", "s.json has [1]: expected an object"),
        ("tag", "{", "--request r.http", "s.json is not JSON: EOF while parsing an object at line 1 column 1"),
        ("tag", r#"{ "nam": "x" }"#, "--request r.http", "plugin.wasm: refuses its configuration: settings"),
        ("firewall", "{}", "--request r.http", "asks for the capability \"metrics\": allow it with --grant metrics"),
        ("wants-sockets", "{}", "--request r.http", "plugin.wasm: imports \"wasi:sockets/"),
    ] {
        let ended = run(module, settings, options).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{module} {options}");
        assert!(ended.stderr.contains(sentence), "{module} {options}: {}", ended.stderr);
    }
}
