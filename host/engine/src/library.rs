//! Every plugin file of a folder, and every configured plugin made of them, from one look at the folder to the next.
//!
//! What is the same is the same plugin, with its instances. What is worse than before is an error, and the version from
//! before goes on: it is held in memory, so nothing needs the file that it was made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use palisade_config::TrustedKeys;

use crate::compiler::ENDINGS;
use crate::parallel::in_parallel;
use crate::version::{Finding, Use, Version, contained};
use crate::{Account, Engine, LoadError, Manifest, Plugin, Reason};

/// A folder of plugins at one time.
#[derive(Debug)]
pub struct Folder<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// The keys of which one must have signed each file; without any, files need no signature.
    pub trusted: &'a TrustedKeys,
    /// The modules whose files somebody is still writing: they are not looked at, and what was loaded of them before goes
    /// on.
    pub unfinished: &'a BTreeSet<String>,
}

/// Every plugin file of a folder, and every configured plugin. One bad file is one error about that file.
#[derive(Debug, Default)]
pub struct Library {
    /// Every `.wasm` of the folder, by name.
    pub files: Vec<File>,
    /// In the order of the configuration: each plugin, or why there is none.
    pub plugins: Vec<Result<Plugin, LoadError>>,
    /// Why what the folder holds now of a plugin is not what runs. An earlier version does, and is in `plugins`.
    pub refused: Vec<LoadError>,
    findings: BTreeMap<String, Finding>,
    /// In the order of `plugins`: what each is made of.
    versions: Vec<Option<Arc<Version>>>,
    /// The last good version of each file that a plugin is made of.
    good: BTreeMap<String, Arc<Version>>,
    /// By the plugins' names, those that are gone included: what was counted once is never counted anew.
    accounts: BTreeMap<String, Account>,
}

/// One `.wasm` of the folder.
#[derive(Debug)]
pub struct File {
    /// The file's stem, which configurations name.
    pub module: String,
    /// Where it is.
    pub path: PathBuf,
    /// The name of the trusted key that signed it; none where no key is asked for, or it is not believed.
    pub signed_by: Option<String>,
    /// What it says of itself, or what is wrong with it.
    pub manifest: Result<Manifest, String>,
}

impl Library {
    /// Loads every `.wasm` of the folder that these keys have signed, if there are any, and configures the plugins, on as
    /// many threads as the machine has cores.
    ///
    /// # Errors
    /// The folder cannot be read. What is wrong with single files is in the result.
    pub fn load(
        engine: &Engine,
        folder: &Path,
        trusted: &TrustedKeys,
        configs: &[palisade_config::Plugin],
    ) -> std::io::Result<Self> {
        let folder = Folder { path: folder, trusted, unfinished: &BTreeSet::new() };
        Self::default().next(engine, &folder, configs)
    }

    /// Looks at the folder again, and makes of it what this configuration wants. This library stays as it is.
    ///
    /// A plugin is the same one where its file holds the same bytes and its configuration says the same. Another one of the
    /// same name goes on with its account. Where a file is bad or gone, or refuses a plugin's settings, the version from
    /// before is used, if the keys that are trusted now vouch for it and it takes the settings as they are now.
    ///
    /// # Errors
    /// The folder cannot be read. What is wrong with single files is in the result.
    pub fn next(
        &self,
        engine: &Engine,
        folder: &Folder<'_>,
        configs: &[palisade_config::Plugin],
    ) -> std::io::Result<Self> {
        let found = files(folder.path)?;
        let stack_bytes = engine.options.stack_bytes + LOADER_STACK_BYTES;
        let used: BTreeSet<&str> = configs.iter().map(|config| config.module.as_str()).collect();
        let findings = in_parallel(stack_bytes, &found, |(module, path)| {
            let before = self.findings.get(module);
            if folder.unfinished.contains(module) {
                return before.cloned().unwrap_or_else(Finding::unfinished);
            }
            let used = if used.contains(module.as_str()) { Use::Some } else { Use::None };
            Finding::of(engine, path, folder.trusted, (used, before))
        });
        let findings = found.iter().map(|(module, _)| module.clone()).zip(findings).collect();
        let mut accounts = self.accounts.clone();
        let accounted: Vec<_> =
            configs.iter().map(|config| (config, accounts.entry(config.name.clone()).or_default().clone())).collect();
        let look = Look { engine, folder, findings: &findings, now: engine.services.clock.wall() };
        let standings = in_parallel(stack_bytes, &accounted, |(config, account)| self.standing(&look, config, account));
        // A file that nobody has looked at yet is nothing to tell of.
        let found = found.into_iter().filter(|(module, _)| findings.get(module).is_some_and(Finding::is_known));
        let files = found.filter_map(|(module, path)| file(module, path, &findings));
        let mut next =
            Self { files: files.collect(), accounts, good: self.good_now(&findings, &used), ..Self::default() };
        next.findings = findings;
        for standing in standings {
            next.refused.extend(standing.refused);
            next.plugins.push(standing.plugin);
            next.versions.push(standing.version);
        }
        Ok(next)
    }

    /// No plugin at all, for now: the accounts stay.
    #[must_use]
    pub fn without_plugins(&self) -> Self {
        Self { accounts: self.accounts.clone(), ..Self::default() }
    }

    /// The bytes and the signature of the file of this name, where every plugin of it runs in the version that the folder
    /// holds.
    #[must_use]
    pub fn good_file(&self, module: &str) -> Option<(&[u8], Option<&str>)> {
        let version = self.findings.get(module)?.version()?;
        let mut of_file = self.plugins.iter().zip(&self.versions).filter_map(|(plugin, running)| {
            let named = match plugin {
                Ok(plugin) => &plugin.config().module,
                Err(failed) => &failed.module,
            };
            (named == module).then_some(running.as_ref())
        });
        let runs = |running: Option<&Arc<Version>>| running.is_some_and(|running| running.is_same_file(version));
        of_file.all(runs).then(|| version.contents())
    }

    /// What becomes of one plugin.
    fn standing(&self, look: &Look<'_>, config: &palisade_config::Plugin, account: &Account) -> Standing {
        let found = look.findings.get(&config.module);
        let version = found.map_or_else(|| Err(Arc::new(Reason::Missing)), Finding::used);
        let made = |version: &Arc<Version>| match self.unchanged(config, version) {
            Some(plugin) => Ok(plugin),
            None => contained(|| Plugin::of_account(look.engine, &version.module, config, account)).map_err(Arc::new),
        };
        let reason = match &version {
            Ok(version) => match made(version) {
                Ok(plugin) => return Standing::good(plugin, version),
                Err(reason) => reason,
            },
            Err(reason) => reason.clone(),
        };
        let earlier = self.earlier(config).filter(|earlier| earlier.is_trusted(look.folder.trusted, look.now));
        match earlier.map(|earlier| (made(earlier), earlier)) {
            Some((Ok(plugin), earlier)) => {
                let refused = Some(look.error(config, &reason));
                Standing { refused, ..Standing::good(plugin, earlier) }
            }
            // The file's own fault is told with the file.
            Some((Err(refusal), _)) if version.is_err() => Standing::none(look.error(config, &refusal)),
            Some((Err(_), _)) | None => Standing::none(look.error(config, &reason)),
        }
    }

    /// The plugin that this configuration and file have made already.
    fn unchanged(&self, config: &palisade_config::Plugin, version: &Version) -> Option<Plugin> {
        let (plugin, running) = self.running(&config.name)?;
        (plugin.config() == config && running.is_same_file(version)).then(|| plugin.clone())
    }

    /// The version that the plugin runs in, or else the last good one of its file.
    fn earlier(&self, config: &palisade_config::Plugin) -> Option<&Arc<Version>> {
        let own = self.running(&config.name).filter(|(plugin, _)| plugin.config().module == config.module);
        own.map(|(_, version)| version).or_else(|| self.good.get(&config.module))
    }

    fn running(&self, name: &str) -> Option<(&Plugin, &Arc<Version>)> {
        let mut running = self.plugins.iter().zip(&self.versions);
        running.find_map(|(plugin, version)| {
            let plugin = plugin.as_ref().ok().filter(|plugin| plugin.config().name == name)?;
            Some((plugin, version.as_ref()?))
        })
    }

    fn good_now(&self, findings: &BTreeMap<String, Finding>, used: &BTreeSet<&str>) -> BTreeMap<String, Arc<Version>> {
        let version = |module: &&str| {
            let found = findings.get(*module).and_then(Finding::version);
            let version = found.or_else(|| self.good.get(*module))?;
            Some(((*module).to_owned(), version.clone()))
        };
        used.iter().filter_map(version).collect()
    }
}

/// Stack of a loading thread beside what guests may use: the compiler's.
const LOADER_STACK_BYTES: usize = 4 << 20;

/// One look at the folder.
struct Look<'a> {
    engine: &'a Engine,
    folder: &'a Folder<'a>,
    findings: &'a BTreeMap<String, Finding>,
    now: SystemTime,
}

impl Look<'_> {
    fn error(&self, config: &palisade_config::Plugin, reason: &Arc<Reason>) -> LoadError {
        let version = self.findings.get(&config.module).and_then(Finding::version);
        let [first, second] = ENDINGS.map(|ending| self.folder.path.join(format!("{}.{ending}", config.module)));
        LoadError {
            plugin: config.name.clone(),
            module: config.module.clone(),
            file: if second.exists() && !first.exists() { second } else { first },
            phases: version.map(|version| version.module.manifest().phases),
            reason: reason.clone(),
        }
    }
}

/// What became of one plugin.
struct Standing {
    plugin: Result<Plugin, LoadError>,
    version: Option<Arc<Version>>,
    refused: Option<LoadError>,
}

impl Standing {
    fn good(plugin: Plugin, version: &Arc<Version>) -> Self {
        Self { plugin: Ok(plugin), version: Some(version.clone()), refused: None }
    }

    fn none(error: LoadError) -> Self {
        Self { plugin: Err(error), version: None, refused: None }
    }
}

fn file(module: String, path: PathBuf, findings: &BTreeMap<String, Finding>) -> Option<File> {
    let finding = findings.get(&module)?;
    let manifest = finding.manifest().cloned().map_err(ToString::to_string);
    Some(File { signed_by: finding.signed_by.clone(), manifest, module, path })
}

/// The stems and paths of the folder's `.wasm` and `.cwasm` files, by name; of two with one name, the one that this build wants. Hidden files
/// are somebody's half-written ones.
fn files(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let is_plugin =
            path.extension().is_some_and(|own| ENDINGS.iter().any(|ending| own == *ending)) && path.is_file();
        if is_plugin && !stem.is_empty() && !stem.starts_with('.') {
            files.push((stem, path));
        }
    }
    let rank = |path: &Path| ENDINGS.iter().position(|ending| path.extension().is_some_and(|own| own == *ending));
    files.sort_by_cached_key(|(stem, path)| (stem.clone(), rank(path)));
    files.dedup_by(|later, first| later.0 == first.0);
    Ok(files)
}
