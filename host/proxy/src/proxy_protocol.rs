//! The PROXY protocol, versions 1 and 2: whoever stands between says who the client is, before anything else
//! (HAProxy, "The PROXY protocol", 2020).

use std::io;
use std::net::{IpAddr, SocketAddr};

use palisade_config::ProxyProtocol;
use ppp::HeaderResult;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What every header of version 2 begins with (section 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The shortest header of version 1, and what of one of version 2 says how long it is.
const BEGINNING_BYTES: usize = 15;
const FIXED_BYTES: usize = 16;

/// The longest headers: that of version 1 is given (section 2.1), that of version 2 has room for what is known by type and length.
const LINE_BYTES_MAX: usize = 107;
const BYTES_MAX: usize = 4 << 10;

/// Both ends of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

/// Reads a header and not a byte more. None where it says nothing of a client: it is the peer's own connection.
///
/// # Errors
/// There is none, it is malformed, or it is longer than 4 KiB.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; BEGINNING_BYTES];
    stream.read_exact(&mut header).await?;
    if header.starts_with(&SIGNATURE) {
        header.push(stream.read_u8().await?);
        let length = header.get(FIXED_BYTES - 2..).and_then(|length| length.try_into().ok()).map(u16::from_be_bytes);
        let length = length.map(usize::from).filter(|length| *length <= BYTES_MAX).ok_or_else(|| bad("is too long"))?;
        header.resize(FIXED_BYTES + length, 0);
        stream.read_exact(header.get_mut(FIXED_BYTES..).unwrap_or_default()).await?;
    } else if header.starts_with(b"PROXY ") {
        // Once for a connection, and never a byte of what comes after.
        while !header.ends_with(b"\r\n") {
            if header.len() >= LINE_BYTES_MAX {
                return Err(bad("is too long"));
            }
            header.push(stream.read_u8().await?);
        }
    } else {
        return Err(bad("is missing"));
    }
    said(&header)
}

/// Whom a whole header names.
fn said(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    let of = |(address, port): (IpAddr, u16)| SocketAddr::new(address, port);
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            ppp::v1::Addresses::Unknown => None,
            ppp::v1::Addresses::Tcp4(ends) => Some(of((ends.source_address.into(), ends.source_port))),
            ppp::v1::Addresses::Tcp6(ends) => Some(of((ends.source_address.into(), ends.source_port))),
        }),
        HeaderResult::V2(Ok(header)) => Ok(match (header.command, header.addresses) {
            (ppp::v2::Command::Local, _) | (_, ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_)) => None,
            (_, ppp::v2::Addresses::IPv4(ends)) => Some(of((ends.source_address.into(), ends.source_port))),
            (_, ppp::v2::Addresses::IPv6(ends)) => Some(of((ends.source_address.into(), ends.source_port))),
        }),
        HeaderResult::V1(Err(error)) => Err(bad(&format!("is malformed: {error}"))),
        HeaderResult::V2(Err(error)) => Err(bad(&format!("is malformed: {error}"))),
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the header of the PROXY protocol {what}"))
}

/// The header of this version for a client's connection, or for one of the host's own.
pub(crate) fn header(version: ProxyProtocol, client: Option<Ends>) -> Vec<u8> {
    let client = client.map(|Ends { source, destination }| {
        let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
        // Of one family, as the header has them: an IPv4 address has a form in IPv6 (RFC 4291, section 2.5.5.2).
        let (from, to) = match (from, to) {
            (IpAddr::V4(from), IpAddr::V6(_)) => (IpAddr::V6(from.to_ipv6_mapped()), to),
            (IpAddr::V6(_), IpAddr::V4(to)) => (from, IpAddr::V6(to.to_ipv6_mapped())),
            same => same,
        };
        (SocketAddr::new(from, source.port()), SocketAddr::new(to, destination.port()))
    });
    match version {
        ProxyProtocol::V1 => line(client).into_bytes(),
        ProxyProtocol::V2 => binary(client),
    }
}

/// Section 2.1.
fn line(client: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((from, to)) = client else { return "PROXY UNKNOWN\r\n".to_owned() };
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
}

/// Section 2.2.
fn binary(client: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    const TCP4: u8 = 0x11;
    const TCP6: u8 = 0x21;
    let bytes = |address: SocketAddr| match address.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let Some((from, to)) = client else { return [&SIGNATURE[..], &[LOCAL, 0, 0, 0]].concat() };
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let addresses = [bytes(from), bytes(to), ports].concat();
    let length = u16::try_from(addresses.len()).unwrap_or_default().to_be_bytes();
    [&SIGNATURE[..], &[PROXY, if from.is_ipv4() { TCP4 } else { TCP6 }], &length, &addresses].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ends(source: &str, destination: &str) -> Ends {
        Ends { source: source.parse().expect("an address"), destination: destination.parse().expect("an address") }
    }

    async fn of(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, usize) {
        let mut rest = bytes;
        let read = read(&mut rest).await;
        (read, rest.len())
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_nothing_after_it() {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            for (source, destination, expected) in [
                ("192.0.2.1:4711", "198.51.100.1:443", "192.0.2.1:4711"),
                ("[2001:db8::1]:4711", "[2001:db8::2]:443", "[2001:db8::1]:4711"),
                ("192.0.2.1:1", "[2001:db8::2]:443", "[::ffff:192.0.2.1]:1"),
                ("[::ffff:192.0.2.1]:1", "198.51.100.1:443", "192.0.2.1:1"),
            ] {
                let header = header(version, Some(ends(source, destination)));
                let (read, left) = of(&[&header[..], b"GET"].concat()).await;
                assert_eq!(
                    (read.expect("a header"), left),
                    (Some(expected.parse().expect("an address")), 3),
                    "{source}"
                );
            }
            let (read, left) = of(&[&header(version, None)[..], b"GET"].concat()).await;
            assert_eq!((read.expect("a header"), left), (None, 3));
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_an_error() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n       ",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
            b"PROXY TCP4 192.0.2.999 198.51.100.1 1 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 443",
            &[b"PROXY UNKNOWN ", &[b'a'; 200][..], b"\r\n"].concat(),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\0\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"",
        ] {
            assert!(of(bytes).await.0.is_err(), "{:?}", bytes.escape_ascii().to_string());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(
            begin in prop_oneof![Just(vec![]), Just(b"PROXY ".to_vec()), Just([&SIGNATURE[..], &[0x21]].concat())],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let _ = runtime.block_on(of(&[begin, rest].concat()));
        }
    }
}
