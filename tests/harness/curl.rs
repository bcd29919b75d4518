//! curl, as a user runs it.

use std::net::SocketAddr;
use std::path::Path;

use crate::{Ended, HOST, run_command};

/// Runs curl in the site's folder.
pub(crate) async fn run(address: SocketAddr, folder: &Path, arguments: &[&str], path: &str) -> Ended {
    let resolve = format!("{HOST}:{}:127.0.0.1", address.port());
    let url = format!("https://{HOST}:{}{path}", address.port());
    let fixed = ["--silent", "--show-error", "--max-time", "25", "--cacert", "ca.pem", "--resolve", resolve.as_str()];
    let all: Vec<&str> = fixed.into_iter().chain(arguments.iter().copied()).chain([url.as_str()]).collect();
    run_command("curl", &all, folder).await
}
