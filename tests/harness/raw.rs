//! A connection on which any bytes can be sent, and the very bytes that came back are seen.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A connection without any HTTP of ours.
pub struct Raw(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Raw {
    pub(crate) fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// Sends bytes. False if the other side is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// A side to read and a side to write, at the same time.
    #[must_use]
    pub fn split(self) -> (Self, Self) {
        let (reading, writing) = tokio::io::split(self.0);
        (
            Self::new(tokio::io::join(reading, tokio::io::sink())),
            Self::new(tokio::io::join(tokio::io::empty(), writing)),
        )
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let _ = self.0.shutdown().await;
    }

    /// Everything up to the end of the connection, however it ends.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        self.read_to_its_end().await.0
    }

    /// Everything up to the end of the connection, and whether that was a good one: closed, not reset; within TLS, after
    /// it was said (RFC 8446, section 6.1).
    pub async fn read_to_its_end(&mut self) -> (Vec<u8>, bool) {
        let mut read = Vec::new();
        loop {
            match self.0.read_buf(&mut read).await {
                Ok(0) => return (read, true),
                Ok(_) => {}
                Err(_) => return (read, false),
            }
        }
    }

    /// So many bytes; none where the connection ends before.
    pub async fn read_exactly(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let mut read = vec![0; bytes];
        self.0.read_exact(&mut read).await.is_ok().then_some(read)
    }

    /// Everything up to and with these bytes, or to the end of the connection.
    pub async fn read_until(&mut self, end: impl AsRef<[u8]>) -> Vec<u8> {
        let mut read = Vec::new();
        while !read.ends_with(end.as_ref()) {
            match self.0.read_u8().await {
                Ok(byte) => read.push(byte),
                Err(_) => break,
            }
        }
        read
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Raw")
    }
}
