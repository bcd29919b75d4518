//! One socket of one worker: connections are accepted for a listener, and drained when it is no longer theirs.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use palisade_config::ListenerProtocol;
use palisade_contract::{ListenerMonitor, Refusal};
use pin_project_lite::pin_project;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::moment::InTurns;
use crate::site::{Listening, Worker};
use crate::sockets::BACKLOG;
use crate::{client, stream};

/// After the kernel could not hand over a connection: most often there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Connections that are accepted before everybody else has a turn.
const ACCEPTED_IN_TURN: usize = 16;

/// Accepts for a listener until `end` is true or has nobody who could make it so, then waits for what is under way for as
/// long as the worker's drain limit says, and cuts what is left.
pub(crate) async fn accept(
    listening: Rc<Listening>,
    worker: Rc<Worker>,
    socket: Rc<TcpListener>,
    end: watch::Receiver<bool>,
) {
    let mut connections = Connections { listening, end, tasks: JoinSet::new() };
    connections.accept(&socket).await;
    // Another listener may have the address by now, or another process. Where none has, whoever the kernel has let in already is served.
    if let Some(socket) = Rc::into_inner(socket).filter(|_| !worker.is_handed_over()) {
        connections.take_queued(socket);
    }
    drain(&connections.listening, connections.tasks, worker.drain_limit()).await;
}

/// The connections that one socket brought.
struct Connections {
    listening: Rc<Listening>,
    end: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Connections {
    async fn accept(&mut self, socket: &TcpListener) {
        let mut end = self.end.clone();
        let mut accepted_in_turn = 0;
        loop {
            tokio::select! {
                biased;
                _ = end.wait_for(|end| *end) => return,
                accepted = socket.accept() => match accepted {
                    Ok((stream, client)) => {
                        self.serve(stream, client);
                        accepted_in_turn = (accepted_in_turn + 1) % ACCEPTED_IN_TURN;
                        if accepted_in_turn == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    Err(error) => {
                        let listener = self.listening.site().config.name.clone();
                        tracing::warn!(%listener, %error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn serve(&mut self, stream: TcpStream, client: SocketAddr) {
        let site = self.listening.site();
        site.monitor.connection_opened();
        let closed = Closed::new(site.monitor.clone());
        let place = match site.place(client) {
            Ok(place) => place,
            Err(why) => return site.refused(client, why, None),
        };
        let (listening, held) = (self.listening.clone(), (closed, place));
        match site.config.protocol {
            // It asks for the site of the moment: that of its beginning, with its plugins, is not kept for as long as it is.
            ListenerProtocol::Http => {
                self.tasks
                    .spawn_local(Holding::new(client::run(listening, (stream.into(), client), self.end.clone()), held));
            }
            ListenerProtocol::Tcp => {
                let serving = async move { stream::run(&listening.site(), stream.into(), client).await };
                self.tasks.spawn_local(Holding::new(serving, held));
            }
        }
    }

    /// Closing a socket resets the connections that were never accepted, though their clients believe to have one.
    fn take_queued(&mut self, socket: TcpListener) {
        let Ok(socket) = socket.into_std() else { return };
        for _ in 0..BACKLOG {
            let Ok((stream, client)) = socket.accept() else { return };
            if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                self.serve(stream, client);
            }
        }
    }
}

/// Waits for the connections of one socket to end, and cuts and counts those that have not within the limit.
pub(crate) async fn drain(listening: &Listening, mut tasks: JoinSet<()>, limit: Duration) {
    let finished = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(limit, finished).await.is_err() {
        let (site, cut) = (listening.site(), tasks.len());
        tracing::warn!(listener = %site.config.name, cut, "connections were cut: the time to drain was over");
        (0..cut).for_each(|_| site.monitor.connection_refused(Refusal::Drain));
        tasks.shutdown().await;
    }
}

pin_project! {
    /// A future, each of whose polls is a turn, and what is held until it has ended. An async block would have the future twice.
    struct Holding<F, H> {
        #[pin]
        future: InTurns<F>,
        _held: H,
    }
}

impl<F, H> Holding<F, H> {
    fn new(future: F, held: H) -> Self {
        Self { future: InTurns::new(future), _held: held }
    }
}

impl<F: Future, H> Future for Holding<F, H> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(context)
    }
}

/// Says that a connection is gone, however its task ends.
pub(crate) struct Closed(Arc<dyn ListenerMonitor>);

impl Closed {
    pub(crate) fn new(monitor: Arc<dyn ListenerMonitor>) -> Self {
        Self(monitor)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}
