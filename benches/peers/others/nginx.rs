//! nginx, with its native rules: `geo` for networks, `map` for the rest; or with Lua.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use benches::Share;

use super::Rules;
use crate::peer::{Kind, Place};
use crate::rules;

#[derive(Debug)]
pub(super) struct Nginx {
    rules: Rules,
    workers: u32,
    share: Share,
}

impl Nginx {
    pub(super) fn one(rules: Rules) -> Self {
        Self { rules, workers: 1, share: Share::One }
    }

    pub(super) fn on_all_cores(workers: u32) -> Self {
        Self { rules: Rules::None, workers, share: Share::All }
    }
}

/// What the rules add: modules, to the whole of HTTP, to the server.
#[derive(Default)]
struct Parts {
    modules: String,
    http: String,
    server: String,
}

impl Kind for Nginx {
    fn name(&self) -> String {
        match (self.share, self.rules) {
            (Share::All, _) if self.workers == 1 => "nginx, 1 worker".to_owned(),
            (Share::All, _) => format!("nginx, {} workers", self.workers),
            (Share::One, Rules::Lua) => "nginx, Lua".to_owned(),
            (Share::One, _) => "nginx".to_owned(),
        }
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let [a, b] = origins;
        let Parts { modules, http, server } = match self.rules {
            Rules::None => Parts::default(),
            Rules::Native => native(),
            Rules::Lua => lua(place)?,
            Rules::Wasm => bail!("nginx has no Wasm"),
        };
        let folder = place.folder.display();
        let (chain, key) = (place.chain().display().to_string(), place.key().display().to_string());
        let text = format!(
            "{modules}worker_processes {};\ndaemon off;\npid {folder}/nginx{port}.pid;\nerror_log {folder}/nginx-error.log;\n\
             events {{ worker_connections 12000; }}\nhttp {{\naccess_log off;\nkeepalive_requests 100000000;\n\
             client_body_temp_path {folder}/nginx-body;\nproxy_temp_path {folder}/nginx-proxy;\n\
             client_body_buffer_size 128k;\nproxy_buffers 16 16k;\nproxy_max_temp_file_size 0;\nssl_session_tickets off;\nssl_protocols TLSv1.2 TLSv1.3;\n\
             upstream origin {{ server {a}; server {b}; keepalive 128; keepalive_requests 100000000; }}\n{http}\
             server {{\nlisten 127.0.0.1:{port} ssl http2;\nssl_certificate {chain};\nssl_certificate_key {key};\n{server}\
             location / {{\nproxy_pass http://origin;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
             proxy_set_header Host $host;\nproxy_set_header X-Forwarded-For $remote_addr;\n}}\n}}\n}}\n",
            self.workers
        );
        let file = place.folder.join(format!("nginx-{:?}-{}.conf", self.rules, self.workers));
        fs::write(&file, text)?;
        let words = ["-c".to_owned(), file.display().to_string(), "-p".to_owned(), folder.to_string()];
        Ok((PathBuf::from("nginx"), words.into()))
    }

    fn share(&self) -> Share {
        self.share
    }

    fn has_rules(&self) -> bool {
        self.rules != Rules::None
    }
}

fn native() -> Parts {
    let mut http = "geo $denied {\ndefault 0;\n".to_owned();
    for network in rules::networks() {
        let _ = writeln!(http, "{network} 1;"); // A string takes everything.
    }
    let prefixes = rules::PREFIXES.join("|");
    let methods = rules::METHODS.join("|");
    let domain = rules::DOMAIN.replace('.', "\\.");
    let _ = write!(
        http,
        "}}\nmap $uri $bad_path {{ default 0; ~^({prefixes}) 1; \"~{}\" 1; }}\n\
         map \"$request_method $host\" $bad_write {{ default 0; \"~^({methods}) .*{domain}$\" 1; }}\n\
         map $http_user_agent $bad_agent {{ default 0; \"~*{}\" 1; }}\n",
        rules::SCRIPTS,
        rules::AGENTS
    );
    let checks = ["$denied", "$bad_path", "$bad_write", "$bad_agent"];
    Parts { server: checks.map(|check| format!("if ({check}) {{ return 403; }}\n")).concat(), http, ..Parts::default() }
}

/// Where Debian has the modules.
const MODULES: &str = "/usr/lib/nginx/modules";

fn lua(place: &Place) -> Result<Parts> {
    let file = place.folder.join("rules.lua");
    fs::write(&file, rules::lua())?;
    Ok(Parts {
        modules: format!("load_module {MODULES}/ndk_http_module.so;\nload_module {MODULES}/ngx_http_lua_module.so;\n"),
        http: format!("lua_shared_dict counts 1m;\ninit_by_lua_file {};\n", file.display()),
        server: "access_by_lua_block {\n\
                 if denied(ngx.var.remote_addr, ngx.var.uri, ngx.req.get_method(), ngx.var.host, ngx.var.http_user_agent or \"\") then\n\
                 return ngx.exit(403)\nend\nngx.shared.counts:incr(\"passed\", 1, 0)\n}\n"
            .to_owned(),
    })
}
