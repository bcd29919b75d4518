//! The endpoints of one worker: from one plan to the next, and until their last connection has ended.

use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use quinn::{Endpoint, EndpointConfig, Runtime, TokioRuntime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::accept::accept;
use super::group::Group;
use super::restrained::Restrained;
use crate::site::{Listening, Worker};

/// One address on one worker. It lives as long as anything of it does.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) group: Arc<Group>,
    pub(super) endpoint: Endpoint,
    /// What the endpoint reads from and writes to.
    pub(super) socket: Arc<Restrained>,
    /// Another listener accepts here.
    taken_over: watch::Sender<()>,
}

impl Socket {
    fn new(group: &Arc<Group>, worker: usize) -> io::Result<Rc<Self>> {
        let mut config = EndpointConfig::default();
        config.cid_generator(group.ids(worker));
        let socket = Restrained::new(TokioRuntime.wrap_udp_socket(group.socket(worker)?)?);
        let endpoint = Endpoint::new_with_abstract_socket(config, None, socket.clone(), Arc::new(TokioRuntime))?;
        Ok(Rc::new(Self { group: group.clone(), endpoint, socket, taken_over: watch::channel(()).0 }))
    }

    /// From now on connections are another listener's: whoever had them until now sees a change. So does the caller, when
    /// yet another one comes.
    pub(super) fn begin(&self, config: Option<&quinn::ServerConfig>) -> watch::Receiver<()> {
        self.endpoint.set_server_config(config.cloned());
        self.taken_over.send_replace(());
        self.taken_over.subscribe()
    }
}

/// A socket that accepts for a listener. Dropping it ends that.
#[derive(Debug)]
struct Accepting {
    socket: Rc<Socket>,
    listening: Rc<Listening>,
    _end: watch::Sender<bool>,
}

/// The endpoints of one worker.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    accepting: Vec<Accepting>,
    /// Those that are being drained, too.
    sockets: Vec<Weak<Socket>>,
    /// Some address is another process's as yet.
    waits: bool,
}

impl Endpoints {
    /// Accepts for these listeners at these addresses, and for no others. What stays is not touched.
    ///
    /// # Errors
    /// A socket cannot be used; the others are.
    pub(crate) fn switch<'a>(
        &mut self,
        wanted: impl Iterator<Item = (&'a Arc<Group>, &'a Rc<Listening>)>,
        worker: &Rc<Worker>,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<()> {
        let mut switched = Ok(());
        self.waits = false;
        let mut before = std::mem::take(&mut self.accepting);
        for (group, listening) in wanted {
            let is_it =
                |known: &Accepting| Arc::ptr_eq(&known.socket.group, group) && Rc::ptr_eq(&known.listening, listening);
            if let Some(place) = before.iter().position(is_it) {
                self.accepting.push(before.swap_remove(place));
                continue;
            }
            if group.bind().is_err() {
                self.waits = true;
                continue;
            }
            match self.socket(group, worker) {
                Ok(socket) => {
                    let (end, ending) = watch::channel(false);
                    tasks.spawn_local(accept(listening.clone(), worker.clone(), socket.clone(), ending));
                    self.accepting.push(Accepting { socket, listening: listening.clone(), _end: end });
                }
                Err(error) => switched = Err(error),
            }
        }
        switched
    }

    /// Whether an address of the last switch was another process's: it may be free by now.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Stops accepting. What is under way is drained by the tasks.
    pub(crate) fn end(&mut self) {
        self.accepting.clear();
        self.waits = false;
    }

    /// The socket of a group: the one that there is, because only one may read from it, or a new one.
    fn socket(&mut self, group: &Arc<Group>, worker: &Worker) -> io::Result<Rc<Socket>> {
        self.sockets.retain(|socket| socket.strong_count() > 0);
        let known = self.sockets.iter().filter_map(Weak::upgrade).find(|socket| Arc::ptr_eq(&socket.group, group));
        if let Some(known) = known {
            return Ok(known);
        }
        let socket = Socket::new(group, worker.index())?;
        self.sockets.push(Rc::downgrade(&socket));
        Ok(socket)
    }
}
