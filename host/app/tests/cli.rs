//! The command itself: what it answers before it does anything. (Having this test also has `cargo test` build the program,
//! which the tests of the whole host start.)

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

#[test]
fn the_command_answers_and_its_exit_code_says_how_it_went() {
    check(&["--version"], 0, concat!("palisade ", env!("CARGO_PKG_VERSION")), "");
    check(&["check", "no-such-file.toml"], 1, "", "no-such-file.toml");
    check(&["plugin", "inspect", "no-such-file.wasm"], 1, "", "cannot read no-such-file.wasm");
    check(&["fly"], 2, "", "unrecognized subcommand 'fly'");
    check(&["run"], 2, "", "<FILE>");
}

fn check(arguments: &[&str], code: i32, output: &str, error: &str) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_palisade")).args(arguments).output().expect("the program runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stdout.contains(output) && stderr.contains(error), "{arguments:?}: {stdout}{stderr}");
}
