//! Upper-cases, doubles or halves bodies, streamed or buffered, and does what words in them say: `!reply`, `!close`, `!panic`,
//! `!fail`, `!pass`. A body that is buffered has its length in `x-body-bytes`. The gauge `open` counts what it keeps for bodies.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "one of the things that the guest is for")]

use palisade_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    request: Option<Way>,
    response: Option<Way>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Way {
    edit: Edit,
    /// Buffered up to so many bytes; streamed where there is no number.
    buffer: Option<u64>,
    #[serde(default)]
    skips_over: bool,
}

#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Edit {
    Read,
    Upper,
    Double,
    Halve,
    /// Writes a byte more although it said that the length stays.
    Lie,
    /// Changes what it said that it only reads.
    Meddle,
}

/// What is kept for one body.
struct Seen {
    /// How many bytes came: every other one goes on where a body is halved.
    bytes: usize,
    open: Gauge,
}

impl Seen {
    fn new(open: Gauge) -> Self {
        open.shift(1.0);
        Self { bytes: 0, open }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.open.shift(-1.0);
    }
}

struct Reshape {
    settings: Settings,
    open: Gauge,
}

impl Plugin for Reshape {
    type Settings = Settings;

    fn configure(settings: Settings, host: &mut Setup) -> Result<Self, Error> {
        Ok(Self { settings, open: host.gauge("open", "Bodies that something is kept for.") })
    }
}

impl Way {
    fn wish(self, open: Gauge) -> BodyWish<Seen> {
        let over_limit = if self.skips_over { OverLimit::Skip } else { OverLimit::Refuse };
        let edits = match self.edit {
            Edit::Read | Edit::Meddle => Edits::None,
            Edit::Upper | Edit::Lie => Edits::SameLength,
            Edit::Double | Edit::Halve => Edits::Any,
        };
        match self.buffer {
            Some(bytes_max) => BodyWish::Buffer { bytes_max, over_limit, state: Seen::new(open) },
            None => BodyWish::Stream { edits, state: Seen::new(open) },
        }
    }

    fn reshape(self, seen: &mut Seen, piece: &mut Piece) -> Result<PieceFlow, Error> {
        let says = |word: &str| piece.bytes().windows(word.len()).any(|found| found == word.as_bytes());
        if says("!reply") {
            return Ok(Reply::status(409).text("no such words\n").into());
        }
        if says("!close") {
            return Ok(PieceFlow::Close);
        }
        if says("!panic") {
            panic!("the body says so");
        }
        if says("!fail") {
            return Err(Error::new("the body says so"));
        }
        let flow = if says("!pass") { PieceFlow::PassRest } else { PieceFlow::Continue };
        let before = seen.bytes;
        seen.bytes += piece.bytes().len();
        match self.edit {
            Edit::Read => {}
            Edit::Upper => piece.bytes_mut().make_ascii_uppercase(),
            Edit::Double => piece.replace(piece.bytes().iter().flat_map(|byte| [*byte, *byte]).collect::<Vec<_>>()),
            Edit::Halve => {
                let kept = piece.bytes().iter().enumerate().filter(|(place, _)| (before + place).is_multiple_of(2));
                piece.replace(kept.map(|(_, byte)| *byte).collect::<Vec<_>>());
            }
            Edit::Lie | Edit::Meddle => piece.bytes_mut().push(b'!'),
        }
        Ok(flow)
    }
}

impl RequestBodyFilter for Reshape {
    type State = Seen;

    fn on_request_body(&mut self, _body: &mut RequestBody) -> Result<BodyWish<Seen>, Error> {
        Ok(self.settings.request.map_or(BodyWish::Skip, |way| way.wish(self.open)))
    }

    fn on_request_piece(
        &mut self,
        seen: &mut Seen,
        piece: &mut Piece,
        head: &mut RequestHead,
    ) -> Result<PieceFlow, Error> {
        let Some(way) = self.settings.request else { return Ok(PieceFlow::PassRest) };
        if way.buffer.is_some() {
            head.set_header("x-body-bytes", piece.bytes().len().to_string())?;
        }
        way.reshape(seen, piece)
    }
}

impl ResponseBodyFilter for Reshape {
    type State = Seen;

    fn on_response_body(&mut self, _body: &mut ResponseBody) -> Result<BodyWish<Seen>, Error> {
        Ok(self.settings.response.map_or(BodyWish::Skip, |way| way.wish(self.open)))
    }

    fn on_response_piece(
        &mut self,
        seen: &mut Seen,
        piece: &mut Piece,
        head: &mut ResponseHead,
    ) -> Result<PieceFlow, Error> {
        let Some(way) = self.settings.response else { return Ok(PieceFlow::PassRest) };
        if way.buffer.is_some() {
            head.set_header("x-body-bytes", piece.bytes().len().to_string())?;
        }
        way.reshape(seen, piece)
    }
}

register!(Reshape: RequestBodyFilter, ResponseBodyFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_reshaped_piece_by_piece() {
        for (edit, expected) in [("read", "abcde"), ("upper", "ABCDE"), ("double", "aabbccddee"), ("halve", "ace")] {
            let mut host = TestHost::<Reshape>::configure(json!({ "request": { "edit": edit } })).unwrap();
            let outcome = host.request_body(TestRequest::post("/"), TestBody::pieces(&[&b"a"[..], b"bc", b"de"]));
            assert_eq!(outcome.bytes(), expected.as_bytes());
        }
    }
}
