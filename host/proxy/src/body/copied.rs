//! A copy of a request's body, made as it passes: all of it when it has come to its end, or nothing.

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use tokio::sync::oneshot;

use super::kept::to_keep;

/// What has passed of a body.
#[derive(Debug)]
pub(super) struct Copying {
    pieces: Vec<Bytes>,
    bytes: usize,
    bytes_max: usize,
    tell: Option<oneshot::Sender<Copy>>,
}

/// What became of a copy. Where nobody says it, the body did not come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    Whole(Bytes),
    TooLarge,
}

impl Copying {
    pub(super) fn new(bytes_max: usize) -> (Self, oneshot::Receiver<Copy>) {
        let (tell, told) = oneshot::channel();
        (Self { pieces: Vec::new(), bytes: 0, bytes_max, tell: Some(tell) }, told)
    }

    /// This has passed.
    pub(super) fn passed(&mut self, frame: &Frame<Bytes>) {
        let (Some(data), true) = (frame.data_ref(), self.tell.is_some()) else { return };
        self.bytes = self.bytes.saturating_add(data.len());
        if self.bytes > self.bytes_max || self.pieces.len() >= PIECES_MAX {
            self.pieces.clear();
            self.say(Copy::TooLarge);
        } else {
            self.pieces.push(to_keep(data));
        }
    }

    /// It has come to its end.
    pub(super) fn ended(&mut self) {
        if self.tell.is_none() {
            return;
        }
        let mut whole = BytesMut::with_capacity(self.bytes);
        self.pieces.drain(..).for_each(|piece| whole.extend_from_slice(&piece));
        self.say(Copy::Whole(whole.freeze()));
    }

    fn say(&mut self, copy: Copy) {
        if let Some(tell) = self.tell.take() {
            // Whoever wanted it may be gone.
            let _ = tell.send(copy);
        }
    }
}

/// Small pieces are no way around the limit.
const PIECES_MAX: usize = 4_096;
