//! The `palisade` command. Exit codes: 0 all is well, 1 something is wrong with what it was given, 2 wrong usage.

use std::process::ExitCode;

use clap::Parser;
use palisade::cli::Command;

/// Plugins allocate in their own memory; what is left are small, short-lived pieces on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
