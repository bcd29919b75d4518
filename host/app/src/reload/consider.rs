//! What is on disk goes in; what of it can be served comes out, and what is wrong with the rest.
//!
//! First everything is tried as it stands. A configuration that is worse than the one that is served is left alone as a
//! whole, and the one that is served is tried with the plugins as they are now: a bad text keeps no plugin from being
//! replaced, and what was replaced last has both tried together again.

use std::collections::BTreeSet;

use palisade_config::Config;
use palisade_proxy::Running;

use crate::generation::{Generation, Written, told};
use crate::loader::{From, Loader};
use crate::plugins::Plugins;
use crate::watch::{Files, Look, module_of};

/// A configuration with plugins that can be served.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) written: Written,
    pub(crate) plugins: Plugins,
    /// What of it stays as it was read before, and why.
    pub(crate) kept: Vec<String>,
}

/// What is to be considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    /// The configuration stays as it is served.
    Plugins,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Considered {
    /// None where all has to stay as it is.
    pub(crate) candidate: Option<Candidate>,
    /// What is not as it stands on disk, and why.
    pub(crate) problems: Vec<String>,
    /// What a change of would have to be considered.
    pub(crate) files: Files,
}

/// Considers what is on disk in the place of what is served. Takes its time: never on a worker.
///
/// Where the proxy is at work, what it has read before stands in for certificates that have gone bad.
pub(crate) fn consider(
    loader: &Loader,
    (served, proxy): (&Generation, Option<&Running>),
    look: &Look,
    scope: Scope,
) -> Considered {
    let unfinished = look.unfinished.iter().filter_map(|path| module_of(path)).collect();
    let attempt = Attempt { loader, served, proxy, unfinished: &unfinished };
    let own = &served.written;
    let mut files = Files::of(&own.config);
    let mut problems: Vec<String> = look
        .restless
        .iter()
        .map(|path| {
            format!("{} does not stop changing: it is looked at when it was still for a moment", path.display())
        })
        .collect();
    let file = &own.config.file;
    // An embedder's own configuration may name a file that never was.
    let is_written = own.text.is_some() || file.exists();
    let is_read = is_written && scope == Scope::Everything && !look.unfinished.contains(file);
    let written = if is_read { Written::read(file) } else { Ok(own.clone()) };
    let mut candidate = None;
    match written {
        Err(error) => problems.extend(told(&error)),
        Ok(written) => {
            files = files.with(Files::of(&written.config));
            let is_own = written.config == own.config;
            match attempt.with(written) {
                Ok(good) => candidate = Some(good),
                Err(found) => problems.extend(found),
            }
            if candidate.is_none() && is_own {
                return Considered { candidate, problems, files };
            }
        }
    }
    if candidate.is_none() {
        match attempt.with(own.clone()) {
            Ok(good) => candidate = Some(good),
            Err(found) => problems.extend(found),
        }
    }
    if let Some(Candidate { written, plugins, kept }) = &candidate {
        problems.extend(plugins.problems(&written.config).into_iter().chain(kept.iter().cloned()));
    }
    Considered { candidate, problems, files }
}

struct Attempt<'a> {
    loader: &'a Loader,
    served: &'a Generation,
    proxy: Option<&'a Running>,
    unfinished: &'a BTreeSet<String>,
}

impl Attempt<'_> {
    /// # Errors
    /// In what this would be worse than what is served.
    fn with(&self, written: Written) -> Result<Candidate, Vec<String>> {
        let Generation { written: before, plugins: plugins_before, .. } = self.served;
        let from = From { folder: None, unfinished: self.unfinished };
        let config: &Config = &written.config;
        let plugins = self.loader.load(config, plugins_before, from).map_err(|error| vec![format!("{error:#}")])?;
        let mut problems = plugins.new_problems(config, (plugins_before, &before.config));
        match self.loader.check(config, &plugins, self.proxy) {
            Ok(kept) if problems.is_empty() => return Ok(Candidate { written, plugins, kept }),
            Ok(_) => {}
            Err(error) => problems.extend(error.to_string().lines().map(str::to_owned)),
        }
        Err(problems)
    }
}
