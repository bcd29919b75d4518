//! What one worker serves, and what of it stays when the plan changes: sockets, filters, connections to endpoints.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use palisade_config::{ChainEntry, ChainMode};
use palisade_contract::{Chain, Entry, Filter, Plugin, WorkerServices};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::accept::accept;
use crate::plan::{ListenerPlan, Plan, RoutePlan};
use crate::quic::{Endpoints, overheard};
use crate::routes::Routes;
use crate::site::{Listening, Site, Way, Worker};
use crate::sockets::{Addresses, SocketId, Sockets};
use crate::ticking::Ticking;
use crate::tls::Fingerprinting;
use crate::upstream::{Pools, Upstreams};
use crate::worker::Switch;

/// What one worker serves.
pub(crate) struct Serving {
    worker: Rc<Worker>,
    services: WorkerServices,
    /// Every plugin of the plan, opened on this worker.
    plugins: Vec<(Arc<dyn Plugin>, Rc<dyn Filter>)>,
    /// The timers of these, on the first worker.
    ticking: Ticking,
    pools: Vec<Rc<Pools>>,
    /// The same, for plugins that send requests.
    upstreams: Rc<Upstreams>,
    listeners: Vec<Rc<Listening>>,
    accepting: Vec<Accepting>,
    /// The same for HTTP/3.
    endpoints: Endpoints,
    /// Those of the plan, until accepting ends.
    addresses: Option<Arc<Addresses>>,
    /// One for each socket that accepts or still has connections.
    tasks: JoinSet<()>,
}

/// A socket that accepts for a listener. Dropping it ends that.
struct Accepting {
    id: SocketId,
    socket: Rc<TcpListener>,
    listening: Rc<Listening>,
    _end: watch::Sender<bool>,
}

impl Serving {
    /// Nothing yet.
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        let upstreams = Rc::<Upstreams>::default();
        Self {
            worker: worker.clone(),
            services: WorkerServices { fetch: upstreams.clone() },
            upstreams,
            plugins: Vec::new(),
            ticking: Ticking::default(),
            pools: Vec::new(),
            listeners: Vec::new(),
            accepting: Vec::new(),
            endpoints: Endpoints::default(),
            addresses: None,
            tasks: JoinSet::new(),
        }
    }

    /// Serves this plan from the next request on.
    ///
    /// # Errors
    /// A new socket cannot be used. Everything else of the plan is served all the same.
    pub(crate) fn switch(&mut self, next: Switch) -> io::Result<()> {
        let Switch { plan, addresses, sockets } = next;
        self.worker.set_drain_limit(plan.drain_limit);
        self.open_plugins(&plan);
        self.open_pools(&plan);
        self.listeners = plan.listeners.iter().map(|listener| self.listening(listener, &plan)).collect();
        let (sockets, registered) = self.sockets(sockets);
        let mut before = std::mem::take(&mut self.accepting);
        for address in addresses.iter() {
            let listening = self.listeners.iter().find(|listening| listening.site().config.name == address.listener);
            let socket = sockets.iter().find(|(id, _)| *id == address.id);
            let (Some(listening), Some((id, socket))) = (listening.cloned(), socket) else { continue };
            let is_it = |known: &Accepting| known.id == *id && Rc::ptr_eq(&known.listening, &listening);
            let accepting = match before.iter().position(is_it) {
                Some(place) => before.swap_remove(place),
                None => self.accept(*id, socket.clone(), listening),
            };
            self.accepting.push(accepting);
        }
        self.addresses = Some(addresses);
        registered.and(self.switch_endpoints())
    }

    /// Accepts over UDP where that is wanted and the address is free.
    fn switch_endpoints(&mut self) -> io::Result<()> {
        let Some(addresses) = &self.addresses else { return Ok(()) };
        let wanted = addresses.iter().filter_map(|address| {
            let listening = self.listeners.iter().find(|listening| listening.site().config.name == address.listener);
            address.quic.as_ref().zip(listening)
        });
        self.endpoints.switch(wanted, &self.worker, &mut self.tasks)
    }

    /// Those that accept already, and the new ones.
    fn sockets(&self, new: Sockets) -> (Vec<(SocketId, Rc<TcpListener>)>, io::Result<()>) {
        let known = self.accepting.iter().map(|accepting| (accepting.id, accepting.socket.clone()));
        let mut sockets: Vec<_> = known.collect();
        let mut registered = Ok(());
        for (id, socket) in new {
            match TcpListener::from_std(socket) {
                Ok(socket) => sockets.push((id, Rc::new(socket))),
                Err(error) => registered = Err(error),
            }
        }
        (sockets, registered)
    }

    /// Descriptors of the sockets that are accepted on.
    pub(crate) fn lend(&self) -> Vec<(String, OwnedFd)> {
        let lent = self.accepting.iter().filter_map(|accepting| {
            let descriptor = accepting.socket.as_fd().try_clone_to_owned().ok()?;
            Some((accepting.listening.site().config.name.clone(), descriptor))
        });
        lent.collect()
    }

    /// Stops accepting. What is under way is drained by the tasks.
    pub(crate) fn end(&mut self) {
        self.accepting.clear();
        self.endpoints.end();
        self.addresses = None;
    }

    /// Waits for the end of a socket's task; none is left where it says so.
    pub(crate) async fn ended(&mut self) -> Option<()> {
        self.tasks.join_next().await.map(drop)
    }

    /// Closes connections to endpoints that were not used for too long, and looks whether an address that another process had
    /// is free.
    pub(crate) fn sweep(&mut self) {
        self.pools.iter().for_each(|pools| pools.sweep());
        if self.endpoints.waits()
            && let Err(error) = self.switch_endpoints()
        {
            tracing::error!(%error, "an address is not listened on by this worker; the others do");
        }
    }

    /// A plugin that is the same keeps its filter, and with it its instance.
    fn open_plugins(&mut self, plan: &Plan) {
        let before = std::mem::take(&mut self.plugins);
        let is_same = |one: &Arc<dyn Plugin>, other: &Arc<dyn Plugin>| {
            std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other)) && one.name() == other.name()
        };
        self.plugins = plan
            .plugins
            .iter()
            .map(|plugin| {
                let known = before.iter().find(|(known, _)| is_same(known, plugin));
                let filter = known.map_or_else(|| plugin.open(&self.services), |(_, filter)| filter.clone());
                (plugin.clone(), filter)
            })
            .collect();
        drop(before);
        if self.worker.is_first() {
            self.ticking.serve(self.plugins.iter().map(|(_, filter)| filter));
        }
        self.worker.serves(self.plugins.iter().map(|(_, filter)| filter));
    }

    /// An upstream that is the same keeps its connections.
    fn open_pools(&mut self, plan: &Plan) {
        let before = std::mem::take(&mut self.pools);
        self.pools = plan
            .upstreams
            .iter()
            .map(|upstream| {
                let known = before.iter().find(|pools| Arc::ptr_eq(&pools.upstream, upstream));
                known.map_or_else(|| Pools::new(upstream, &plan.monitor), Clone::clone)
            })
            .collect();
        self.upstreams.set(&self.pools);
        let is_gone = |pools: &&Rc<Pools>| !self.pools.iter().any(|kept| Rc::ptr_eq(kept, pools));
        before.iter().filter(is_gone).for_each(|pools| pools.retire());
    }

    /// A listener as it is served now. Connections of one that stays see it with their next request. One that changes
    /// between TLS and clear text, or HTTP and TCP, is another one.
    fn listening(&self, listener: &ListenerPlan, plan: &Plan) -> Rc<Listening> {
        let known = self.listeners.iter().find(|known| {
            let site = known.site();
            site.config.name == listener.config.name
                && site.config.protocol == listener.config.protocol
                && site.tls.is_some() == listener.tls.is_some()
        });
        let site = self.site(listener, plan, known.map(|known| known.site()));
        match known {
            Some(known) => {
                known.replace(site);
                known.clone()
            }
            None => Listening::new(site),
        }
    }

    fn site(&self, listener: &ListenerPlan, plan: &Plan, before: Option<Rc<Site>>) -> Rc<Site> {
        let chain = |entries: &[ChainEntry], leases: &Arc<AtomicUsize>| {
            let entries: Vec<Entry> = entries.iter().filter_map(|entry| self.entry(*entry, plan)).collect();
            Chain::counted(&entries, leases.clone())
        };
        let way = |route: &RoutePlan| {
            Way::new((route.name, chain(&route.config.chain, &route.leases)), &route.config, &self.pools)
        };
        let routes: Vec<palisade_config::Route> = listener.routes.iter().map(|route| route.config.clone()).collect();
        let patience = routes.iter().filter_map(|route| route.streams.body_timeout);
        let patience_min = patience.chain([listener.config.limits.body_timeout]).min().unwrap_or_default();
        let monitor = before.map(|before| before.monitor.clone());
        let own = chain(&listener.config.chain, &listener.leases);
        let ways: Vec<Way> = listener.routes.iter().filter_map(way).collect();
        let reads_tls = ways.iter().map(|way| &way.chain).chain([&own]).any(|chain| chain.reads_tls());
        let fingerprinting = if reads_tls { Fingerprinting::Ja4 } else { Fingerprinting::Off };
        Rc::new(Site {
            generation: plan.generation,
            name: listener.name,
            config: listener.config.clone(),
            tls: listener.tls.as_ref().map(|tls| tls.rustls.clone()),
            quic: listener.quic.as_ref().map(|quic| overheard(quic, fingerprinting)),
            connections: listener.connections.clone(),
            monitor: monitor.unwrap_or_else(|| plan.monitor.listener(&listener.config.name)),
            logs_access: plan.logs_access,
            worker: self.worker.clone(),
            challenges: plan.common.challenges.clone(),
            fingerprinting,
            chain: own,
            routes: Routes::new(&routes),
            ways,
            patience_min,
        })
    }

    /// A plugin's place in a chain, on this worker.
    fn entry(&self, ChainEntry { plugin, mode }: ChainEntry, plan: &Plan) -> Option<Entry> {
        let (_, filter) = self.plugins.get(plugin)?;
        let shadow = match mode {
            ChainMode::Enforce => None,
            ChainMode::Shadow => Some(plan.monitor.shadow(filter.name(), filter.phases())),
        };
        Some(Entry { filter: filter.clone(), shadow })
    }

    fn accept(&mut self, id: SocketId, socket: Rc<TcpListener>, listening: Rc<Listening>) -> Accepting {
        let (end, ending) = watch::channel(false);
        self.tasks.spawn_local(accept(listening.clone(), self.worker.clone(), socket.clone(), ending));
        Accepting { id, socket, listening, _end: end }
    }
}
