//! The origin as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn it_says_where_it_listens() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_origin"));
    let mut origin = command.args(["--name", "a"]).stdout(Stdio::piped()).spawn().expect("an origin");
    let mut line = String::new();
    let read = origin.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
    origin.kill().expect("it runs");
    origin.wait().expect("it has ended");
    assert!(read.is_some_and(|read| read.is_ok()));
    assert!(line.starts_with("origin a listens on 127.0.0.1:"), "{line}");
}
