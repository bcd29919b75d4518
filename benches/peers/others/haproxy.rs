//! HAProxy, with its native rules: an ACL of a file for networks, one for each other rule, and a counter of what passed.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use crate::peer::{Kind, Place};
use crate::rules;

pub(super) struct Haproxy {
    pub(super) has_rules: bool,
}

impl Kind for Haproxy {
    fn name(&self) -> &'static str {
        "HAProxy"
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let [a, b] = origins;
        let rules = if self.has_rules { rules(place)? } else { String::new() };
        let both = place.folder.join("both.pem");
        let text = format!(
            "global\n  nbthread 1\n  maxconn 4000\n  tune.ssl.default-dh-param 2048\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  option http-keep-alive\n\
             frontend public\n  bind 127.0.0.1:{port} ssl crt {} alpn h2,http/1.1\n  option forwardfor\n{rules}  default_backend web\n\
             backend web\n  balance roundrobin\n  http-reuse always\n  server a {a}\n  server b {b}\n",
            both.display()
        );
        let file = place.folder.join("haproxy.cfg");
        fs::write(&file, text)?;
        Ok((PathBuf::from("haproxy"), ["-db".to_owned(), "-f".to_owned(), file.display().to_string()].into()))
    }
}

fn rules(place: &Place) -> Result<String> {
    let file = place.folder.join("denied.lst");
    fs::write(&file, rules::networks().join("\n") + "\n")?;
    let (denied, prefixes, methods) = (file.display(), rules::PREFIXES.join(" "), rules::METHODS.join(" "));
    let (domain, scripts, agents) = (rules::DOMAIN, rules::SCRIPTS.replace('\\', "\\\\"), rules::AGENTS);
    Ok(format!(
        "  stick-table type ip size 1m expire 1h store gpc0\n  http-request track-sc0 dst\n\
         \x20 acl denied src -f {denied}\n  http-request deny if denied\n\
         \x20 http-request deny if {{ path_beg {prefixes} }}\n\
         \x20 http-request deny if {{ method {methods} }} {{ hdr(host) -m end {domain} }}\n\
         \x20 http-request deny if {{ path_reg {scripts} }}\n\
         \x20 http-request deny if {{ hdr(user-agent) -m reg -i {agents} }}\n\
         \x20 http-request sc-inc-gpc0(0)\n"
    ))
}
