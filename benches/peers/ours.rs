//! Ourselves, with and without plugins, and the bare proxy of the same libraries.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use benches::Share;

use crate::load::Load;
use crate::peer::{Kind, Place};
use crate::{bare, rules};

/// The word by which this program knows that it is to be the command `palisade`.
pub(crate) const COMMAND: &str = "palisade";

/// Those for this load.
pub(crate) fn of(load: Load) -> Vec<Box<dyn Kind>> {
    let mut all: Vec<Box<dyn Kind>> = Vec::new();
    let protocols = if load == Load::Http3 { r#""h1", "h2", "h3""# } else { r#""h1", "h2""# };
    match load {
        Load::Workers => {
            for workers in [1, 2, 4] {
                all.push(Box::new(Palisade { workers, share: Share::All, ..Palisade::plain() }));
                all.push(Box::new(Palisade { workers, share: Share::All, ..Palisade::with_plugins() }));
            }
            return all;
        }
        Load::Http3 => {}
        _ => all.push(Box::new(Bare)),
    }
    all.push(Box::new(Palisade { protocols, ..Palisade::plain() }));
    if matches!(load, Load::Http2 | Load::Rules | Load::Http3) {
        all.push(Box::new(Palisade { protocols, ..Palisade::with_plugins() }));
    }
    if load == Load::Rules {
        // How far it is from the first is what the machine's noise makes of nothing.
        all.push(Box::new(Palisade { again: ", again", ..Palisade::plain() }));
    }
    all
}

/// A proxy of the same libraries, which does nothing else.
#[derive(Debug)]
struct Bare;

impl Kind for Bare {
    fn name(&self) -> String {
        "bare hyper".to_owned()
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let file = |path: PathBuf| path.display().to_string();
        let mut words = vec![bare::COMMAND.to_owned(), port.to_string(), file(place.chain()), file(place.key())];
        words.extend(origins.map(|origin| origin.to_string()));
        Ok((std::env::current_exe().context("this program has no place")?, words))
    }
}

/// Ourselves.
#[derive(Debug)]
pub(crate) struct Palisade {
    has_plugins: bool,
    workers: u32,
    share: Share,
    protocols: &'static str,
    again: &'static str,
}

impl Palisade {
    pub(crate) fn plain() -> Self {
        Self { has_plugins: false, workers: 1, share: Share::One, protocols: r#""h1", "h2""#, again: "" }
    }

    pub(crate) fn with_plugins() -> Self {
        Self { has_plugins: true, ..Self::plain() }
    }

    fn config(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> String {
        let [a, b] = origins;
        let quoted = |list: &[String]| list.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
        let strings = |list: &[&str]| quoted(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
        let chain = if self.has_plugins { r#"chain  = ["edge-firewall", "balance", "qps"]"# } else { "" };
        let plugins = if self.has_plugins { include_str!("plugins.toml") } else { "" };
        include_str!("palisade.toml")
            .replace("THE-PLUGINS", plugins)
            .replace(
                "FOLDER",
                &place.folder.join(if self.has_plugins { "plugins" } else { "none" }).display().to_string(),
            )
            .replace("PROTOCOLS", self.protocols)
            .replace("THE-CHAIN", chain)
            .replace("WORKERS", &self.workers.to_string())
            .replace("PORT", &port.to_string())
            .replace("NETWORKS", &quoted(&rules::networks()))
            .replace("PREFIXES", &strings(&rules::PREFIXES))
            .replace("METHODS", &strings(&rules::METHODS))
            .replace("DOMAIN", rules::DOMAIN)
            .replace("SCRIPTS", rules::SCRIPTS)
            .replace("AGENTS", rules::AGENTS)
            .replace("ORIGIN-A", &a.to_string())
            .replace("ORIGIN-B", &b.to_string())
    }
}

impl Kind for Palisade {
    fn name(&self) -> String {
        let plugins = if self.has_plugins { ", 3 plugins" } else { "" };
        let workers = match (self.share, self.workers) {
            (Share::One, _) => String::new(),
            (Share::All, 1) => ", 1 worker".to_owned(),
            (Share::All, workers) => format!(", {workers} workers"),
        };
        format!("Palisade{plugins}{workers}{}", self.again)
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let file = place.folder.join(self.name().replace([',', ' '], "-") + ".toml");
        fs::write(&file, self.config(place, port, origins))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let (program, first) = place.palisade()?;
        let words = ["run".to_owned(), "--no-last-good".to_owned(), file.display().to_string()];
        Ok((program, first.into_iter().map(str::to_owned).chain(words).collect()))
    }

    fn share(&self) -> Share {
        self.share
    }

    fn has_rules(&self) -> bool {
        self.has_plugins
    }
}
