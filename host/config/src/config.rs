//! The whole config: one file's text, checked.

use std::{num::NonZeroUsize, path::PathBuf};

use crate::{Admin, Engine, Listener, Log, Plugin, Problem, Shutdown, Upstream};

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
    /// Worker threads, at most 256; by default one for each core.
    pub workers: Option<NonZeroUsize>,
    /// What the log holds.
    pub log: Log,
    /// The admin listener, if there is one.
    pub admin: Option<Admin>,
    /// How the host stops.
    pub shutdown: Shutdown,
    /// What all plugins share.
    pub engine: Engine,
    /// The configured plugins.
    pub plugins: Vec<Plugin>,
    /// The upstreams.
    pub upstreams: Vec<Upstream>,
    /// The listeners, at least one.
    pub listeners: Vec<Listener>,
    /// What is allowed but hardly meant.
    pub warnings: Vec<Problem>,
}
