//! `palisade plugin run`: one exchange through one plugin, with no server, and what the plugin did.

mod lines;
mod message;
mod metrics;
mod report;
mod shown;
mod watch;
mod way;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use palisade_contract::OnError;
use palisade_engine::{
    Capability, Engine, Module, Options, Plugin, PluginConfig, PluginFile, PluginLimits, Services, TrustedKeys,
};

use self::lines::LogLines;
use self::metrics::Recorder;
use self::report::Report;
use self::watch::Watch;
use self::way::Traffic;

/// A plugin, and what goes through it.
#[derive(Debug, clap::Args)]
pub struct RunOptions {
    /// The plugin's `.wasm` file.
    file: PathBuf,
    /// Its settings: a file with a JSON object. Without it, it is given none.
    #[arg(long, value_name = "JSON")]
    settings: Option<PathBuf>,
    /// The request: a file with its text, as HTTP/1.1 has it.
    #[arg(long, value_name = "HTTP")]
    request: PathBuf,
    /// The answer to it, likewise. Without it, only what the plugin itself answers passes its response phases.
    #[arg(long, value_name = "HTTP")]
    response: Option<PathBuf>,
    /// A capability that it may use, as in the configuration. Can be given more than once.
    #[arg(long = "grant", value_name = "CAPABILITY", value_parser = capability)]
    grants: Vec<Capability>,
    /// The client's address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    client: IpAddr,
    /// An endpoint that a balancer may pick. Can be given more than once.
    #[arg(long = "endpoint", value_name = "ADDRESS")]
    endpoints: Vec<String>,
    /// How long one call may take, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    deadline_ms: u64,
}

fn capability(name: &str) -> Result<Capability, String> {
    let known = Capability::ALL.map(Capability::name);
    let found = Capability::ALL.into_iter().find(|capability| capability.name() == name);
    found.ok_or_else(|| format!("is not a capability: expected one of {}", known.join(", ")))
}

impl RunOptions {
    /// Runs the plugin and prints the report, which ends where the plugin fails.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, or the plugin does not load.
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let report = self.report()?;
        // A reader that wants only the first lines, such as `head`, is no failure.
        let _ = std::io::stdout().write_all(report.to_string().as_bytes());
        Ok(if report.is_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn report(&self) -> anyhow::Result<Report> {
        let in_file = |file: &Path| file.display().to_string();
        let request = message::request(&read(&self.request)?).with_context(|| in_file(&self.request))?;
        let response =
            self.response.as_deref().map(|file| message::response(&read(file)?).with_context(|| in_file(file)));
        let response = response.transpose()?;
        let (lines, _guard) = LogLines::listen();
        let recorder = Recorder::default();
        let services = Services { metrics: Arc::new(recorder.clone()), ..Services::default() };
        let names = services.names.clone();
        let plugin = self.plugin(services).with_context(|| in_file(&self.file))?;
        let mut watch = Watch { plugin, lines, recorder, report: Report::default() };
        watch.add("lifecycle", "configured".to_owned(), None, Vec::new());
        let endpoints = self.endpoints.iter().map(|text| (text.clone(), names.intern(text))).collect();
        let client = SocketAddr::new(self.client, 50_000);
        let traffic = Traffic { client, request, response, endpoints, name: names.intern("run") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        Ok(runtime.block_on(way::pass(watch, traffic)))
    }

    fn plugin(&self, services: Services) -> anyhow::Result<Plugin> {
        // Whom to believe is a matter of the configuration: here it is whoever names the file.
        let PluginFile { bytes, .. } = PluginFile::read(&self.file, &TrustedKeys::default(), SystemTime::UNIX_EPOCH)?;
        let engine = Engine::new(&Options::default(), services)?;
        let module = Module::new(&engine, &bytes)?;
        if let Some(asked) = module.manifest().asks.iter().find(|asked| !self.grants.contains(asked)) {
            anyhow::bail!("asks for the capability {0:?}: allow it with --grant {0}", asked.name());
        }
        let stem = self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let deadline = Duration::from_millis(self.deadline_ms);
        let config = PluginConfig {
            // A failure is what the report is for.
            on_error: Some(OnError::Closed),
            grants: self.grants.clone(),
            settings: self.settings()?,
            limits: PluginLimits { deadline, ..PluginLimits::default() },
            ..PluginConfig::new(&stem, &stem)
        };
        Ok(Plugin::new(&engine, &module, &config)?)
    }

    fn settings(&self) -> anyhow::Result<serde_json::Value> {
        let Some(file) = &self.settings else { return Ok(serde_json::Value::Object(serde_json::Map::new())) };
        let settings =
            serde_json::from_slice(&read(file)?).with_context(|| format!("{} is not JSON", file.display()))?;
        match settings {
            serde_json::Value::Object(_) => Ok(settings),
            other => anyhow::bail!("{} has {other}: expected an object, such as {{}}", file.display()),
        }
    }
}

/// How large a file of settings, or a message, may be.
const FILE_BYTES_MAX: usize = 16 << 20;

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", file.display());
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(file).with_context(cannot)?.take(limit).read_to_end(&mut bytes).with_context(cannot)?;
    anyhow::ensure!(bytes.len() <= FILE_BYTES_MAX, "{} has more than {FILE_BYTES_MAX} bytes", file.display());
    Ok(bytes)
}
