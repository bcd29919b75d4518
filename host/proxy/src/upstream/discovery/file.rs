//! A file with an endpoint in each line goes in; the endpoints come out, or the first line that is none.

use std::collections::HashSet;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use palisade_config::Endpoint;

const FILE_BYTES_MAX: u64 = 1 << 20;
const ENDPOINTS_MAX: usize = 10_000;
const WEIGHT_MAX: u32 = 65_535;
const ZONE_BYTES_MAX: usize = 63;

/// What tells that a file is another one.
pub(super) type Stamp = Option<(SystemTime, u64)>;

pub(super) fn stamp(path: &Path) -> Stamp {
    let known = std::fs::metadata(path).ok()?;
    Some((known.modified().ok()?, known.len()))
}

/// Reads the file. Blocks.
///
/// # Errors
/// A sentence that names the file, and the line where there is one.
pub(crate) fn read(path: &Path) -> Result<Vec<Endpoint>, String> {
    let named = |what: String| format!("{}: {what}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| named(error.to_string()))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| named(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(named("is larger than 1 MiB".to_owned()));
    }
    parse(&text).map_err(|(line, what)| format!("{}:{line}: {what}", path.display()))
}

/// # Errors
/// The number of a line, and what is wrong with it.
fn parse(text: &str) -> Result<Vec<Endpoint>, (usize, String)> {
    let (mut endpoints, mut seen) = (Vec::new(), HashSet::new());
    for (line, number) in text.lines().zip(1..) {
        let wrong = |what: String| (number, what);
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next() else { continue };
        let parsed = address.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        let Some(parsed) = parsed else {
            return Err(wrong(format!("{address:?} is not an address: expected \"IP:port\", such as 10.0.1.11:8443")));
        };
        if !seen.insert(parsed) {
            return Err(wrong(format!("{address} is there already")));
        }
        endpoints.push(described(parsed, words).map_err(wrong)?);
        if endpoints.len() > ENDPOINTS_MAX {
            return Err(wrong(format!("there are more than {ENDPOINTS_MAX} endpoints")));
        }
    }
    if endpoints.is_empty() { Err((1, "there is no endpoint in it".to_owned())) } else { Ok(endpoints) }
}

/// The endpoint of this address that the rest of its line describes.
fn described<'a>(address: SocketAddr, words: impl Iterator<Item = &'a str>) -> Result<Endpoint, String> {
    let mut endpoint = Endpoint::new(address);
    let mut has_level = false;
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "weight" => {
                let weight = value.parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight));
                endpoint.weight =
                    weight.ok_or_else(|| format!("{value:?} is not a weight: expected 1 to {WEIGHT_MAX}"))?;
            }
            "zone" if (1..=ZONE_BYTES_MAX).contains(&value.len()) => endpoint.zone = Some(value.to_owned()),
            "priority" | "backup" if has_level => {
                return Err(format!("{word:?} stands beside another level: expected priority=N or backup, once"));
            }
            "priority" => {
                let priority = value.parse().ok().filter(|priority| *priority <= Endpoint::PRIORITY_MAX);
                let most = Endpoint::PRIORITY_MAX;
                endpoint.priority =
                    priority.ok_or_else(|| format!("{value:?} is not a priority: expected 0 to {most}"))?;
                has_level = true;
            }
            "backup" if word == key => {
                endpoint.priority = Endpoint::BACKUP;
                has_level = true;
            }
            _ => {
                return Err(format!("{word:?} is not known: expected weight=N, zone=NAME, priority=N or backup"));
            }
        }
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<usize, (usize, &str)>) {
        let found = parse(text);
        let found = found.as_ref().map(Vec::len).map_err(|(line, what)| (*line, what.as_str()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn each_line_is_an_endpoint() {
        check("10.0.0.1:80\n\n# more\n  [::1]:80 weight=3 zone=b # here\r\n", Ok(2));
        check("", Err((1, "there is no endpoint in it")));
        check("10.0.0.1:80\n10.0.0.1:80", Err((2, "10.0.0.1:80 is there already")));
        check("web:80", Err((1, "\"web:80\" is not an address: expected \"IP:port\", such as 10.0.1.11:8443")));
        check("10.0.0.1:80 weight=0", Err((1, "\"0\" is not a weight: expected 1 to 65535")));
        check(
            "10.0.0.1:80 heavy",
            Err((1, "\"heavy\" is not known: expected weight=N, zone=NAME, priority=N or backup")),
        );
        check(
            "10.0.0.1:80 backup=yes",
            Err((1, "\"backup=yes\" is not known: expected weight=N, zone=NAME, priority=N or backup")),
        );
        check("10.0.0.1:80 priority=10", Err((1, "\"10\" is not a priority: expected 0 to 9")));
        let twice = "\"backup\" stands beside another level: expected priority=N or backup, once";
        check("10.0.0.1:80 priority=1 backup", Err((1, twice)));
        let levels = parse("10.0.0.1:80\n10.0.0.2:80 backup\n10.0.0.3:80 weight=2 priority=3").expect("a list");
        let levels: Vec<u8> = levels.iter().map(|endpoint| endpoint.priority).collect();
        assert_eq!(levels, [0, Endpoint::BACKUP, 3]);
        let second = parse("10.0.0.1:80\n10.0.0.2:80 zone=b weight=3").expect("a list").pop().expect("two");
        assert_eq!((second.weight, second.zone.as_deref()), (3, Some("b")));
    }
}
