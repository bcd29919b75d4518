//! What follows a 101, or the 200 that it is over HTTP/2 and HTTP/3: bytes both ways, until one side ends, breaks off, or both are silent for too long.
//!
//! A tunnel is the rest of its exchange. It owns the record, the chain's lease and the endpoint's connection, and runs
//! where the client's connection or stream did: whatever ends that task ends the tunnel.

pub(crate) mod relay;

use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use palisade_contract::{Ending, UpstreamFault};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::activity::Activity;
use crate::io::Abort;
use crate::record::Record;
use crate::upstream::Connection;

use relay::{End, Relay};

/// A tunnel that opens when the client has its 101.
pub(crate) struct Tunnel {
    record: Box<Record>,
    connection: Connection,
    endpoint: OnUpgrade,
    timeout: Duration,
    /// What the client had sent when it was granted.
    received: u64,
}

impl Tunnel {
    /// To be opened after the answer that is on its way. What the client has sent up to now is not for the tunnel.
    pub(crate) fn new(
        (record, activity): (Box<Record>, &Activity),
        connection: Connection,
        endpoint: OnUpgrade,
        timeout: Duration,
    ) -> Self {
        Self { record, connection, endpoint, timeout, received: activity.received() }
    }

    /// Passes bytes both ways until the end. `read` is what was read of the client beyond its request.
    pub(crate) async fn run<S>(mut self, client: S, activity: &Activity, read: Bytes)
    where
        S: AsyncRead + AsyncWrite + Abort + Unpin,
    {
        let since = activity.received().saturating_sub(self.received);
        if u64::try_from(read.len()).unwrap_or(u64::MAX) > since {
            // It may be a request that another proxy took for the tunnel's: neither is it passed on nor answered.
            self.record.truncated("the client sent bytes before its upgrade was answered".to_owned());
            return client.abort();
        }
        let (end, client) = match self.endpoint.await {
            Ok(endpoint) => {
                let mut relay = Relay::new(client, TokioIo::new(endpoint), read);
                let end = relay.run(self.timeout, &mut self.record).await;
                (end, relay.into_sides().0)
            }
            Err(error) => (End::Endpoint(std::io::Error::other(error)), client),
        };
        match end {
            End::Both => self.record.ended(Ending::Complete),
            End::Client => self.record.ended(Ending::ClientGone),
            End::Endpoint(error) => {
                self.connection.failed(UpstreamFault::Body);
                self.record.truncated(format!("the endpoint's side of the tunnel broke off: {error}"));
                client.abort();
            }
            // None is shown what passes a tunnel.
            End::Stopped(_) => client.abort(),
            End::Silence => {
                self.record.truncated("nothing passed the tunnel for too long".to_owned());
                client.abort();
            }
        }
    }
}
