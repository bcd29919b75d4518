//! What calls into plugins cost, in nanoseconds: `cargo bench --bench calls [-- WORD…]`.
//!
//! Prints one Markdown row for each case whose name has all the words in it. With `--components` all plugins run as components, by
//! wasmtime's own runtime for them. With `--count N` the cases are run N times each and nothing is measured: for a profiler to look at.

#![forbid(unsafe_code)]

mod cases;
mod harness;
mod traffic;
mod world;

use anyhow::{Context, Result, bail};
use benches::{Artifacts, Spread, machine};

use crate::cases::Cases;
use crate::harness::Case;
use crate::world::World;

/// The host's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let options = Options::from_words(std::env::args().skip(1))?;
    let world = World::new(Artifacts::with_plugins()?, options.components)?;
    let mut cases = Cases::all(&world, &|name| options.words.iter().all(|word| name.contains(word)))?;
    match options.count {
        Some(count) => (0..count).for_each(|_| cases.iter_mut().for_each(Case::run)),
        None => {
            let spreads = harness::measure(&mut cases, || world.upkeep());
            print(&cases, &spreads);
        }
    }
    world.check()
}

fn print(cases: &[Case], spreads: &[Spread]) {
    println!("{}\n", machine::describe());
    println!("| case | ns | quartiles |\n|---|---:|---:|");
    for (case, spread) in cases.iter().zip(spreads) {
        println!("| {} | {:.0} | {:.0}–{:.0} |", case.name, spread.median, spread.low, spread.high);
    }
    if let Some(line) = cases::line(cases, spreads) {
        println!("\n{line}");
    }
}

/// What was asked for.
struct Options {
    words: Vec<String>,
    count: Option<u64>,
    components: bool,
}

impl Options {
    fn from_words(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { words: Vec::new(), count: None, components: false };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => {} // cargo says so to every benchmark.
                "--components" => options.components = true,
                "--count" => {
                    let count = words.next().context("--count needs a number")?;
                    options.count = Some(count.parse().with_context(|| format!("{count:?} is not a number"))?);
                }
                option if option.starts_with('-') => {
                    bail!("there is no option {option}: expected words, --components or --count N")
                }
                _ => options.words.push(word),
            }
        }
        Ok(options)
    }
}
