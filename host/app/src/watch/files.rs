//! The files that a configuration is made of: those that it names, and those in its folder of plugins.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use palisade_config::{CertificateFiles, Config, ListenerTls};

/// What is to be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    named: BTreeSet<PathBuf>,
    /// Folders in which every plugin's file counts, whether it is there now or not.
    folders: BTreeSet<PathBuf>,
}

impl Files {
    /// One file alone.
    pub(crate) fn one(file: &Path) -> Self {
        Self { named: BTreeSet::from([file.to_owned()]), ..Self::default() }
    }

    /// The configuration itself, its plugins, its certificates, keys and authorities.
    pub(crate) fn of(config: &Config) -> Self {
        let mut files = Self::one(&config.file);
        files.folders.extend(config.plugins_dir.clone());
        let of_listeners = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        files.named.extend(of_listeners.flat_map(ListenerTls::files).cloned());
        for tls in config.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()) {
            files.named.extend(tls.ca.clone());
            tls.certificate.iter().for_each(|certificate| files.certificate(certificate));
        }
        files
    }

    fn certificate(&mut self, CertificateFiles { chain, key }: &CertificateFiles) {
        self.named.extend([chain.clone(), key.clone()]);
    }

    /// These and the others.
    pub(crate) fn with(mut self, others: Self) -> Self {
        self.named.extend(others.named);
        self.folders.extend(others.folders);
        self
    }

    /// Every file, as the folders are now.
    pub(crate) fn paths(&self) -> BTreeSet<PathBuf> {
        let mut paths = self.named.clone();
        for folder in &self.folders {
            let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            paths.extend(entries.map(|entry| entry.path()).filter(|path| module_of(path).is_some()));
        }
        paths
    }

    /// The folders that these files are in.
    pub(crate) fn places(&self) -> BTreeSet<PathBuf> {
        let parent = |file: &PathBuf| match file.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        self.named.iter().map(parent).chain(self.folders.iter().cloned()).collect()
    }
}

/// The module that a plugin's file, or its signature, belongs to. Hidden files are somebody's half-written ones.
pub(crate) fn module_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".sig").unwrap_or(name);
    let module = name.strip_suffix(".cwasm").or_else(|| name.strip_suffix(".wasm"))?;
    (!module.is_empty() && !module.starts_with('.')).then(|| module.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_file_and_its_signature_are_of_one_module() {
        for (path, expected) in [
            ("plugins/tag.wasm", Some("tag")),
            ("tag.wasm.sig", Some("tag")),
            ("a.b.wasm", Some("a.b")),
            ("tag.cwasm", Some("tag")),
            ("tag.cwasm.sig", Some("tag")),
            (".tag.wasm", None),
            (".wasm", None),
            ("tag.sig", None),
            ("tag.wasm.part", None),
        ] {
            assert_eq!(module_of(Path::new(path)).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn everything_that_a_configuration_names_is_looked_at() {
        let text = r#"
            plugins_dir = "plugins"
            upstream.web.endpoints = ["127.0.0.1:1"]
            upstream.web.tls = { ca = "ca.pem", server_name = "web", certificate = { chain = "edge.pem", key = "edge.key" } }
            [[listener]]
            name = "public"
            bind = "127.0.0.1:0"
            tls = { certificates = [{ chain = "a.pem", key = "/etc/a.key", ocsp = "a.ocsp" }] }
            route = [{ upstream = "web" }]
        "#;
        let config = Config::parse(text, Path::new("conf/palisade.toml")).expect("a good config");
        let files = Files::of(&config);
        let expected = [
            "/etc/a.key",
            "conf/a.ocsp",
            "conf/a.pem",
            "conf/ca.pem",
            "conf/edge.key",
            "conf/edge.pem",
            "conf/palisade.toml",
        ];
        assert_eq!(files.paths(), expected.map(PathBuf::from).into());
        assert_eq!(files.places(), ["/etc", "conf", "conf/plugins"].map(PathBuf::from).into());
        let bare = Config::parse(text, Path::new("palisade.toml")).expect("a good config");
        assert!(Files::of(&bare).places().contains(Path::new(".")));
    }
}
