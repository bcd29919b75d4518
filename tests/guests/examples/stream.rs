//! Does with a connection's bytes what the settings say. The gauge `kept` counts the streams that it keeps something for.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "one of the things that the guest is for")]

use palisade_sdk::prelude::*;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What it is shown: `client`, `endpoint`, `both`, or `first`, which is the client's before an endpoint is chosen.
    shown: String,
    /// Closes when this passes.
    #[serde(default)]
    refuses: Option<String>,
    /// Makes small letters large.
    #[serde(default)]
    upper: bool,
    /// Holds back until a line has ended, and sends a stream whose first one begins with this word to the upstream of this name.
    #[serde(default)]
    lines: Option<String>,
    /// Traps when this passes.
    #[serde(default)]
    traps: Option<String>,
    /// Does not stop when this passes.
    #[serde(default)]
    spins: Option<String>,
}

#[derive(Debug)]
struct Streams {
    settings: Settings,
    kept: Gauge,
    shown: Counter,
}

/// The line so far, and the count of those that are kept.
#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    kept: Gauge,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.kept.shift(-1.0);
    }
}

impl Plugin for Streams {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        let kept = host.gauge("kept", "streams that something is kept for");
        Ok(Self { kept, shown: host.counter("shown_total", "bytes that were shown"), settings })
    }
}

fn holds(bytes: &[u8], word: Option<&String>) -> bool {
    word.is_some_and(|word| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
}

impl StreamFilter for Streams {
    type State = Line;

    fn on_stream(&mut self, stream: &mut Stream) -> Result<StreamWish<Line>, Error> {
        if stream.client_port() == 0 || stream.route().is_none() {
            return Err(Error::new("a stream has a client and a route"));
        }
        self.kept.shift(1.0);
        let line = Line { text: Vec::new(), kept: self.kept };
        Ok(match self.settings.shown.as_str() {
            "client" => StreamWish::client(line),
            "endpoint" => StreamWish::endpoint(line),
            "both" => StreamWish::both(line),
            "first" => StreamWish::before_endpoint(line),
            "close" => StreamWish::Close,
            _ => StreamWish::Skip,
        })
    }

    fn on_bytes(&mut self, line: &mut Line, piece: &mut StreamPiece) -> Result<StreamFlow, Error> {
        let Settings { refuses, upper, lines, traps, spins, .. } = &self.settings;
        self.shown.add(piece.bytes().len() as u64);
        let bytes = piece.bytes().to_vec();
        if holds(&bytes, traps.as_ref()) {
            panic!("told to");
        }
        while holds(&bytes, spins.as_ref()) {
            std::hint::spin_loop();
        }
        line.text.extend_from_slice(&bytes);
        if holds(&line.text, refuses.as_ref()) {
            return Ok(StreamFlow::Close);
        }
        if let Some(upstream) = lines {
            if !line.text.contains(&b'\n') && !piece.is_last() {
                return Ok(StreamFlow::Hold);
            }
            if !upstream.is_empty() && line.text.starts_with(upstream.as_bytes()) {
                piece.choose_upstream(upstream)?;
            }
        }
        let whole = std::mem::take(&mut line.text);
        if *upper && !whole.is_empty() {
            piece.replace(whole.to_ascii_uppercase());
        }
        Ok(StreamFlow::Pass)
    }
}

register!(Streams: StreamFilter);
