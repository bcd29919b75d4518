//! Configurations that are wrong, through the command that operators run.

mod loads;
mod texts;
mod usage;

use harness::{Ended, Folder, Form, Site, bytes_of, run_command};

/// A configuration in which nothing is wrong.
const GOOD: &str = r#"plugins_dir = "plugins"
cache_dir   = "CACHE"

[plugin.wall]
module   = "firewall"
grant    = ["metrics"]
settings = { deny = ["203.0.113.0/24"] }

[upstream.web]
endpoints = ["127.0.0.1:3001"]

[[listener]]
name  = "public"
bind  = "127.0.0.1:8443"
tls   = { certificates = [{ chain = "site.pem", key = "site.key" }] }
chain = ["wall"]

[[listener.route]]
host     = "www.example.test"
upstream = "web"
"#;

/// A folder with certificates, the firewall, and the good configuration with these changes: each text in it, and what
/// stands there instead.
fn folder(changes: &[(&str, &str)]) -> Folder {
    let (folder, _) = Site::new().file("plugins/firewall.wasm", bytes_of("firewall", Form::Module)).write();
    let mut config = GOOD.to_owned();
    for (text, instead) in changes {
        assert!(config.contains(text), "{text}");
        config = config.replacen(text, instead, 1);
    }
    let cache = harness::cache();
    folder.write("palisade.toml", config.replace("CACHE", &cache.display().to_string()));
    folder
}

/// Runs `palisade check palisade.toml` in a folder.
async fn check(folder: &Folder) -> Ended {
    run_command("palisade", &["check", "palisade.toml"], folder.path()).await
}
