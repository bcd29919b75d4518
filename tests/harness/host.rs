//! A host within this process, on a thread of its own.

use std::net::SocketAddr;
use std::thread;

use palisade_config::Config;
use tokio::sync::oneshot;

use crate::Process;

/// Where the host of a test runs.
#[derive(Debug)]
pub(crate) enum Host {
    InProcess(InProcess),
    Process(Process),
}

/// A host on a thread of this process. Dropping it ends the host without waiting.
#[derive(Debug)]
pub(crate) struct InProcess {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// Each listener's name and address, and the admin listener's.
type Addresses = (Vec<(String, SocketAddr)>, SocketAddr);

impl InProcess {
    pub(crate) async fn start(config: Config) -> (Self, Vec<(String, SocketAddr)>, SocketAddr) {
        let (tell, told) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("host".into());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(run(config, tell, stopped));
            let _ = end.send(());
        };
        thread.spawn(run).expect("a thread for the host");
        let started = told.await.expect("a host that does not panic");
        let (addresses, admin) = started.unwrap_or_else(|error| panic!("the host did not start: {error}"));
        (Self { stop, ended }, addresses, admin)
    }

    pub(crate) async fn shut_down(self) {
        let _ = self.stop.send(());
        self.ended.await.expect("a host that does not panic");
    }
}

async fn run(config: Config, tell: oneshot::Sender<Result<Addresses, String>>, stopped: oneshot::Receiver<()>) {
    let host = match palisade::Host::start(config).await {
        Ok(host) => host,
        Err(error) => return drop(tell.send(Err(error.to_string()))),
    };
    let admin = host.admin_address().expect("an admin listener");
    let _ = tell.send(Ok((host.addresses(), admin)));
    if stopped.await.is_ok() {
        host.shut_down().await;
    }
}
