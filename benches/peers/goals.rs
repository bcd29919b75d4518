//! The rounds of all loads in; the ratios that the project has set itself, out.

use std::fmt::Write as _;

use crate::load::Load;
use crate::rounds::Rounds;

/// Load, one proxy, another one, and the ratio that is wanted at most.
const GOALS: [(Load, &str, &str, f64); 13] = [
    (Load::Rules, "Palisade, 3 plugins", "HAProxy", 0.75),
    (Load::Rules, "Palisade, 3 plugins", "nginx", 0.65),
    (Load::Rules, "Palisade, 3 plugins", "Envoy, Wasm", 0.3),
    (Load::Rules, "Palisade, 3 plugins", "Palisade", 1.03),
    (Load::Rules, "Palisade, again", "Palisade", 1.0),
    (Load::Http1, "Palisade", "bare hyper", 1.15),
    (Load::Http2, "Palisade", "HAProxy", 1.0),
    (Load::Handshakes, "Palisade", "nginx", 0.55),
    (Load::OneSuite, "Palisade", "nginx", 0.55),
    (Load::Bodies, "Palisade", "nginx", 0.7),
    (Load::Workers, "Palisade, 2 workers", "Palisade, 1 worker", 1.1),
    (Load::Workers, "Palisade, 4 workers", "Palisade, 1 worker", 1.1),
    // What the machine makes of four workers that share its cores with their load.
    (Load::Workers, "nginx, 4 workers", "nginx, 1 worker", 1.1),
];

/// A table of those that were measured.
pub(crate) fn table(all: &[Rounds]) -> String {
    let mut rows = String::new();
    for (load, one, other, most) in GOALS {
        let Some(rounds) = all.iter().find(|rounds| rounds.load() == load) else { continue };
        let (Some(ratio), Some(micros)) = (rounds.ratio(one, other), rounds.difference(one, other)) else { continue };
        // A string takes everything.
        let _ = writeln!(
            rows,
            "| {} | {one} ÷ {other} | {:.2} | {:.2}–{:.2} | {most:.2} | {:+.2} |",
            load.name(),
            ratio.median,
            ratio.low,
            ratio.high,
            micros.median
        );
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "| load | CPU per request | ratio | quartiles | wanted, at most | µs more |\n|---|---|---:|---:|---:|---:|\n{rows}"
    )
}
