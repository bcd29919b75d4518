//! Sets `x-version` on requests and responses to the version that stands in the file itself, and where its settings say so
//! ends the bodies of responses with it. A test changes those bytes, which are `version-000000`, and has another version. One
//! that begins with `refuses` refuses its settings.

#![forbid(unsafe_code)]

use palisade_sdk::prelude::*;

static VERSION: [u8; 14] = *b"version-000000";

/// As the file has it: not as the compiler knows it.
fn version() -> &'static str {
    str::from_utf8(std::hint::black_box(&VERSION)).unwrap_or("none")
}

#[derive(Deserialize, JsonSchema)]
struct Settings {
    /// Added to the version.
    #[serde(default)]
    suffix: String,
    /// Whether bodies of responses end with it, in a line of its own after `=`.
    #[serde(default)]
    marks_bodies: bool,
}

struct Version {
    mark: String,
    marks_bodies: bool,
}

impl Plugin for Version {
    type Settings = Settings;

    fn configure(settings: Settings, _host: &mut Setup) -> Result<Self, Error> {
        if version().starts_with("refuses") {
            return Err(Error::new("this version takes no settings"));
        }
        Ok(Self { mark: format!("{}{}", version(), settings.suffix), marks_bodies: settings.marks_bodies })
    }
}

impl RequestFilter for Version {
    fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
        request.set_header("x-version", &self.mark)?;
        Ok(Flow::Continue)
    }
}

impl ResponseFilter for Version {
    fn on_response(&mut self, response: &mut Response) -> Result<Flow, Error> {
        response.set_header("x-version", &self.mark)?;
        Ok(Flow::Continue)
    }
}

impl ResponseBodyFilter for Version {
    type State = ();

    fn on_response_body(&mut self, _body: &mut ResponseBody) -> Result<BodyWish<()>, Error> {
        Ok(if self.marks_bodies { BodyWish::Stream { edits: Edits::Any, state: () } } else { BodyWish::Skip })
    }

    fn on_response_piece(
        &mut self,
        _state: &mut (),
        piece: &mut Piece,
        _head: &mut ResponseHead,
    ) -> Result<PieceFlow, Error> {
        if piece.is_last() {
            piece.bytes_mut().extend(format!("\n={}", self.mark).bytes());
        }
        Ok(PieceFlow::Continue)
    }
}

register!(Version: RequestFilter, ResponseFilter, ResponseBodyFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_carry_the_version() {
        let mut host = TestHost::<Version>::configure(json!({ "suffix": "!" })).unwrap();
        let request = host.request(TestRequest::get("/"));
        let response = host.response(TestResponse::status(200));
        assert_eq!(request.header_values("x-version"), ["version-000000!"]);
        assert_eq!(response.header_values("x-version"), ["version-000000!"]);
    }
}
