//! The demo's working folder: certificate, configuration, log.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::demo::ports::Ports;
use crate::workspace::Workspace;

/// The name that the demo's certificate is for.
pub(crate) const NAME: &str = "www.foobar.com";

/// `target/demo`, made anew by each demo.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn make(workspace: &Workspace, ports: &Ports, origins: [SocketAddr; 2]) -> Result<Self> {
        let path = workspace.artifacts().join("demo");
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let folder = Self(path);
        let mut certificate = Command::new(workspace.binary("palisade"));
        command::run(certificate.args(["certificate", "--name", NAME, "--out"]).arg(&folder.0))?;
        let quickstart = workspace.root().join("examples/quickstart/palisade.toml");
        let text = fs::read_to_string(&quickstart).with_context(|| format!("cannot read {}", quickstart.display()))?;
        let plugins = workspace.artifacts().join("plugins");
        let text = fill(&text, &plugins, ports, origins)?;
        fs::write(folder.config(), text).with_context(|| format!("cannot write {}", folder.config().display()))?;
        Ok(folder)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("palisade.toml")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("palisade.log")
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.0.join("ca.pem")
    }
}

/// The quickstart's configuration with this demo's places in it.
///
/// # Errors
/// If it has none of a place that is to be filled in: then it was edited, and this was not.
fn fill(text: &str, plugins: &Path, ports: &Ports, [a, b]: [SocketAddr; 2]) -> Result<String> {
    let places = [
        ("\"../../target/plugins\"", format!("{:?}", plugins.display().to_string())),
        ("127.0.0.1:8443", format!("127.0.0.1:{}", ports.https)),
        ("port = 8443", format!("port = {}", ports.https)),
        ("127.0.0.1:8080", format!("127.0.0.1:{}", ports.redirect)),
        ("127.0.0.1:9901", format!("127.0.0.1:{}", ports.admin)),
        ("127.0.0.1:3001", a.to_string()),
        ("127.0.0.1:3002", b.to_string()),
    ];
    // By way of a mark, so that no value is taken for another place.
    let mark = |index| format!("\0{index}\0");
    let mut text = text.to_owned();
    for (index, (place, _)) in places.iter().enumerate() {
        ensure!(text.contains(place), "examples/quickstart/palisade.toml has no {place} to fill in");
        text = text.replace(place, &mark(index));
    }
    for (index, (_, value)) in places.iter().enumerate() {
        text = text.replace(&mark(index), value);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICKSTART: &str = include_str!("../../../examples/quickstart/palisade.toml");
    const ORIGINS: [&str; 2] = ["127.0.0.1:41001", "127.0.0.1:3001"];

    #[test]
    fn the_quickstart_is_filled_in_also_with_each_others_ports() {
        let ports = Ports { https: 8080, redirect: 9901, admin: 8443 };
        let filled = fill(QUICKSTART, Path::new("/p"), &ports, origins()).expect("it can be filled in");
        for line in [
            "plugins_dir = \"/p\"",
            "bind = \"127.0.0.1:8080\"",
            "bind = \"127.0.0.1:9901\"",
            "bind = \"127.0.0.1:8443\"",
            "redirect_to_https = { port = 8080 }",
            "endpoints = [\"127.0.0.1:41001\", \"127.0.0.1:3001\"]",
        ] {
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(filled.lines().any(|found| squeezed(found).starts_with(line)), "{line}\n{filled}");
        }
    }

    #[test]
    fn a_place_that_is_gone_is_named() {
        let ports = Ports { https: 1, redirect: 2, admin: 3 };
        let text = QUICKSTART.replace("127.0.0.1:9901", "[::1]:9901");
        let error = fill(&text, Path::new("/p"), &ports, origins()).expect_err("a place is missing");
        assert_eq!(error.to_string(), "examples/quickstart/palisade.toml has no 127.0.0.1:9901 to fill in");
    }

    fn origins() -> [SocketAddr; 2] {
        ORIGINS.map(|origin| origin.parse().expect("an address"))
    }
}
