//! `palisade plugin inspect`: what a plugin file is and what it asks for, told by the file alone.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use palisade_contract::{Clock, SystemClock};
use palisade_engine::{Engine, Form, Manifest, Module, Options, Plugin, Services};
use palisade_monitor::{AccessLog, Registry};

use super::signature;

/// Prints what a plugin file is. Its code runs only to tell its settings' schema, within the default limits.
///
/// # Errors
/// The file cannot be read or is no plugin.
pub(super) fn print(file: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let manifest = Manifest::read(&bytes).with_context(|| file.display().to_string())?;
    let schema = schema(&bytes).with_context(|| file.display().to_string())?;
    // A reader that wants only the first lines, such as `head`, is no failure.
    let lines = format!("{}signature     {}\nsettings      {schema}\n", describe(&manifest), signature::describe(file));
    let _ = std::io::stdout().write_all(lines.as_bytes());
    Ok(())
}

fn describe(manifest: &Manifest) -> String {
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let told = |text: &str| if text.is_empty() { "not told".to_owned() } else { text.escape_debug().to_string() };
    let form = match manifest.form {
        Form::Component => "component",
        Form::CoreModule => "core module",
    };
    let runs = match &manifest.component_for {
        None => "directly, as its core module".to_owned(),
        Some(why) => format!("as a component: {}", why.escape_debug()),
    };
    let lines = [
        ("name", told(&manifest.about.name)),
        ("version", told(&manifest.about.version)),
        ("description", told(&manifest.about.description)),
        ("sdk", told(&manifest.about.sdk)),
        ("contract", manifest.abi.clone()),
        ("phases", list(manifest.phases.iter().map(|phase| phase.as_str()).collect())),
        ("asks for", list(manifest.asks.iter().map(|asked| asked.name()).collect())),
        ("form", format!("{form}, {} bytes", manifest.bytes)),
        ("runs", runs),
        ("code", manifest.code_bytes.map_or_else(|| "none".to_owned(), |bytes| format!("compiled, {bytes} bytes"))),
        ("sha256", manifest.sha256.clone()),
    ];
    lines.into_iter().map(|(name, text)| format!("{name:<13} {text}\n")).collect()
}

/// The schema of the plugin's settings, indented.
fn schema(bytes: &[u8]) -> anyhow::Result<String> {
    let registry = Registry::new(env!("CARGO_PKG_VERSION"), SystemClock.wall(), AccessLog::Off);
    let services = Services { metrics: registry, ..Services::default() };
    let engine = Engine::new(&Options::default(), services)?;
    let schema = Plugin::settings_schema(&engine, &Module::new(&engine, bytes)?)?;
    let schema: serde_json::Value = serde_json::from_str(&schema).context("the schema of its settings is not JSON")?;
    Ok(format!("{schema:#}"))
}
