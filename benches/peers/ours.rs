//! Ourselves, with and without plugins, and the bare proxy of the same libraries.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::load::Load;
use crate::peer::{Kind, Place};
use crate::{bare, rules};

/// The word by which this program knows that it is to be the command `palisade`.
pub(crate) const COMMAND: &str = "palisade";

/// Those for this load.
pub(crate) fn of(load: Load) -> Vec<Box<dyn Kind>> {
    let mut all: Vec<Box<dyn Kind>> = vec![Box::new(Bare), Box::new(Palisade { has_plugins: false })];
    if load == Load::Rules {
        all.push(Box::new(Palisade { has_plugins: true }));
    }
    all
}

/// An 80-line proxy of the same libraries, which does nothing else.
struct Bare;

impl Kind for Bare {
    fn name(&self) -> &'static str {
        "bare hyper"
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let file = |path: PathBuf| path.display().to_string();
        let mut words = vec![bare::COMMAND.to_owned(), port.to_string(), file(place.chain()), file(place.key())];
        words.extend(origins.map(|origin| origin.to_string()));
        Ok((std::env::current_exe().context("this program has no place")?, words))
    }
}

struct Palisade {
    has_plugins: bool,
}

impl Kind for Palisade {
    fn name(&self) -> &'static str {
        if self.has_plugins { "Palisade, 3 plugins" } else { "Palisade" }
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let [a, b] = origins;
        let quoted = |list: &[String]| list.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
        let strings = |list: &[&str]| quoted(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
        let text = include_str!("palisade.toml")
            .replace("PLUGINS", &place.plugins.display().to_string())
            .replace("CHAIN", if self.has_plugins { r#""edge-firewall", "balance", "qps""# } else { "" })
            .replace("PORT", &port.to_string())
            .replace("NETWORKS", &quoted(&rules::networks()))
            .replace("PREFIXES", &strings(&rules::PREFIXES))
            .replace("METHODS", &strings(&rules::METHODS))
            .replace("DOMAIN", rules::DOMAIN)
            .replace("SCRIPTS", rules::SCRIPTS)
            .replace("AGENTS", rules::AGENTS)
            .replace("ORIGIN-A", &a.to_string())
            .replace("ORIGIN-B", &b.to_string());
        let name = if self.has_plugins { "plugins.toml" } else { "plain.toml" };
        let file = place.folder.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let words = [COMMAND.to_owned(), "run".to_owned(), file.display().to_string()];
        Ok((std::env::current_exe().context("this program has no place")?, words.into()))
    }
}
