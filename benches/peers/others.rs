//! Those that others have made: nginx and HAProxy of the system's packages, Envoy and Caddy of PyPI's, which have the programs.

mod caddy;
mod envoy;
mod haproxy;
mod nginx;

use std::path::PathBuf;

use crate::load::Load;
use crate::peer::Kind;

/// In what words a proxy holds the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// It holds none.
    None,
    /// In those of its configuration.
    Native,
    /// In Lua.
    Lua,
    /// As a Wasm filter.
    Wasm,
}

/// Those for this load: with the rules where it is about them.
pub(crate) fn of(load: Load) -> Vec<Box<dyn Kind>> {
    match load {
        Load::Rules => vec![
            Box::new(nginx::Nginx::one(Rules::Native)),
            Box::new(nginx::Nginx::one(Rules::Lua)),
            Box::new(haproxy::Haproxy { rules: Rules::Native }),
            Box::new(haproxy::Haproxy { rules: Rules::Lua }),
            Box::new(envoy::Envoy { rules: Rules::Native }),
            Box::new(envoy::Envoy { rules: Rules::Lua }),
            Box::new(envoy::Envoy { rules: Rules::Wasm }),
            Box::new(caddy::Caddy { rules: Rules::Native }),
        ],
        // Those that are installed here with HTTP/3.
        Load::Http3 => vec![Box::new(caddy::Caddy { rules: Rules::None })],
        // What several workers on these cores cost one that has been at it for twenty years.
        Load::Workers => vec![Box::new(nginx::Nginx::on_all_cores(1)), Box::new(nginx::Nginx::on_all_cores(4))],
        _ => plain(),
    }
}

/// Each without rules.
pub(crate) fn plain() -> Vec<Box<dyn Kind>> {
    vec![
        Box::new(nginx::Nginx::one(Rules::None)),
        Box::new(haproxy::Haproxy { rules: Rules::None }),
        Box::new(envoy::Envoy { rules: Rules::None }),
        Box::new(caddy::Caddy { rules: Rules::None }),
    ]
}

/// A program of the environment that `cargo xtask bench peers` makes.
fn of_python(program: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/peers-python/bin");
    target.join(program)
}
