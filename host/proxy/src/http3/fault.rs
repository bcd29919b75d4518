//! What a client did wrong, and what ends with it.

use quinn::{ReadError, VarInt, WriteError};

/// An error code of HTTP/3 (RFC 9114, section 8.1) or QPACK (RFC 9204, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    NoError = 0x100,
    InternalError = 0x102,
    StreamCreationError = 0x103,
    ClosedCriticalStream = 0x104,
    FrameUnexpected = 0x105,
    FrameError = 0x106,
    ExcessiveLoad = 0x107,
    IdError = 0x108,
    SettingsError = 0x109,
    MissingSettings = 0x10a,
    RequestRejected = 0x10b,
    RequestCancelled = 0x10c,
    RequestIncomplete = 0x10d,
    MessageError = 0x10e,
    DecompressionFailed = 0x200,
    EncoderStreamError = 0x201,
    DecoderStreamError = 0x202,
}

impl From<Code> for VarInt {
    fn from(code: Code) -> Self {
        #[expect(clippy::as_conversions, reason = "it is the number that the code was given above")]
        Self::from_u32(code as u32)
    }
}

/// Why a stream does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The whole connection ends (RFC 9114, section 8).
    #[error("{1}")]
    Connection(Code, &'static str),
    /// The stream is reset.
    #[error("{1}")]
    Stream(Code, &'static str),
    /// A head that is larger than it may be; it can be answered.
    #[error("a head is larger than the listener allows")]
    TooLarge,
    /// The client has reset the stream, or has left.
    #[error("the client has left")]
    Gone,
}

impl From<ReadError> for Fault {
    fn from(_: ReadError) -> Self {
        Self::Gone
    }
}

impl From<WriteError> for Fault {
    fn from(_: WriteError) -> Self {
        Self::Gone
    }
}

impl From<super::qpack::Malformed> for Fault {
    /// RFC 9204, section 6.
    fn from(_: super::qpack::Malformed) -> Self {
        Self::Connection(Code::DecompressionFailed, "a field section is not QPACK without a dynamic table")
    }
}
