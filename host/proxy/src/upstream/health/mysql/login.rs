//! The login of a user without a password: what the server says first, what it is told, and whether it agrees.

use tokio::io::{AsyncRead, AsyncWrite};

use super::packet::Packets;
use super::rows::error;

/// What a server says first (protocol 10).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) takes_tls: bool,
}

const PROTOCOL: u8 = 10;

/// Flags of what both sides can do.
const LONG_PASSWORD: u32 = 1;
const PROTOCOL_41: u32 = 1 << 9;
const TLS: u32 = 1 << 11;
const TRANSACTIONS: u32 = 1 << 13;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;

const PACKET_BYTES: u32 = 1 << 24;
/// utf8mb4_general_ci, which MySQL and MariaDB have both.
const CHARSET: u8 = 45;

/// # Errors
/// It greets nobody, or not as a database does.
pub(super) fn greeting(packet: &[u8]) -> Result<Greeting, String> {
    match packet.split_first() {
        Some((0xff, _)) => return Err(error(packet)),
        Some((&PROTOCOL, rest)) => {
            let after_version = rest.iter().position(|byte| *byte == 0).and_then(|end| rest.get(end + 1..));
            // The connection's number, a part of the challenge and a zero come before.
            let flags = after_version.and_then(|rest| rest.get(13..15)).and_then(|flags| flags.try_into().ok());
            if let Some(flags) = flags.map(u16::from_le_bytes) {
                return Ok(Greeting { takes_tls: u32::from(flags) & TLS != 0 });
            }
        }
        Some(_) | None => {}
    }
    Err("it does not greet as MySQL or MariaDB do".to_owned())
}

/// What asks for TLS: the first part of a login.
pub(super) fn tls_request() -> Vec<u8> {
    head(TLS)
}

/// A login of this user, with an answer to the challenge that is empty, as of whoever has no password.
pub(super) fn response(user: &str, is_within_tls: bool) -> Vec<u8> {
    let mut packet = head(if is_within_tls { TLS } else { 0 });
    packet.extend_from_slice(user.as_bytes());
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(NATIVE);
    packet.push(0);
    packet
}

fn head(more: u32) -> Vec<u8> {
    let flags = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH | more;
    let mut packet = flags.to_le_bytes().to_vec();
    packet.extend_from_slice(&PACKET_BYTES.to_le_bytes());
    packet.push(CHARSET);
    packet.extend_from_slice(&[0; 23]);
    packet
}

const NATIVE: &[u8] = b"mysql_native_password";
const SHA2: &[u8] = b"caching_sha2_password";

/// Questions that a server may have before it agrees.
const QUESTIONS_MAX: usize = 4;

/// # Errors
/// It does not let the user in, or not without a password.
pub(super) async fn finished<S>(packets: &mut Packets<'_, S>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for _ in 0..QUESTIONS_MAX {
        let packet = packets.read().await?;
        match packet.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, _)) => return Err(error(&packet)),
            // Another method than was offered, and nothing is the right answer to it, too.
            Some((0xfe, method)) => match method.split(|byte| *byte == 0).next() {
                Some(NATIVE) => packets.write(&[]).await?,
                Some(SHA2) => packets.write(&[0]).await?,
                other => {
                    let method = String::from_utf8_lossy(other.unwrap_or_default()).into_owned();
                    return Err(format!("it wants the user to log in by {method:?}: expected one without a password"));
                }
            },
            // The method agrees; the server's own word follows.
            Some((0x01, _)) => {}
            Some(_) | None => break,
        }
    }
    Err("its answer to the login is none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_says_whether_tls_is_taken() {
        // MariaDB 10.11, as it came.
        let mut packet = vec![10];
        packet.extend_from_slice(b"5.5.5-10.11.6-MariaDB\0");
        packet.extend_from_slice(&[9, 0, 0, 0]);
        packet.extend_from_slice(b"12345678\0");
        let head = packet.len();
        packet.extend_from_slice(&[0xfe, 0xff, 45, 2, 0]);
        assert_eq!(greeting(&packet), Ok(Greeting { takes_tls: true }));
        packet.truncate(head);
        packet.extend_from_slice(&[0xfe, 0xf7]);
        assert_eq!(greeting(&packet), Ok(Greeting { takes_tls: false }));
        for end in 0..packet.len() {
            assert!(packet.get(..end).is_some_and(|cut| greeting(cut).is_err()), "{end}");
        }
        let refusal = b"\xff\x69\x04Host 'a' is not allowed to connect to this MariaDB server";
        assert_eq!(
            greeting(refusal),
            Err("it refuses (1129): Host 'a' is not allowed to connect to this MariaDB server".into())
        );
    }

    #[test]
    fn what_asks_for_tls_is_the_beginning_of_a_login() {
        let login = response("monitor", true);
        assert_eq!(tls_request().len(), 32);
        assert!(login.starts_with(&tls_request()));
        assert!(login.ends_with(b"monitor\0\0mysql_native_password\0"));
    }
}
