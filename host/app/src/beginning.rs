//! What a host begins with: what is on disk, or where that is bad what was last good.

use std::path::Path;
use std::sync::Arc;

use palisade_config::Config;

use crate::generation::{Generation, Written};
use crate::last_good::{Kept, LastGood};
use crate::loader::{From, Loader};
use crate::plugins::Plugins;
use crate::reload::{Scope, consider};
use crate::watch::{Files, Look, Watch};

/// A configuration that a host is to begin with.
pub(crate) struct Beginning {
    written: Written,
    disk: Disk,
    pub(crate) last_good: Option<LastGood>,
    pub(crate) watch: Watch,
}

/// Whether the configuration is the one that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Good,
    Bad,
}

/// What can be served.
#[derive(Debug)]
pub(crate) struct First {
    pub(crate) written: Written,
    pub(crate) plugins: Plugins,
    pub(crate) problems: Vec<String>,
}

impl Beginning {
    /// An embedder's own configuration.
    pub(crate) fn of(config: Config) -> Self {
        let watch = Watch::new(Files::of(&config));
        Self { written: Written::of(config), disk: Disk::Good, last_good: None, watch }
    }

    /// The configuration in this file, or the copy of it that was last good.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, where there is no copy.
    pub(crate) fn read(file: &Path, last_good: Option<LastGood>) -> anyhow::Result<Self> {
        let mut watch = Watch::new(Files::one(file));
        let (written, disk) = match Written::read(file) {
            Ok(written) => (written, Disk::Good),
            Err(error) => match last_good.as_ref().and_then(|last_good| last_good.read(file)) {
                Some(kept) => (kept.written, Disk::Bad),
                None => return Err(error.into()),
            },
        };
        watch.expect(Files::of(&written.config));
        Ok(Self { written, disk, last_good, watch })
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.written.config
    }

    /// Loads it. Takes its time: never on a worker.
    ///
    /// # Errors
    /// There can be no plugins here.
    pub(crate) fn load(self, loader: &Loader) -> anyhow::Result<(First, Watch, Option<LastGood>)> {
        let Self { written, disk, last_good, watch } = self;
        let plugins = loader.load(&written.config, &Plugins::default(), From::OWN_FOLDER)?;
        let is_good = disk == Disk::Good
            && plugins.failed().next().is_none()
            && loader.check(&written.config, &plugins, None).is_ok();
        let kept =
            if is_good { None } else { last_good.as_ref().and_then(|last_good| last_good.read(&written.config.file)) };
        let first = match kept.and_then(|kept| from(loader, kept)) {
            Some(first) => first,
            None => First { problems: plugins.problems(&written.config), written, plugins },
        };
        Ok((first, watch, last_good))
    }
}

/// What a host would serve that was serving the copy, and came upon what is on disk now. None where the copy itself is bad.
fn from(loader: &Loader, kept: Kept) -> Option<First> {
    let copy = From { folder: Some(&kept.plugins), ..From::OWN_FOLDER };
    let plugins = loader.load(&kept.written.config, &Plugins::default(), copy).ok()?;
    let is_good = plugins.failed().next().is_none() && loader.check(&kept.written.config, &plugins, None).is_ok();
    is_good.then(|| {
        let served = Generation { number: 0, written: kept.written, plugins };
        let considered = consider(loader, (&served, None), &Look::default(), Scope::Everything);
        let problems = considered.problems;
        match considered.candidate {
            Some(candidate) => First { written: candidate.written, plugins: candidate.plugins, problems },
            None => First { written: served.written, plugins: served.plugins, problems },
        }
    })
}
