//! Packets of the MySQL protocol: three bytes of length, one of sequence, and what they carry.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest packet, and all that one check reads.
const PACKET_BYTES_MAX: usize = 16 << 10;
const BYTES_MAX: usize = 64 << 10;

/// The packets of one connection.
#[derive(Debug)]
pub(super) struct Packets<'a, S> {
    stream: &'a mut S,
    sequence: u8,
    read: usize,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Packets<'a, S> {
    pub(super) fn new(stream: &'a mut S) -> Self {
        Self::after(stream, 0)
    }

    /// Goes on with this number.
    pub(super) fn after(stream: &'a mut S, sequence: u8) -> Self {
        Self { stream, sequence, read: 0 }
    }

    /// The number of the next packet.
    pub(super) fn sequence(&self) -> u8 {
        self.sequence
    }

    /// A new command: it is counted from zero.
    pub(super) fn begin(&mut self) {
        self.sequence = 0;
    }

    /// Reads one, and not a byte more: TLS may follow.
    ///
    /// # Errors
    /// There is none, or it is too long.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, String> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).await.map_err(|error| format!("no answer: {error}"))?;
        let [low, middle, high, sequence] = head;
        let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        self.read += length;
        if length > PACKET_BYTES_MAX || self.read > BYTES_MAX {
            return Err(format!("its answer has {length} bytes and more, which no answer of a database here has"));
        }
        if sequence != self.sequence {
            return Err("it answers out of turn".to_owned());
        }
        self.sequence = sequence.wrapping_add(1);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(|error| format!("its answer broke off: {error}"))?;
        Ok(body)
    }

    /// # Errors
    /// It cannot be sent.
    pub(super) async fn write(&mut self, body: &[u8]) -> Result<(), String> {
        // What is sent here is short: two bytes of length are enough.
        let [low, middle] = u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes();
        let mut packet = vec![low, middle, 0, self.sequence];
        packet.extend_from_slice(body);
        self.sequence = self.sequence.wrapping_add(1);
        let sent = async {
            self.stream.write_all(&packet).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| format!("it takes nothing: {error}"))
    }
}
