//! How long it takes from the start of a proxy to its first answer over HTTPS, and what memory it has then.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use benches::{Cores, Spread};

use crate::client::Client;
use crate::options::Options;
use crate::others;
use crate::ours::Palisade;
use crate::peer::{Kind, Peer, Place};

/// How options call it.
pub(crate) const NAME: &str = "start";

/// A proxy that has not answered by then will not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts.
const PAUSE: Duration = Duration::from_micros(200);

/// A table: time to the first answer, and memory after it, with what was compiled kept from the start before.
///
/// # Errors
/// A proxy does not start.
pub(crate) fn table(options: &Options, place: &Place, origins: [SocketAddr; 2], cores: &Cores) -> Result<String> {
    let client = Client::new(&place.authority())?;
    let ours: [Box<dyn Kind>; 2] = [Box::new(Palisade::plain()), Box::new(Palisade::with_plugins())];
    let mut rows = String::new();
    for kind in ours.into_iter().chain(others::plain()).filter(|kind| options.wants_peer(&kind.name())) {
        let (mut times, mut memory) = (Vec::new(), Vec::new());
        for round in 0..=options.rounds {
            eprint!("\r{NAME}: round {round} of {}, {:30}", options.rounds, kind.name());
            let (time, bytes) = once(kind.as_ref(), &client, (place, origins, cores))?;
            // Not the first one, which may compile.
            if round > 0 {
                times.push(time.as_secs_f64() * 1e3);
                memory.push(bytes);
            }
        }
        let (time, memory) = (Spread::of(times), Spread::of(memory));
        rows += &format!(
            "| {} | {:.1} | {:.1}–{:.1} | {:.1} |\n",
            kind.name(),
            time.median,
            time.low,
            time.high,
            memory.median
        );
    }
    eprintln!();
    Ok(format!("| proxy | ms to the first answer | quartiles | MiB then |\n|---|---:|---:|---:|\n{rows}"))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock itself")]
#[expect(clippy::cast_precision_loss, reason = "memory is below 2^52 bytes")]
fn once(
    kind: &dyn Kind,
    client: &Client,
    (place, origins, cores): (&Place, [SocketAddr; 2], &Cores),
) -> Result<(Duration, f64)> {
    let began = Instant::now();
    let mut peer = Peer::spawn(kind, place, origins, cores)?;
    loop {
        match client.ask(peer.address) {
            Ok(_) => return Ok((began.elapsed(), peer.memory()? as f64 / f64::from(1 << 20))),
            Err(error) if began.elapsed() > PATIENCE => bail!("{} does not answer: {error:#}", peer.name),
            Err(_) => thread::sleep(PAUSE),
        }
        peer.lives()?;
    }
}
