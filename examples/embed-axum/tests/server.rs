//! The example started as a person would start it, and asked over a socket.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FIREWALL: &str =
    r#"plugins/firewall={ "rules": [{ "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } }] }"#;
const TAG: &str = r#"guests/tag={ "name": "seen" }"#;

#[test]
fn a_request_passes_the_chain_before_the_router_and_its_answer_after_it() {
    let server = Server::start(&[FIREWALL, TAG]);
    server.check("GET /hello", "", "HTTP/1.1 200 OK", "hello\n");
    server.check("GET /hello", "", "x-tag: seen", "hello\n");
    server.check("POST /echo", "as it was", "HTTP/1.1 200 OK", "as it was");
    server.check("GET /admin", "", "HTTP/1.1 403 Forbidden", "forbidden\n");
    // The chain is around the whole router: what it has no route for passes, too.
    server.check("GET /nowhere", "", "HTTP/1.1 404 Not Found", "");
    server.check("GET /nowhere", "", "x-tag: seen", "");
}

#[test]
fn the_firewall_knows_the_clients_address() {
    let server = Server::start(&[r#"plugins/firewall={ "deny": ["127.0.0.0/8"] }"#]);
    server.check("GET /hello", "", "HTTP/1.1 503 Service Unavailable", "");
    server.check("GET /hello", "", "connection: close", "");
    let server = Server::start(&[r#"plugins/firewall={ "deny": ["192.0.2.0/24"] }"#]);
    server.check("GET /hello", "", "HTTP/1.1 200 OK", "hello\n");
}

#[test]
fn a_plugin_that_fails_refuses_and_one_that_closes_is_an_empty_503() {
    Server::start(&["guests/fails"]).check(
        "GET /hello",
        "",
        "HTTP/1.1 503 Service Unavailable",
        "service unavailable\n",
    );
    let server = Server::start(&["guests/close"]);
    server.check("GET /hello", "", "HTTP/1.1 503 Service Unavailable", "");
    server.check("GET /hello", "", "connection: close", "");
}

#[test]
fn without_plugins_the_router_is_alone() {
    Server::start(&[]).check("POST /echo", "x", "HTTP/1.1 200 OK", "x");
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(plugins: &[&str]) -> Self {
        let target = PathBuf::from(env!("CARGO_BIN_EXE_embed-axum"));
        let target = target.ancestors().nth(2).map(Path::to_owned).expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_embed-axum"));
        for plugin in plugins {
            let (name, settings) = plugin.split_once('=').unwrap_or((plugin, "{}"));
            let file = target.join(name).with_extension("wasm");
            assert!(file.is_file(), "{} is missing: run `cargo xtask plugins` first", file.display());
            command.arg(format!("{}={settings}", file.display()));
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = lines.map_while(Result::ok).find(|line| line.starts_with("listening on ")).expect("it listens");
        let address = line.rsplit(' ').next().expect("a word").to_owned();
        Self { process, address }
    }

    /// Asks, and finds this line of the head and this body.
    #[track_caller]
    fn check(&self, line: &str, body: &str, expected: &str, expected_body: &str) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, or the end");
        let (head, found) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        assert!(head.lines().any(|found| found == expected), "{expected} is not in {head}");
        assert_eq!(found, expected_body, "{head}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
