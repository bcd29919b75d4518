//! The end of a connection whose client may still be sending.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long a client may go on sending to a connection that was answered for the last time.
const LIMIT: Duration = Duration::from_secs(2);

const PIECE_BYTES: usize = 16 << 10;

/// Ends our side, and takes what the client still sends until it has ended its own. To close at once with bytes unread
/// would reset the connection, and the client could lose the answer that says why (RFC 9112, section 9.6).
pub(crate) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let discard = async {
        stream.shutdown().await?;
        let mut piece = vec![0; PIECE_BYTES];
        while stream.read(&mut piece).await? > 0 {}
        std::io::Result::Ok(())
    };
    // However it ends, the connection has ended.
    let _ = tokio::time::timeout(LIMIT, discard).await;
}

/// Ends our side in good order, within TLS too.
pub(crate) async fn close_well(mut stream: impl AsyncWrite + Unpin) {
    // However it ends, the connection has ended.
    let _ = tokio::time::timeout(LIMIT, stream.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_client_may_finish_but_not_go_on_for_ever() {
        for (finishes, expected) in [(true, Duration::from_secs(1)), (false, LIMIT)] {
            let (mut client, host) = tokio::io::duplex(8);
            let began = Instant::now();
            let sending = async {
                while client.write_all(b"more").await.is_ok() && !(finishes && began.elapsed() >= expected) {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                drop(client);
            };
            tokio::join!(sending, async {
                linger(host).await;
                assert_eq!(began.elapsed(), expected);
            });
        }
    }
}
