//! A load generator for HTTP/3, on quinn and nothing else: as many requests as a proxy answers.
//!
//! Requests are written as bytes once. Of an answer it is looked at whether its head begins with the status 200, and how much comes; both proxies
//! that are measured write that status as QPACK's static table has it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::load::HEADERS;

const CONNECTIONS: usize = 8;
const STREAMS: usize = 16;

/// An answer of more than this is none of ours.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Runs for so many seconds, and gives the number of answers.
///
/// # Errors
/// A connection or a request fails.
pub(crate) fn run(proxy: SocketAddr, authority: &Path, seconds: u32) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = config(authority)?;
    LocalSet::new().block_on(&runtime, async {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
        let until = Instant::now() + Duration::from_secs(u64::from(seconds));
        let request = Rc::new(request(proxy));
        // A control stream stays open as long as its connection (RFC 9114, section 6.2.1).
        let (mut tasks, mut controls) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let connection =
                endpoint.connect_with(config.clone(), proxy, "127.0.0.1")?.await.context("no connection")?;
            let mut control = connection.open_uni().await?;
            control.write_all(&[CONTROL, SETTINGS, 0]).await?;
            controls.push(control);
            for _ in 0..STREAMS {
                tasks.push(tokio::task::spawn_local(requests(connection.clone(), request.clone(), until)));
            }
        }
        let mut answers = 0;
        for task in tasks {
            answers += task.await??;
        }
        endpoint.close(NO_ERROR.into(), b"");
        drop(controls);
        endpoint.wait_idle().await;
        Ok(answers)
    })
}

/// RFC 9114, section 6.2.1, 7.2 and 8.1.
const CONTROL: u8 = 0x00;
const SETTINGS: u8 = 0x04;
const HEADERS_FRAME: u8 = 0x01;
const NO_ERROR: u32 = 0x100;

fn config(authority: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let mut config = versions?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h3".to_vec()];
    Ok(ClientConfig::new(Arc::new(QuicClientConfig::try_from(config)?)))
}

async fn requests(connection: Connection, request: Rc<Vec<u8>>, until: Instant) -> Result<u64> {
    let mut answers = 0;
    while Instant::now() < until {
        let (mut send, mut receive) = connection.open_bi().await?;
        send.write_all(&request).await?;
        send.finish()?;
        let answer = receive.read_to_end(ANSWER_BYTES_MAX).await.context("an answer broke off")?;
        ensure!(is_whole(&answer), "an answer is not 200 with 1 KiB: {:?}", answer.get(..40));
        answers += 1;
    }
    Ok(answers)
}

/// A HEADERS frame whose section begins with `:status 200` (entry 25 of RFC 9204's static table), and a body.
fn is_whole(answer: &[u8]) -> bool {
    let Some((&HEADERS_FRAME, rest)) = answer.split_first() else { return false };
    // The first two bits say of how many bytes the length is: 1, 2, 4 or 8 (RFC 9000, section 16).
    let length_bytes = 1_usize << (rest.first().copied().unwrap_or_default() >> 6);
    rest.get(length_bytes..length_bytes + 3) == Some(&[0, 0, 0xc0 | 25]) && answer.len() > 1_024
}

/// A HEADERS frame: QPACK (RFC 9204) without the dynamic table and without Huffman's code.
fn request(proxy: SocketAddr) -> Vec<u8> {
    // No dynamic table; `:method GET` and `:scheme https` are entries 17 and 23; `:authority` and `:path` are the names of 0 and 1.
    let mut section = vec![0, 0, 0xc0 | 17, 0xc0 | 23];
    section.push(0x50);
    text(&mut section, (0x00, 7), &proxy.to_string());
    section.push(0x50 | 1);
    text(&mut section, (0x00, 7), "/shop/items/1024?page=2");
    for (name, value) in HEADERS.iter().filter_map(|header| header.split_once(": ")) {
        text(&mut section, (0x20, 3), name);
        text(&mut section, (0x00, 7), value);
    }
    let mut frame = vec![HEADERS_FRAME];
    // Two bytes hold whatever is below 16,384.
    let length = u16::try_from(section.len()).unwrap_or(u16::MAX) | 0x4000;
    frame.extend(length.to_be_bytes());
    frame.extend(section);
    frame
}

/// A text behind its length in so many bits (RFC 7541, section 5.1), the others of which are given.
fn text(section: &mut Vec<u8>, (first, bits): (u8, u32), text: &str) {
    let most = (1_usize << bits) - 1;
    let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    if text.len() < most {
        section.push(first | byte(text.len()));
    } else {
        section.push(first | byte(most));
        let mut rest = text.len() - most;
        while rest >= 128 {
            section.push(byte(rest % 128) | 128);
            rest /= 128;
        }
        section.push(byte(rest));
    }
    section.extend(text.as_bytes());
}
