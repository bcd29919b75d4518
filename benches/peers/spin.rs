//! How fast the proxies' core is at the moment: a loop of fixed length, timed there.

use std::hint::black_box;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};

use benches::{Cores, Share};

/// The word by which this program knows that it is to be the loop.
pub(crate) const COMMAND: &str = "spin";

/// Turns of the loop: some milliseconds.
const TURNS: u64 = 20_000_000;

/// Runs the loop, and says how many nanoseconds it took.
pub(crate) fn run() -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock itself")]
    let began = Instant::now();
    let mut word = 1_u64;
    for turn in 0..TURNS {
        word = black_box(word.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ turn);
    }
    black_box(word);
    println!("{}", began.elapsed().as_nanos());
    Ok(())
}

/// Milliseconds that the loop takes on the proxies' core.
///
/// # Errors
/// It cannot be run.
pub(crate) fn milliseconds(cores: &Cores) -> Result<f64> {
    let own = std::env::current_exe().context("this program has no place")?;
    let output = cores.command(Share::One, &own).arg(COMMAND).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let nanoseconds: f64 = text.trim().parse().with_context(|| format!("the loop said {text:?}"))?;
    Ok(nanoseconds / 1e6)
}
