//! The whole config: one file's text, checked.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use crate::{
    Acme, Admin, Dns, Engine, Listener, Log, Plugin, Problem, Problems, Shutdown, TrustedKeys, Upstream, file_path,
    reference::References,
    scope::Scope,
    shared::Spaces,
    text::{self, Form, Report, Seen, Table, Value},
    trusted_key, upstream,
};

/// Everything that a config file says, checked and with defaults filled in.
///
/// Plugins and upstreams are referred to by their index, which is always in
/// range. They and the listeners stand in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that this was read from; relative paths in it start from its folder.
    pub file: PathBuf,
    /// Where the modules of plugins are. Present wherever a plugin is configured.
    pub plugins_dir: Option<PathBuf>,
    /// Where compiled plugins are kept; by default the app chooses.
    pub cache_dir: Option<PathBuf>,
    /// The keys of which one must have signed each plugin file; without any, files need no signature.
    pub trusted_keys: TrustedKeys,
    /// Worker threads, at most 256; by default one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Where this host stands: its own choice prefers endpoints of the same zone.
    pub zone: Option<String>,
    /// What the log holds.
    pub log: Log,
    /// Who is asked for the addresses of names.
    pub dns: Dns,
    /// The admin listener, if there is one.
    pub admin: Option<Admin>,
    /// How the host stops.
    pub shutdown: Shutdown,
    /// What all plugins share.
    pub engine: Engine,
    /// Accounts with authorities that issue certificates.
    pub acme: Vec<Acme>,
    /// The configured plugins.
    pub plugins: Vec<Plugin>,
    /// The upstreams.
    pub upstreams: Vec<Upstream>,
    /// The listeners, at least one.
    pub listeners: Vec<Listener>,
    /// What is allowed but hardly meant.
    pub warnings: Vec<Problem>,
}

/// Why a file is no config.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be opened or read.
    #[error("cannot read the config {file:?}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file has more than [`Config::BYTES_MAX`] bytes.
    #[error("the config {file:?} is too large: expected at most {} bytes", Config::BYTES_MAX)]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// What it says is wrong.
    #[error(transparent)]
    Problems(#[from] Problems),
}

impl Config {
    /// The largest file that is read, in bytes.
    pub const BYTES_MAX: u64 = 16 << 20;

    /// Reads and checks a file. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is too large, or is wrong: then every problem is in the error.
    pub fn read(file: &Path) -> Result<Self, ReadError> {
        Ok(Self::parse(&Self::text_of(file)?, file)?)
    }

    /// The text of a file, for whoever wants to keep it, too. Blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is too large, or is not UTF-8.
    pub fn text_of(file: &Path) -> Result<String, ReadError> {
        let unreadable = |source| ReadError::Read { file: file.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|open| open.take(Self::BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > Self::BYTES_MAX) {
            return Err(ReadError::TooLarge { file: file.to_owned() });
        }
        Ok(String::from_utf8(bytes)
            .map_err(|error| not_utf8(error.as_bytes(), error.utf8_error().valid_up_to(), file))?)
    }

    /// Checks a text. `file` names it in problems, and relative paths in it start from that file's folder.
    ///
    /// # Errors
    ///
    /// Every problem of the text, in the order of its lines. Where the text is not TOML, that is reported with what else
    /// can be said of the lines that are; after a bracket that was not closed nothing more can.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Problems> {
        let mut report = Report::new(text, file);
        let root = text::parse(text, &mut report);
        let config = root.as_ref().and_then(|root| read(Table::root(&report, root.get_ref()), file));
        let (config, warnings) = report.finish(config)?;
        Ok(Self { warnings, ..config })
    }
}

fn not_utf8(bytes: &[u8], at: usize, file: &Path) -> Problems {
    let text = String::from_utf8_lossy(bytes);
    let mut report = Report::new(&text, file);
    report.broken(at..at, "the text is not UTF-8");
    report.into_problems()
}

fn read(mut root: Table<'_>, file: &Path) -> Option<Config> {
    let plugins_dir = root.optional("plugins_dir", file_path::read);
    let cache_dir = root.optional("cache_dir", file_path::read);
    let trusted_keys = root.or("trusted_keys", TrustedKeys::default(), trusted_key::read);
    let workers = root.optional("workers", |value| value.whole(1..=256).and_then(NonZeroUsize::new));
    let zone = root.optional("zone", |value| upstream::zone(&value));
    let log = root.or("log", Log::default(), |value| Log::read(&value));
    let shutdown = root.or("shutdown", Shutdown::default(), |value| Shutdown::read(&value));
    let engine = root.or("engine", Engine::default(), |value| Engine::read(&value));
    let named_plugins = root.named("plugin", PLUGINS);
    let named_upstreams = root.named("upstream", UPSTREAMS);
    let named_acme = root.named("acme", ACCOUNTS);
    if let (Some((_, plugin)), false) = (named_plugins.first(), root.has("plugins_dir")) {
        plugin.lacks::<()>("needs plugins_dir, the folder that modules are in, which is missing".to_owned());
    }
    let mut scope = Scope {
        plugins: References::new("plugin", &named_plugins),
        upstreams: References::new("upstream", &named_upstreams),
        encrypted: encrypted(&named_upstreams),
        acme: References::new("acme", &named_acme),
        accounts: named_acme.iter().map(|(name, value)| Acme::read(name, value)).collect(),
        issued: HashMap::new(),
        bound: Seen::default(),
        listener_names: Seen::default(),
        route_names: Seen::default(),
    };
    let listeners = root.required("listener", |value| listeners(&value, &mut scope));
    let dns = root.or("dns", Dns::default(), |value| Dns::read(&value));
    let admin = root.optional("admin", |value| Admin::read(&value, &mut scope.bound));
    root.finish();
    let mut spaces = Spaces::default();
    let plugins = named_plugins
        .iter()
        .filter_map(|(name, value)| Plugin::read((name, value), &scope.upstreams, &mut spaces))
        .collect();
    scope.plugins.warn_of_unused(&named_plugins, "is in no chain");
    scope.upstreams.warn_of_unused(&named_upstreams, "is in no route, and no plugin is granted it");
    scope.acme.warn_of_unused(&named_acme, "is in no listener's certificates");
    Some(Config {
        file: file.to_owned(),
        plugins_dir,
        cache_dir,
        trusted_keys,
        workers,
        zone,
        log,
        dns,
        admin,
        shutdown,
        engine,
        acme: scope.accounts.into_iter().flatten().collect(),
        plugins,
        upstreams: named_upstreams.iter().filter_map(|(name, value)| Upstream::read(name, value)).collect(),
        listeners: listeners?,
        warnings: Vec::new(),
    })
}

/// The indices of those upstreams that say how they are encrypted.
fn encrypted(upstreams: &[(&str, Value<'_>)]) -> HashSet<usize> {
    let says_tls = |(_, (_, value)): &(usize, &(&str, Value<'_>))| {
        let tls = value.raw().as_table().and_then(|table| table.get("tls"));
        tls.is_some_and(|tls| tls.get_ref().as_bool() != Some(false))
    };
    upstreams.iter().enumerate().filter(says_tls).map(|(index, _)| index).collect()
}

fn listeners(value: &Value<'_>, scope: &mut Scope<'_>) -> Option<Vec<Listener>> {
    let listeners = value.list(LISTENERS)?;
    if listeners.is_empty() {
        return value.refuse("holds no listener: expected at least one");
    }
    Some(listeners.iter().filter_map(|value| Listener::read(value, scope)).collect())
}

const PLUGINS: Form = Form { noun: "a table of plugins", expected: "[plugin.NAME]" };
const UPSTREAMS: Form = Form { noun: "a table of upstreams", expected: "[upstream.NAME]" };
const ACCOUNTS: Form = Form { noun: "a table of ACME accounts", expected: "[acme.NAME]" };
const LISTENERS: Form = Form { noun: "a list", expected: "[[listener]] with two brackets on each side" };
