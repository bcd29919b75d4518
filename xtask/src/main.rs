//! The project's own commands: `cargo xtask demo`, `test`, `bench`, `dist`, `plugins` and `ci`.
//!
//! Each command is a list of steps that print themselves, and finds or says what it needs. Exit codes: 0 done, 1 a step
//! failed, 2 the command line makes no sense.

#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "a tool on a developer's machine reads the clock itself")]

use std::process::ExitCode;

use anyhow::Result;

use crate::bench::instructions::Then;
use crate::workspace::Workspace;

mod bench;
mod ci;
mod command;
mod demo;
mod dist;
mod plugins;
mod python;
mod steps;
mod test;
mod tools;
mod workspace;

const USAGE: &str = "\
usage: cargo xtask <command>

  demo [--once] [--port N] [--redirect-port N] [--admin-port N]
               builds everything, starts two origins and the host, sends requests and shows what each plugin did;
               runs until Ctrl-C, or ends after the show with --once; a port of 0 is any free one
  test [-- ARGS]
               installs what the tests need, builds plugins and guests, then runs cargo test --workspace ARGS
  bench peers [-- ARGS]
               installs nginx, HAProxy, Envoy, Caddy and the load generators, and measures Palisade beside them
  bench micro [-- WORDS]
               measures what calls into plugins cost, those whose names have these words
  bench instructions [--check | --bless]
               counts the instructions of a request under callgrind, beside those stored in benches/instructions.toml;
               --check fails where one is 3 % above, --bless stores what was counted
  dist [-- ARGS]
               builds the program that ships, by what it was seen to do under load, into target/guided/palisade;
               cargo's last build is given ARGS
  plugins      builds the plugins into target/plugins and the tests' guests into target/guests
  ci           format, clippy, licences, test, then bench instructions --check";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match Request::parse(&words) {
        Ok(request) => request.run(),
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Help,
    Demo(demo::Options),
    Test(Vec<String>),
    BenchPeers(Vec<String>),
    BenchMicro(Vec<String>),
    BenchInstructions(Then),
    Dist(Vec<String>),
    Plugins,
    Ci,
}

impl Request {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let Some((command, rest)) = words.split_first() else { return Ok(Self::Help) };
        let alone = |request: Self| match rest.first() {
            None => Ok(request),
            Some(word) => Err(format!("{command} takes no {word:?}")),
        };
        match *command {
            "help" | "--help" | "-h" => Ok(Self::Help),
            "demo" => demo::Options::parse(rest).map(Self::Demo),
            "test" => {
                let rest = rest.strip_prefix(&["--"]).unwrap_or(rest);
                Ok(Self::Test(rest.iter().map(ToString::to_string).collect()))
            }
            "bench" => match rest.split_first() {
                Some((name @ (&"peers" | &"micro"), rest)) => {
                    let rest = rest.strip_prefix(&["--"]).unwrap_or(rest).iter().map(ToString::to_string).collect();
                    Ok(if *name == "peers" { Self::BenchPeers(rest) } else { Self::BenchMicro(rest) })
                }
                Some((&"instructions", rest)) => match rest {
                    [] => Ok(Self::BenchInstructions(Then::Show)),
                    ["--check"] => Ok(Self::BenchInstructions(Then::Check)),
                    ["--bless"] => Ok(Self::BenchInstructions(Then::Bless)),
                    _ => Err(format!("bench instructions takes --check or --bless, not {:?}", rest.join(" "))),
                },
                Some((other, _)) => {
                    Err(format!("there is no benchmark {other:?} here: expected peers, micro or instructions"))
                }
                None => Err("bench needs a name: expected peers, micro or instructions".to_owned()),
            },
            "dist" => {
                let rest = rest.strip_prefix(&["--"]).unwrap_or(rest);
                Ok(Self::Dist(rest.iter().map(ToString::to_string).collect()))
            }
            "plugins" => alone(Self::Plugins),
            "ci" => alone(Self::Ci),
            unknown => Err(format!("there is no command {unknown:?}")),
        }
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Help => {
                println!("{USAGE}");
                Ok(())
            }
            Self::Demo(options) => demo::run(&Workspace::find()?, &options),
            Self::Test(arguments) => test::run(&Workspace::find()?, &arguments),
            Self::BenchInstructions(then) => bench::instructions::run(&Workspace::find()?, then),
            Self::BenchPeers(arguments) => bench::peers(&Workspace::find()?, &arguments),
            Self::BenchMicro(words) => bench::micro(&Workspace::find()?, &words),
            Self::Dist(arguments) => dist::run(&Workspace::find()?, &arguments),
            Self::Plugins => plugins::run(&Workspace::find()?),
            Self::Ci => ci::run(&Workspace::find()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_a_request_or_a_sentence() {
        let demo = |options| Ok(Request::Demo(options));
        let defaults = demo::Options::default();
        check(&[], Ok(Request::Help));
        check(&["demo"], demo(defaults.clone()));
        check(&["demo", "--once", "--port", "9443"], demo(demo::Options { once: true, https: 9443, ..defaults }));
        check(&["demo", "--port"], Err("--port needs a number"));
        check(&["demo", "--port", "70000"], Err("--port \"70000\" is not a port: expected 0 to 65535"));
        check(&["demo", "now"], Err("demo takes no \"now\""));
        check(&["test"], Ok(Request::Test(vec![])));
        check(&["test", "--", "-p", "palisade"], Ok(Request::Test(vec!["-p".into(), "palisade".into()])));
        check(&["bench", "peers", "--", "--rounds", "2"], Ok(Request::BenchPeers(vec!["--rounds".into(), "2".into()])));
        check(&["bench", "micro", "--", "firewall"], Ok(Request::BenchMicro(vec!["firewall".into()])));
        check(&["bench", "instructions"], Ok(Request::BenchInstructions(Then::Show)));
        check(&["bench", "instructions", "--check"], Ok(Request::BenchInstructions(Then::Check)));
        check(&["bench", "instructions", "--bless"], Ok(Request::BenchInstructions(Then::Bless)));
        check(
            &["bench", "instructions", "--bless", "h1"],
            Err("bench instructions takes --check or --bless, not \"--bless h1\""),
        );
        check(&["bench"], Err("bench needs a name: expected peers, micro or instructions"));
        check(&["bench", "pears"], Err("there is no benchmark \"pears\" here: expected peers, micro or instructions"));
        check(&["dist"], Ok(Request::Dist(vec![])));
        check(&["dist", "--", "--no-default-features"], Ok(Request::Dist(vec!["--no-default-features".into()])));
        check(&["plugins"], Ok(Request::Plugins));
        check(&["ci", "--fast"], Err("ci takes no \"--fast\""));
        check(&["dmeo"], Err("there is no command \"dmeo\""));
    }

    #[track_caller]
    fn check(words: &[&str], expected: Result<Request, &str>) {
        assert_eq!(Request::parse(words), expected.map_err(str::to_owned));
    }
}
