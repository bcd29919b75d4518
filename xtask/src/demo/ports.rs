//! The host's ports, found free before anything is built.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, anyhow};

use crate::demo::Options;

/// The ports of the demo's host, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) https: u16,
    pub(crate) redirect: u16,
    pub(crate) admin: u16,
}

impl Ports {
    /// # Errors
    /// A sentence naming the port that is taken and the option that chooses another.
    pub(crate) fn choose(options: &Options) -> Result<Self> {
        // All three are held until all are known, so that no two get the same free one.
        let https = hold(options.https, "--port")?;
        let redirect = hold(options.redirect, "--redirect-port")?;
        let admin = hold(options.admin, "--admin-port")?;
        let number = |held: &TcpListener| held.local_addr().map(|address| address.port());
        Ok(Self { https: number(&https)?, redirect: number(&redirect)?, admin: number(&admin)? })
    }
}

fn hold(port: u16, option: &str) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                anyhow!(
                    "port {port} is taken by another program: choose another with {option} N, or {option} 0 for any"
                )
            }
            _ => {
                anyhow!("cannot listen on port {port} ({error}): choose another with {option} N, or {option} 0 for any")
            }
        })
        .context("the demo cannot start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_option_that_changes_it() {
        let taken = hold(0, "--port").expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let options = Options { https: 0, redirect: port, admin: 0, once: true };
        let error = Ports::choose(&options).expect_err("the port is taken");
        assert_eq!(
            format!("{error:#}"),
            format!(
                "the demo cannot start: port {port} is taken by another program: choose another with --redirect-port N, \
                 or --redirect-port 0 for any"
            )
        );
    }

    #[test]
    fn any_free_ports_differ() {
        let ports = Ports::choose(&Options { https: 0, redirect: 0, admin: 0, once: true }).expect("free ports");
        assert!(ports.https != ports.redirect && ports.redirect != ports.admin && ports.admin != ports.https);
    }
}
