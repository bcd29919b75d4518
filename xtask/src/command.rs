//! Other programs, run so that a failure is a sentence.

use std::io;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a command to its end; what it prints goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed with {status}");
    }
    Ok(())
}

/// Runs a command to its end and takes what it prints; its errors still go where ours go.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether there is such a program at all.
pub(crate) fn exists(program: &str) -> bool {
    let probe = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    !matches!(probe, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// A command as one would type it.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        check(&["build", "-p", "xtask"], "cargo build -p xtask");
        check(&["a b", "", "it's"], r"cargo 'a b' '' 'it'\''s'");
    }

    fn check(arguments: &[&str], expected: &str) {
        assert_eq!(show(Command::new("cargo").args(arguments)), expected);
    }

    #[test]
    fn a_failing_program_is_a_sentence() {
        let sentence = |program: &str| run(&mut Command::new(program)).map_err(|error| error.to_string());
        assert_eq!(sentence("true"), Ok(()));
        assert_eq!(sentence("false"), Err("`false` failed with exit status: 1".into()));
        assert_eq!(sentence("no-such-program"), Err("cannot run `no-such-program`".into()));
        assert!(exists("cargo") && !exists("no-such-program"));
    }
}
