//! The rules that every proxy holds, each in its own words: a thousand networks, paths, methods with hosts, and a header. None
//! of them is for the requests that are measured, which pass all of them.

use std::net::Ipv4Addr;

/// Networks, none of which holds an address of this machine.
pub(crate) fn networks() -> Vec<String> {
    // Of documentation's and other odd blocks, in steps that have nothing in common with the bits of prefixes.
    let network = |number: u32| {
        let length = 20 + number % 9;
        let address = 0x0b00_0000 + number * 0x0001_3579;
        let address = Ipv4Addr::from(address & (u32::MAX << (32 - length)));
        format!("{address}/{length}")
    };
    (0..1_000).map(network).collect()
}

/// Beginnings of paths that are refused.
pub(crate) const PREFIXES: [&str; 2] = ["/admin", "/internal/"];
/// Paths that are refused, as a regular expression.
pub(crate) const SCRIPTS: &str = r"\.(php|asp|cgi)$";
/// Methods that are refused for hosts below the domain.
pub(crate) const METHODS: [&str; 2] = ["PUT", "DELETE"];
pub(crate) const DOMAIN: &str = ".foobar.com";
/// User agents that are refused, as a regular expression without regard to case.
pub(crate) const AGENTS: &str = "sqlmap|nikto";
