//! HAProxy, with its native rules: an ACL of a file for networks, one for each other rule, and a counter of what passed; or with Lua.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::Rules;
use crate::peer::{Kind, Place};
use crate::rules;

#[derive(Debug)]
pub(super) struct Haproxy {
    pub(super) rules: Rules,
}

impl Kind for Haproxy {
    fn name(&self) -> String {
        if self.rules == Rules::Lua { "HAProxy, Lua" } else { "HAProxy" }.to_owned()
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let [a, b] = origins;
        let (global, frontend) = match self.rules {
            Rules::None => Default::default(),
            Rules::Native => (String::new(), native(place)?),
            Rules::Lua => lua(place)?,
            Rules::Wasm => bail!("HAProxy has no Wasm"),
        };
        let both = place.folder.join("both.pem");
        let text = format!(
            "global\n  nbthread 1\n  no strict-limits\n  maxconn 15000\n  tune.ssl.default-dh-param 2048\n{global}\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  option http-keep-alive\n\
             frontend public\n  bind 127.0.0.1:{port} ssl crt {} alpn h2,http/1.1\n  maxconn 15000\n  option forwardfor\n{frontend}  default_backend web\n\
             backend web\n  balance roundrobin\n  http-reuse always\n  server a {a}\n  server b {b}\n",
            both.display()
        );
        let file = place.folder.join(format!("haproxy-{:?}.cfg", self.rules));
        fs::write(&file, text)?;
        Ok((PathBuf::from("haproxy"), ["-db".to_owned(), "-f".to_owned(), file.display().to_string()].into()))
    }

    fn has_rules(&self) -> bool {
        self.rules != Rules::None
    }
}

const COUNTED: &str = "  stick-table type ip size 1m expire 1h store gpc0\n  http-request track-sc0 dst\n";

fn native(place: &Place) -> Result<String> {
    let file = place.folder.join("denied.lst");
    fs::write(&file, rules::networks().join("\n") + "\n")?;
    let (denied, prefixes, methods) = (file.display(), rules::PREFIXES.join(" "), rules::METHODS.join(" "));
    let (domain, scripts, agents) = (rules::DOMAIN, rules::SCRIPTS.replace('\\', "\\\\"), rules::AGENTS);
    Ok(format!(
        "{COUNTED}\
         \x20 acl denied src -f {denied}\n  http-request deny if denied\n\
         \x20 http-request deny if {{ path_beg {prefixes} }}\n\
         \x20 http-request deny if {{ method {methods} }} {{ hdr(host) -m end {domain} }}\n\
         \x20 http-request deny if {{ path_reg {scripts} }}\n\
         \x20 http-request deny if {{ hdr(user-agent) -m reg -i {agents} }}\n\
         \x20 http-request sc-inc-gpc0(0)\n"
    ))
}

fn lua(place: &Place) -> Result<(String, String)> {
    let file = place.folder.join("rules-haproxy.lua");
    fs::write(&file, rules::lua() + ACTION)?;
    let frontend = format!(
        "{COUNTED}  http-request lua.rules\n  http-request deny if {{ var(txn.denied) -m bool }}\n  http-request sc-inc-gpc0(0)\n"
    );
    Ok((format!("  lua-load {}\n", file.display()), frontend))
}

const ACTION: &str = r#"
core.register_action("rules", { "http-req" }, function(txn)
  local f = txn.sf
  if denied(f:src(), f:path(), f:method(), f:req_hdr("host"), f:req_hdr("user-agent")) then
    txn:set_var("txn.denied", true)
  end
end)
"#;
