//! A request's body that can be sent more than once: what has gone on of it is kept, up to a limit.
//!
//! Pieces are kept as they pass, without a copy unless they are small. Whoever sends the body again reads what is kept first,
//! and then goes on with what still comes.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::request::Direct;
use super::{Error, Upload};

/// What of a body has gone on, and where the rest comes from.
#[derive(Debug)]
pub(super) struct Kept {
    source: RefCell<Direct>,
    upload: Rc<Upload>,
    pieces: RefCell<Vec<Piece>>,
    bytes: Cell<usize>,
    bytes_max: usize,
    keeps: Cell<bool>,
    is_over: Cell<bool>,
}

#[derive(Debug, Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// Reads a body from its beginning.
#[derive(Debug)]
pub(crate) struct Reader {
    kept: Rc<Kept>,
    place: usize,
}

impl Reader {
    /// The first one to read this body, of which so many bytes are kept.
    pub(super) fn new(source: Direct, upload: Rc<Upload>, bytes_max: usize) -> Self {
        let kept = Kept {
            source: RefCell::new(source),
            upload,
            pieces: RefCell::default(),
            bytes: Cell::new(0),
            bytes_max,
            keeps: Cell::new(true),
            is_over: Cell::new(false),
        };
        Self { kept: Rc::new(kept), place: 0 }
    }

    /// The same body from its beginning, where all of it that has gone on is there. Only one is read at a time.
    pub(super) fn again(&self) -> Option<Self> {
        let again = self.kept.keeps.get().then(|| Self { kept: self.kept.clone(), place: 0 })?;
        self.kept.upload.repeats(again.has_known());
        Some(again)
    }

    /// Nobody will read it from its beginning any more.
    pub(super) fn forget(&self) {
        self.kept.keeps.set(false);
    }

    /// Whether what has gone on of it is there.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.keeps.get()
    }

    /// What is kept and was not read by this one.
    fn known(&mut self) -> Option<Piece> {
        let piece = self.kept.pieces.borrow().get(self.place).cloned()?;
        self.place += 1;
        self.kept.upload.repeats(self.has_known());
        Some(piece)
    }

    fn has_known(&self) -> bool {
        self.place < self.kept.pieces.borrow().len()
    }
}

impl Kept {
    fn keep(&self, frame: &Frame<Bytes>) -> bool {
        let more = frame.data_ref().map_or(0, Bytes::len);
        self.bytes.set(self.bytes.get().saturating_add(more));
        if self.bytes.get() > self.bytes_max || self.pieces.borrow().len() >= PIECES_MAX {
            self.keeps.set(false);
        }
        if !self.keeps.get() {
            self.pieces.borrow_mut().clear();
            return false;
        }
        let piece = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Piece::Data(to_keep(data)),
            (None, Some(trailers)) => Piece::Trailers(trailers.clone()),
            (None, None) => return false,
        };
        self.pieces.borrow_mut().push(piece);
        true
    }
}

/// A piece as it is kept. A small one is copied: it may be a part of a buffer that is much larger, all of which it would keep.
pub(super) fn to_keep(data: &Bytes) -> Bytes {
    if data.len() < COPIED_BELOW { Bytes::copy_from_slice(data) } else { data.clone() }
}

const COPIED_BELOW: usize = 1_024;

/// Small pieces are no way around the limit.
const PIECES_MAX: usize = 1_024;

impl Body for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Some(piece) = this.known() {
            return Poll::Ready(Some(Ok(match piece {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            })));
        }
        if this.kept.is_over.get() {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut *this.kept.source.borrow_mut()).poll_frame(context));
        match &frame {
            None => this.kept.is_over.set(true),
            Some(Err(_)) => {
                this.kept.is_over.set(true);
                this.forget();
            }
            Some(Ok(frame)) => {
                if this.kept.keep(frame) {
                    this.place += 1;
                } else {
                    this.place = 0;
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        !self.has_known() && (self.kept.is_over.get() || self.kept.source.borrow().is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let known = |piece: &Piece| if let Piece::Data(data) = piece { data.len() } else { 0 };
        let known: usize = self.kept.pieces.borrow().iter().skip(self.place).map(known).sum();
        let known = u64::try_from(known).unwrap_or(u64::MAX);
        let rest =
            if self.kept.is_over.get() { SizeHint::with_exact(0) } else { self.kept.source.borrow().size_hint() };
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(known));
        }
        hint.set_lower(rest.lower().saturating_add(known));
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body_util::BodyExt;

    use super::super::RequestBody;
    use super::*;

    fn kept(text: &'static str, bytes_max: usize) -> RequestBody {
        let (body, _) = RequestBody::whole(Bytes::from_static(text.as_bytes()));
        body.kept(bytes_max)
    }

    async fn read(body: RequestBody) -> Bytes {
        body.collect().await.expect("a body").to_bytes()
    }

    #[tokio::test]
    async fn what_is_kept_is_read_again_from_its_beginning() {
        let body = kept("hello", 5);
        let second = body.again().expect("another one");
        let third = body.again().expect("another one");
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(read(body).await, "hello");
        assert_eq!((second.size_hint().exact(), second.is_end_stream()), (Some(5), false));
        assert_eq!(read(second).await, "hello");
        assert_eq!(read(third).await, "hello");
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_read_again() {
        let body = kept("hello", 4);
        assert!(body.again().is_some(), "nothing has gone on");
        let mut body = body;
        assert!(body.frame().await.is_some());
        assert!(body.again().is_none());
        assert_eq!(read(body).await, "");
    }

    #[test]
    fn a_small_piece_does_not_keep_the_buffer_that_it_is_a_part_of() {
        let buffer = Bytes::from(vec![7_u8; 8_192]);
        let (small, large) = (buffer.slice(..1), buffer.slice(..COPIED_BELOW));
        let (small_kept, large_kept) = (to_keep(&small), to_keep(&large));
        assert_eq!((&small_kept, &large_kept), (&small, &large));
        assert_ne!(small_kept.as_ptr(), buffer.as_ptr());
        assert_eq!(large_kept.as_ptr(), buffer.as_ptr());
    }

    #[test]
    fn one_that_comes_after_goes_on_where_the_source_is() {
        let mut context = Context::from_waker(Waker::noop());
        let mut first = kept("hello", 64);
        let mut second = first.again().expect("another one");
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut first).poll_frame(&mut context) else { panic!() };
        drop((frame, first));
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut second).poll_frame(&mut context) else { panic!() };
        assert_eq!(frame.into_data().expect("data"), "hello");
        assert!(matches!(Pin::new(&mut second).poll_frame(&mut context), Poll::Ready(None)));
        assert!(second.is_end_stream());
        second.forget();
        assert!(second.again().is_none());
    }
}
