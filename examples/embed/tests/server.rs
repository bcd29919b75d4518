//! The example started as a person would start it, and asked over a socket.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where it fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const FIREWALL: &str = r#"{ "rules": [{ "name": "admin", "action": "deny", "when": { "path_prefix": "/admin" } }] }"#;

#[test]
fn the_application_answers_what_the_plugin_lets_pass() {
    check("plugins/firewall", FIREWALL, "/hello", "HTTP/1.1 200 OK", "hello\n");
}

#[test]
fn the_plugin_answers_what_it_denies() {
    check("plugins/firewall", FIREWALL, "/admin", "HTTP/1.1 403 Forbidden", "forbidden\n");
}

#[test]
fn the_plugin_changes_the_applications_answer() {
    check("guests/tag", r#"{ "name": "seen" }"#, "/hello", "x-tag: seen", "hello\n");
}

#[test]
fn a_plugin_that_closes_gives_no_answer() {
    assert_eq!(Server::start("guests/close", "{}").ask("/hello"), "");
}

#[test]
fn a_plugin_that_refuses_its_settings_is_a_sentence() {
    let output = command("plugins/firewall", r#"{ "rulez": [] }"#).output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("settings.rulez"), "{errors}");
}

/// Asks for the target, and finds this line of the head and this body.
#[track_caller]
fn check(plugin: &str, settings: &str, target: &str, line: &str, body: &str) {
    let answer = Server::start(plugin, settings).ask(target);
    let (head, found) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.lines().any(|found| found == line), "{line} is not in {head}");
    assert_eq!(found, body);
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(plugin: &str, settings: &str) -> Self {
        let mut process = command(plugin, settings).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit(' ').next().expect("a word").to_owned();
        Self { process, address }
    }

    fn ask(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, or the end");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(plugin: &str, settings: &str) -> Command {
    let target = PathBuf::from(env!("CARGO_BIN_EXE_embed")).ancestors().nth(2).map(Path::to_owned).expect("a folder");
    let file = target.join(plugin).with_extension("wasm");
    assert!(file.is_file(), "{} is missing: run `cargo xtask plugins` first", file.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_embed"));
    command.arg(file).arg(settings);
    command
}
