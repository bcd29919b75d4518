//! nginx, with its native rules: `geo` for networks, `map` for the rest.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;

use crate::peer::{Kind, Place};
use crate::rules;

pub(super) struct Nginx {
    pub(super) has_rules: bool,
}

impl Kind for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn prepare(&self, place: &Place, port: u16, origins: [SocketAddr; 2]) -> Result<(PathBuf, Vec<String>)> {
        let [a, b] = origins;
        let (maps, checks) = if self.has_rules { rules() } else { Default::default() };
        let folder = place.folder.display();
        let (chain, key) = (place.chain().display().to_string(), place.key().display().to_string());
        let text = format!(
            "worker_processes 1;\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx-error.log;\n\
             events {{ worker_connections 8192; }}\nhttp {{\naccess_log off;\nkeepalive_requests 100000000;\n\
             client_body_temp_path {folder}/nginx-body;\nproxy_temp_path {folder}/nginx-proxy;\n\
             client_body_buffer_size 128k;\nproxy_buffers 16 16k;\nssl_session_tickets off;\nssl_protocols TLSv1.2 TLSv1.3;\n\
             upstream origin {{ server {a}; server {b}; keepalive 128; keepalive_requests 100000000; }}\n{maps}\
             server {{\nlisten 127.0.0.1:{port} ssl http2;\nssl_certificate {chain};\nssl_certificate_key {key};\n{checks}\
             location / {{\nproxy_pass http://origin;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
             proxy_set_header Host $host;\nproxy_set_header X-Forwarded-For $remote_addr;\n}}\n}}\n}}\n"
        );
        let file = place.folder.join("nginx.conf");
        fs::write(&file, text)?;
        let words = ["-c".to_owned(), file.display().to_string(), "-p".to_owned(), folder.to_string()];
        Ok((PathBuf::from("nginx"), words.into()))
    }
}

fn rules() -> (String, String) {
    let mut maps = "geo $denied {\ndefault 0;\n".to_owned();
    for network in rules::networks() {
        let _ = writeln!(maps, "{network} 1;"); // A string takes everything.
    }
    let prefixes = rules::PREFIXES.join("|");
    let methods = rules::METHODS.join("|");
    let domain = rules::DOMAIN.replace('.', "\\.");
    let _ = write!(
        maps,
        "}}\nmap $uri $bad_path {{ default 0; ~^({prefixes}) 1; \"~{}\" 1; }}\n\
         map \"$request_method $host\" $bad_write {{ default 0; \"~^({methods}) .*{domain}$\" 1; }}\n\
         map $http_user_agent $bad_agent {{ default 0; \"~*{}\" 1; }}\n",
        rules::SCRIPTS,
        rules::AGENTS
    );
    let checks = ["$denied", "$bad_path", "$bad_write", "$bad_agent"];
    (maps, checks.map(|check| format!("if ({check}) {{ return 403; }}\n")).concat())
}
