//! What all workers are made of: the configuration with its names interned, its certificates read, its counters shared.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use palisade_config::{Action, ChainEntry, Config};
use palisade_contract::{Monitor, Name, Names, Plugin};

use crate::places::Places;
use crate::quic;
use crate::tls::{CertificateError, ServerTls};
use crate::upstream::{Upstream, UpstreamTlsError};

/// Everything that the proxy is given by whoever runs it.
#[derive(Debug, Clone)]
pub struct Parts {
    /// In the order of the configuration: its chains name them by index.
    pub plugins: Vec<Arc<dyn Plugin>>,
    /// Where exchanges and connections are counted and logged.
    pub monitor: Arc<dyn Monitor>,
    /// The numbers of names.
    pub names: Arc<Names>,
}

/// Why a configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A listener's certificate.
    #[error("listener {listener:?}: {error}")]
    Certificate {
        /// The listener.
        listener: String,
        /// What is wrong.
        error: CertificateError,
    },
    /// An upstream's certificates.
    #[error(transparent)]
    Upstream(#[from] UpstreamTlsError),
}

/// What all workers are made of, by one configuration.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Which of the plans of this process it is, from one.
    pub(crate) generation: u64,
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) monitor: Arc<dyn Monitor>,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) listeners: Vec<ListenerPlan>,
    pub(crate) logs_access: bool,
    /// How long what is under way may go on after its listener has gone.
    pub(crate) drain_limit: Duration,
    /// The last version that an upstream was given.
    upstream_version: u64,
}

/// One listener.
#[derive(Debug, Clone)]
pub(crate) struct ListenerPlan {
    pub(crate) name: Name,
    pub(crate) config: Arc<palisade_config::Listener>,
    pub(crate) tls: Option<Arc<ServerTls>>,
    /// Where HTTP/3 is spoken.
    pub(crate) quic: Option<Arc<quinn::ServerConfig>>,
    pub(crate) routes: Vec<RoutePlan>,
    pub(crate) leases: Arc<AtomicUsize>,
    /// Connections at the moment, all workers and all plans together.
    pub(crate) connections: Arc<Places>,
}

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct RoutePlan {
    pub(crate) name: Name,
    pub(crate) config: palisade_config::Route,
    pub(crate) leases: Arc<AtomicUsize>,
}

impl Plan {
    /// The plan of this configuration, with everything of the one before that stays as it was. Every problem with
    /// certificates is found, not only the first.
    ///
    /// # Errors
    /// Certificates or keys cannot be read or used.
    pub(crate) fn next(config: &Config, parts: Parts, before: Option<&Self>) -> Result<Self, Vec<PlanError>> {
        let Parts { plugins, monitor, names } = parts;
        let mut problems = Vec::new();
        let mut upstreams = Vec::new();
        let mut upstream_version = before.map_or(0, |before| before.upstream_version);
        for upstream in &config.upstreams {
            upstream_version += 1;
            let known = before.and_then(|before| before.upstream(&upstream.name));
            match Upstream::next(upstream, known, &names, upstream_version) {
                Ok(upstream) => upstreams.push(upstream),
                Err(error) => problems.push(error.into()),
            }
        }
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            match ListenerPlan::next(listener, before.and_then(|before| before.listener(&listener.name)), &names) {
                Ok(listener) => listeners.push(listener),
                Err(error) => problems.push(PlanError::Certificate { listener: listener.name.clone(), error }),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            generation: before.map_or(0, |before| before.generation) + 1,
            plugins,
            monitor,
            upstreams,
            listeners,
            logs_access: config.log.access,
            drain_limit: config.shutdown.drain,
            upstream_version,
        })
    }

    /// The count of leases of each chain, with the plugins that are in it.
    pub(crate) fn chains(&self) -> impl Iterator<Item = CountedChain> {
        let of = |chain: &[ChainEntry], leases: &Arc<AtomicUsize>| {
            let plugins = chain.iter().filter_map(|entry| self.plugins.get(entry.plugin));
            CountedChain { plugins: plugins.map(|plugin| plugin.name().to_owned()).collect(), leases: leases.clone() }
        };
        self.listeners.iter().flat_map(move |listener| {
            let routes = listener.routes.iter().map(move |route| of(&route.config.chain, &route.leases));
            std::iter::once(of(&listener.config.chain, &listener.leases)).chain(routes)
        })
    }

    fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams.iter().find(|upstream| upstream.config.name == name)
    }

    fn listener(&self, name: &str) -> Option<&ListenerPlan> {
        self.listeners.iter().find(|listener| listener.config.name == name)
    }
}

/// The leases of one chain, all workers together.
#[derive(Debug)]
pub(crate) struct CountedChain {
    pub(crate) plugins: Vec<String>,
    pub(crate) leases: Arc<AtomicUsize>,
}

impl ListenerPlan {
    fn next(
        config: &palisade_config::Listener,
        before: Option<&Self>,
        names: &Names,
    ) -> Result<Self, CertificateError> {
        let routes = match &config.action {
            Action::Routes(routes) => routes.as_slice(),
            Action::RedirectToHttps { .. } => &[],
        };
        let route = |route: &palisade_config::Route| RoutePlan {
            name: names.intern(&route.name),
            config: route.clone(),
            leases: Arc::default(),
        };
        let known = before.and_then(|before| before.tls.as_ref());
        let tls = config.tls.as_ref().map(|tls| ServerTls::new(tls, config.http, known)).transpose()?;
        let over_quic = tls.as_ref().filter(|_| config.http.h3);
        let quic = over_quic.map(|tls| quic::server(&tls.rustls, &config.limits)).transpose()?;
        Ok(Self {
            name: names.intern(&config.name),
            tls,
            quic,
            routes: routes.iter().map(route).collect(),
            config: Arc::new(config.clone()),
            leases: Arc::default(),
            connections: before.map_or_else(Arc::default, |before| before.connections.clone()),
        })
    }
}
