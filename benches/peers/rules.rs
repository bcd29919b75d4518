//! The rules that every proxy holds, each in its own words: a thousand networks, paths, methods with hosts, and a header. None
//! of them is for the requests that are measured, which pass all of them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Networks, none of which holds an address of this machine.
pub(crate) fn networks() -> Vec<String> {
    numbered().map(|(address, length)| format!("{}/{length}", Ipv4Addr::from(address))).collect()
}

fn numbered() -> impl Iterator<Item = (u32, u32)> {
    // Of documentation's and other odd blocks, in steps that have nothing in common with the bits of prefixes.
    (0..1_000).map(|number| {
        let length = 20 + number % 9;
        ((0x0b00_0000 + number * 0x0001_3579) & (u32::MAX << (32 - length)), length)
    })
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

/// The rules in Lua, for those who have it: a function `denied` of address, path, method, host and user agent. Networks are looked up
/// by their masked address, once for each length: what one would write there for speed.
pub(crate) fn lua() -> String {
    let mut networks = String::new();
    for length in 20..29 {
        let of_length = numbered().filter(|(_, own)| *own == length);
        let keys: Vec<String> = of_length.map(|(address, _)| format!("[{address}]=true")).collect();
        let _ = writeln!(networks, "  {{ {}, {{ {} }} }},", 1_u64 << (32 - length), keys.join(", ")); // A string takes everything.
    }
    LUA.replace("NETWORKS", &networks)
}

const LUA: &str = r#"
local networks = {
NETWORKS}

local function number(address)
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if not a then return -1 end
  return ((tonumber(a) * 256 + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d)
end

local scripts = { [".php"] = true, [".asp"] = true, [".cgi"] = true }

function denied(address, path, method, host, agent)
  local client = number(address)
  for i = 1, #networks do
    local network = networks[i]
    if network[2][client - client % network[1]] then return true end
  end
  if path:sub(1, 6) == "/admin" or path:sub(1, 10) == "/internal/" or scripts[path:sub(-4)] then return true end
  if (method == "PUT" or method == "DELETE") and host:sub(-11) == ".foobar.com" then return true end
  agent = agent:lower()
  return agent:find("sqlmap", 1, true) ~= nil or agent:find("nikto", 1, true) ~= nil
end
"#;

/// That a proxy which says that it holds the rules does.
///
/// # Errors
/// It lets something pass, or refuses what is none of theirs.
pub(crate) fn check(name: &str, proxy: SocketAddr) -> Result<()> {
    let cases: [(&str, &[&str], &str); 7] = [
        ("/shop/items/1024?page=2", &[], "200"),
        ("/admin/users", &[], "403"),
        ("/internal/", &[], "403"),
        ("/shop/index.php", &[], "403"),
        ("/shop", &["-A", "x SQLmap/1.0"], "403"),
        ("/shop", &["-X", "PUT", "-H", "host: www.foobar.com"], "403"),
        ("/shop/16", &["-X", "PUT", "-H", "host: www.example.com"], "200"),
    ];
    for (path, words, expected) in cases {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--http1.1", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}"]).args(words);
        let output = curl.arg(format!("https://{proxy}{path}")).output().context("cannot run curl")?;
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(status == expected, "{name} answers {path} {words:?} with {status}, and the rules want {expected}");
    }
    Ok(())
}
