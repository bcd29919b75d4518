//! Names go in, their records come out, with how long they hold: asked of the configured resolvers, or of the system's.

mod message;
mod system;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use palisade_config::Dns;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use message::{Answer, Refused, answer, question};
pub(crate) use message::{Kind, Record};
use system::Resolvers;

/// How often every server is asked.
const ROUNDS: usize = 2;

/// The longest answer over UDP without an agreement on more (RFC 1035, section 2.3.4), and room for who sends more anyway.
const PACKET_BYTES_MAX: usize = 4_096;

/// What stands in files holds for as long.
const FILE_TTL: u32 = 30;

/// The records of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) records: Vec<Record>,
    /// Within what the configuration allows; as long as may be where there are no records.
    pub(crate) holds: Duration,
}

/// Looks up the records of a kind that a name has. There may be none of this kind.
///
/// # Errors
/// There is no such name, or nobody can tell.
pub(crate) async fn look_up(dns: &Dns, name: &str, kind: Kind) -> Result<Looked, String> {
    let resolvers = if dns.resolvers.is_empty() {
        if let Some(found) = in_file(name, kind).await {
            return Ok(held(dns, found));
        }
        let text = file("/etc/resolv.conf").await.unwrap_or_default();
        Resolvers::read(&text)
    } else {
        Resolvers { servers: dns.resolvers.clone(), search: Vec::new(), dots: 0 }
    };
    let mut empty = None;
    let mut failed = None;
    for name in resolvers.names(name) {
        match asked(&resolvers.servers, dns.timeout, &name, kind).await {
            Ok(Some(answer)) if !answer.records.is_empty() => return Ok(held(dns, answer)),
            Ok(Some(answer)) => empty = empty.or(Some(answer)),
            Ok(None) => {}
            // With another suffix, or with none, it may be known all the same.
            Err(why) => failed = failed.or(Some(why)),
        }
    }
    let why = failed.unwrap_or_else(|| "there is no such name".to_owned());
    empty.map(|answer| held(dns, answer)).ok_or(why)
}

fn held(dns: &Dns, answer: Answer) -> Looked {
    let holds = Duration::from_secs(answer.ttl.into()).clamp(dns.min_ttl, dns.max_ttl);
    Looked { records: answer.records, holds }
}

/// The text of a file of the system's, read on a thread that may wait for a disk.
async fn file(path: &'static str) -> Option<String> {
    tokio::task::spawn_blocking(move || std::fs::read_to_string(path).ok()).await.ok()?
}

async fn in_file(name: &str, kind: Kind) -> Option<Answer> {
    let text = file("/etc/hosts").await?;
    let found = system::hosts(&text, name);
    let is_of_kind = |ip: &IpAddr| match kind {
        Kind::A => ip.is_ipv4(),
        Kind::Aaaa => ip.is_ipv6(),
        Kind::Srv => false,
    };
    // A name that is there has no other addresses elsewhere.
    let records = found.iter().copied().filter(is_of_kind).map(Record::Address).collect();
    (!found.is_empty() && kind != Kind::Srv).then_some(Answer { records, ttl: FILE_TTL })
}

/// Asks one server after the other, until one knows; none where the name is not there.
async fn asked(servers: &[SocketAddr], limit: Duration, name: &str, kind: Kind) -> Result<Option<Answer>, String> {
    let mut why = String::new();
    for server in servers.iter().cycle().take(servers.len() * ROUNDS) {
        match timeout(limit, asked_of(*server, name, kind)).await {
            Ok(Ok(Ok(answer))) => return Ok(Some(answer)),
            Ok(Ok(Err(Refused::NoName))) => return Ok(None),
            Ok(Ok(Err(Refused::Failed(code)))) => why = format!("{server} says that it cannot tell ({code})"),
            Ok(Ok(Err(_))) => why = format!("{server} answers with nothing that can be read"),
            Ok(Err(error)) => why = format!("{server} cannot be asked: {error}"),
            Err(_) => why = format!("{server} does not answer within {limit:?}"),
        }
    }
    Err(why)
}

/// Over UDP, and over TCP where the answer does not fit.
async fn asked_of(server: SocketAddr, name: &str, kind: Kind) -> io::Result<Result<Answer, Refused>> {
    // Not to be guessed by who would answer in the server's place; the socket's port is the other half of it.
    let id = u16::try_from(RandomState::new().hash_one(name) & 0xffff).unwrap_or_default();
    let Some(question) = question(id, name, kind) else { return Ok(Err(Refused::NoName)) };
    let own: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question).await?;
    let mut packet = vec![0; PACKET_BYTES_MAX];
    loop {
        let length = socket.recv(&mut packet).await?;
        match answer(packet.get(..length).unwrap_or_default(), id, name, kind) {
            // The caller has the limit.
            Err(Refused::NotOurs) => {}
            Err(Refused::Truncated) => break,
            told => return Ok(told),
        }
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).await?;
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(answer(&message, id, name, kind))
}
