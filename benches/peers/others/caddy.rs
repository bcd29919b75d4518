//! Caddy, on one processor; the rules are its request matchers'.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use super::{Rules, of_python};
use crate::peer::{Kind, Place};
use crate::rules;

#[derive(Debug)]
pub(super) struct Caddy {
    pub(super) rules: Rules,
}

impl Kind for Caddy {
    fn name(&self) -> String {
        "Caddy".to_owned()
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let [a, b] = origins;
        let rules = if self.rules == Rules::None { String::new() } else { rules() };
        let (chain, key) = (place.chain().display().to_string(), place.key().display().to_string());
        let text = format!(
            "{{\nadmin off\nauto_https off\nservers {{\nprotocols h1 h2 h3\n}}\n}}\nhttps://:{port} {{\nbind 127.0.0.1\n\
             tls {chain} {key}\n{rules}reverse_proxy {a} {b} {{\nlb_policy round_robin\ntransport http {{\n\
             keepalive_idle_conns_per_host 128\n}}\n}}\n}}\n"
        );
        let file = place.folder.join("Caddyfile");
        fs::write(&file, text)?;
        let words = ["run", "--adapter", "caddyfile", "--config"].map(str::to_owned);
        Ok((of_python("caddy"), words.into_iter().chain([file.display().to_string()]).collect()))
    }

    fn has_rules(&self) -> bool {
        self.rules != Rules::None
    }
}

fn rules() -> String {
    let networks = rules::networks().join(" ");
    let prefixes = rules::PREFIXES.map(|prefix| format!("{prefix}*")).join(" ");
    let methods = rules::METHODS.join(" ");
    format!(
        "@denied remote_ip {networks}\nrespond @denied 403\n@admin path {prefixes}\nrespond @admin 403\n\
         @writes {{\nmethod {methods}\nhost *{}\n}}\nrespond @writes 403\n\
         @scripts path_regexp {}\nrespond @scripts 403\n\
         @scanners header_regexp User-Agent (?i){}\nrespond @scanners 403\n",
        rules::DOMAIN,
        rules::SCRIPTS,
        rules::AGENTS
    )
}
