//! What a measurement has to say of the machine that it was taken on.

use std::fs;
use std::num::NonZeroUsize;
use std::process::Command;

/// One line: processor, cores, kernel, compiler.
#[must_use]
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let rustc = rustc.split(" (").next().unwrap_or_default();
    format!("{}, {cores} cores, Linux {}, {}", model.unwrap_or("unknown processor"), kernel.trim(), rustc.trim())
}
