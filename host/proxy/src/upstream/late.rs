//! An answer that is awaited, in; whoever keeps it waiting for too long, out.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::body::Upload;
use crate::moment;

/// Who kept an exchange waiting for too long.
pub(crate) enum Late {
    /// The client stopped in the middle of its body.
    Client,
    /// The endpoint did not answer.
    Endpoint,
}

/// Awaits the answer for this long after the end of the request. While the body waits for the client, it is the client's
/// time that runs, not the endpoint's.
pub(crate) async fn within<R>(limit: Duration, upload: &Upload, answer: impl Future<Output = R>) -> Result<R, Late> {
    let mut answer = pin!(answer);
    let began = moment::now();
    let mut timer = pin!(tokio::time::sleep(limit.min(upload.patience())));
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            () = &mut timer => {
                let (limit, late) =
                    if upload.awaits_client() { (upload.patience(), Late::Client) } else { (limit, Late::Endpoint) };
                let (now, end) = (Instant::now(), upload.moved().max(began) + limit);
                if now >= end {
                    return Err(late);
                }
                // What happens meanwhile may start the other limit.
                timer.as_mut().reset(end.min(now + limit.min(upload.patience())));
            }
        }
    }
}
