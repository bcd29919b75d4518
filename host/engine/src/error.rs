//! Why a plugin file did not become a plugin.

use std::path::PathBuf;
use std::sync::Arc;

use palisade_config::Capability;
use palisade_contract::Phases;
use palisade_signature::Distrust;

use crate::manifest::ABI;

/// Why one plugin file did not become a module, or one configured plugin did not start. The others still load.
#[derive(Debug, thiserror::Error)]
#[error("plugin {plugin:?} ({}) did not load", file.display())]
pub struct LoadError {
    /// The plugin's name in the config.
    pub plugin: String,
    /// The file's stem, as the config names it.
    pub module: String,
    /// The file.
    pub file: PathBuf,
    /// The phases that it has, where the file itself is good.
    pub phases: Option<Phases>,
    /// What is wrong with it: the same one for all plugins of a file that is bad.
    #[source]
    pub reason: Arc<Reason>,
}

/// What is wrong with a plugin.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The folder has no such file.
    #[error("there is no such file")]
    Missing,
    /// It was not still for long enough to be looked at.
    #[error("is still being written")]
    Unfinished,
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    Read(std::io::Error),
    /// What lies beside it as its signature cannot be read.
    #[error("cannot read its signature: {0}")]
    ReadSignature(std::io::Error),
    /// Keys are trusted, and none of them vouches for it.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// The file is larger than any plugin.
    #[error("the file has more than the {max} bytes that a plugin may have")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// The file does not begin as WebAssembly does.
    #[error("is not WebAssembly: it begins with \"{found}\", not with \"\\x00asm\"")]
    NotWasm {
        /// Its first bytes, escaped.
        found: String,
    },
    /// The file begins as WebAssembly and does not go on as such; most often it is cut off.
    #[error("is malformed WebAssembly at byte {offset}: {message}; is the file complete?")]
    Malformed {
        /// Where.
        offset: usize,
        /// What the parser says.
        message: String,
    },
    /// A core module that does not say what component it is.
    #[error("is a core module that cannot become a component: {0}; was it built with palisade-sdk?")]
    NotComponent(String),
    /// It was built against another version of the contract.
    #[error(
        "speaks version {found} of the plugin contract, this host speaks {ABI}; rebuild it with a palisade-sdk for {ABI}"
    )]
    Abi {
        /// Its version.
        found: String,
    },
    /// Every plugin has a lifecycle.
    #[error(
        "does not export \"palisade:plugin/lifecycle@{ABI}\", which every plugin has; was it built with `register!`?"
    )]
    NoLifecycle,
    /// It imports a WASI interface that plugins are never given.
    #[error("imports {import:?}: plugins have no files, no sockets and no environment, and no grant gives them")]
    Wasi {
        /// The interface.
        import: String,
    },
    /// It imports what this host does not have.
    #[error("imports {import:?}, which this host does not have")]
    Unknown {
        /// The interface.
        import: String,
    },
    /// It asks for more than the operator grants.
    #[error(
        "asks for the capability {:?}, which the config does not grant: add `grant = [{}]` to [plugin.{plugin}] to allow it",
        capability.name(),
        grant(*capability)
    )]
    NotGranted {
        /// The plugin's name in the config.
        plugin: String,
        /// What it asks for.
        capability: Capability,
    },
    /// All plugins together would have more memory than they may.
    #[error(
        "needs {wanted} bytes of memory on {workers} workers, and all plugins together may have {max}, of which {left} are left: \
         raise `memory` in [engine] to allow it"
    )]
    Budget {
        /// What it needs at the very least.
        wanted: usize,
        /// On so many workers.
        workers: usize,
        /// What is left.
        left: usize,
        /// What there may be.
        max: usize,
    },
    /// It has none of the phases of a chain.
    #[error("has no phase besides its lifecycle, so no chain can use it")]
    NoPhase,
    /// It has a ticker, and nobody knows when it is to tick.
    #[error("has the phase \"ticker\" and tells no interval: call `tick_every` in `configure`")]
    NoInterval,
    /// It carries no machine code, and this build has nothing to make any.
    #[error("is not compiled, and this build of the host has no compiler: run `palisade plugin compile` on it")]
    NoCode,
    /// The machine code that it carries is not this engine's.
    #[error(
        "was compiled by another version of palisade or for another processor: run `palisade plugin compile` of this version on it ({0})"
    )]
    OtherCode(String),
    /// Machine code runs unchecked, and others could have written this.
    #[error(
        "is machine code that others could have written: {} has the owner {owner} and the mode {mode:o}; it must be root's or this \
         user's and writable by its owner alone, or the file signed by one of `trusted_keys`",
        path.display()
    )]
    CodeOfOthers {
        /// The file, or its folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
    /// The compiler does not take it.
    #[error("does not compile: {0}")]
    Compile(String),
    /// An import or export has a type that is not the contract's.
    #[error("does not fit the plugin contract: {0}")]
    Type(String),
    /// It cannot even start within its limits.
    #[error("cannot start within its limits: {0}")]
    Start(String),
    /// The compiler, or what comes before it, gave up on it in disorder. The host is none the worse for it.
    #[error("cannot be loaded: what reads it failed on it ({0})")]
    Panicked(String),
    /// It does not take its settings.
    #[error("refuses its configuration: {0}")]
    Refused(String),
    /// It failed while it was configured.
    #[error("failed while it was configured: {0}")]
    Configure(palisade_contract::Failure),
}

/// How a capability is granted in a configuration.
fn grant(capability: Capability) -> String {
    match capability {
        Capability::Fetch => "{ fetch = [\"UPSTREAM\"] }".to_owned(),
        Capability::Metrics | Capability::Shared | Capability::Tls => format!("{:?}", capability.name()),
    }
}

// Not `#[from]`: the sentence tells the cause already, and it would be told twice.
impl From<std::io::Error> for Reason {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}
