//! Those that others have made: nginx and HAProxy of the system's packages, Envoy and Caddy of PyPI's, which have the programs.

mod caddy;
mod envoy;
mod haproxy;
mod nginx;

use std::path::PathBuf;

use crate::load::Load;
use crate::peer::Kind;

/// Those for this load: with the rules where it is about them.
pub(crate) fn of(load: Load) -> Vec<Box<dyn Kind>> {
    let has_rules = load == Load::Rules;
    vec![
        Box::new(nginx::Nginx { has_rules }),
        Box::new(haproxy::Haproxy { has_rules }),
        Box::new(envoy::Envoy { has_rules }),
        Box::new(caddy::Caddy { has_rules }),
    ]
}

/// A program of the environment that `cargo xtask bench peers` makes.
fn of_python(program: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/peers-python/bin");
    target.join(program)
}
