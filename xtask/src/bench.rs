//! `cargo xtask bench …`: what a benchmark needs, then the benchmark.

mod budget;
mod callgrind;
pub(crate) mod instructions;
mod origin;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{plugins, python, tools};

/// Ends with the rows of `cargo bench --bench peers`, which is given the arguments.
pub(crate) fn peers(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut steps = Steps::new(4);
    steps.next("looking for nginx with Lua, HAProxy, wrk, h2load, curl and Python");
    tools::ensure(&[
        tools::C_COMPILER,
        tools::NGINX,
        tools::HAPROXY,
        tools::WRK,
        tools::H2LOAD,
        tools::CURL,
        tools::PYTHON,
    ])?;
    tools::ensure_file(Path::new("/usr/lib/nginx/modules/ngx_http_lua_module.so"), "libnginx-mod-http-lua")?;
    steps.next("looking for Envoy and Caddy");
    python::ensure(workspace, python::PEERS)?;
    steps.next("building the rules as a Wasm filter of Envoy");
    envoy_rules(workspace)?;
    steps.next("building and running the benchmark");
    let bench = ["bench", "--bench", "peers", "--"].into_iter().chain(arguments.iter().map(String::as_str));
    workspace.cargo(&bench.collect::<Vec<_>>())
}

/// Nanoseconds for calls into plugins: the rows of `cargo bench --bench calls`, which builds the plugins first.
pub(crate) fn micro(workspace: &Workspace, words: &[String]) -> Result<()> {
    tools::ensure(&[tools::C_COMPILER])?;
    let bench = ["bench", "--bench", "calls", "--"].into_iter().chain(words.iter().map(String::as_str));
    workspace.cargo(&bench.collect::<Vec<_>>())
}

/// A package that is no member of the workspace: it stands on another project's SDK.
fn envoy_rules(workspace: &Workspace) -> Result<()> {
    plugins::ensure_targets()?;
    let folder = workspace.artifacts().join("benches");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (target, build) = ("wasm32-unknown-unknown", folder.join("envoy-rules"));
    let build_text = build.display().to_string();
    let words = [
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        "benches/peers/envoy-rules/Cargo.toml",
        "--target",
        target,
    ];
    workspace.cargo(&[&words[..], &["--target-dir", &build_text]].concat())?;
    let built = build.join(target).join("release/envoy_rules.wasm");
    fs::copy(&built, folder.join("envoy_rules.wasm")).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(())
}
