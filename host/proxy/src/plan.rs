//! What all workers are made of: the configuration with its names interned, its certificates read, its counters shared.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use palisade_config::{Action, ChainEntry, Config};
use palisade_contract::{Monitor, Name, Names, Plugin};

use crate::places::Places;
use crate::quic;
use crate::tls::{self, CertificateError, ServerTls, ShownCertificate};
use crate::upstream::{Upstream, UpstreamError, UpstreamTlsError};

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
    /// A listener's certificate has gone bad, and is shown as it was.
    #[error("listener {listener:?}: {error}; what was read before is shown on")]
    Kept {
        /// The listener.
        listener: String,
        /// What is wrong.
        error: CertificateError,
    },
    /// An upstream's certificates.
    #[error(transparent)]
    Upstream(#[from] UpstreamTlsError),
    /// The file with an upstream's endpoints.
    #[error("upstream {upstream:?}: its endpoints cannot be read: {reason}")]
    Endpoints {
        /// The upstream.
        upstream: String,
        /// What is wrong.
        reason: String,
    },
    /// An upstream's certificates have gone bad, and are as they were.
    #[error("{0}; what was read before holds on")]
    KeptUpstream(UpstreamTlsError),
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
    /// What its listeners' TLS has in common.
    pub(crate) common: tls::Common,
    /// What of it is not as it stands on disk.
    pub(crate) kept: Vec<PlanError>,
}

/// One listener.
#[derive(Debug, Clone)]
pub(crate) struct ListenerPlan {
    pub(crate) name: Name,
    pub(crate) config: Arc<palisade_config::Listener>,
    pub(crate) tls: Option<Arc<ServerTls>>,
    /// Where HTTP/3 is spoken.
    pub(crate) quic: Option<Arc<quinn::ServerConfig>>,
    /// Where early data is taken.
    sessions: Option<quic::Sessions>,
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
    /// Certificates or keys cannot be read or used, and never were.
    pub(crate) fn next(config: &Config, parts: Parts, before: Option<&Self>) -> Result<Self, Vec<PlanError>> {
        let Parts { plugins, monitor, names } = parts;
        let (mut problems, mut kept) = (Vec::new(), Vec::new());
        let mut upstreams = Vec::new();
        let zone = config.zone.as_deref().map_or(Name::NONE, |zone| names.intern(zone));
        for upstream in &config.upstreams {
            let known = before.and_then(|before| before.upstream(&upstream.name));
            match Upstream::next((upstream, &config.dns), known, (&names, zone)) {
                Ok((upstream, error)) => {
                    upstreams.push(upstream);
                    kept.extend(error.map(PlanError::KeptUpstream));
                }
                Err(UpstreamError::Tls(error)) => problems.push(error.into()),
                Err(UpstreamError::File { upstream, reason }) => {
                    problems.push(PlanError::Endpoints { upstream, reason })
                }
            }
        }
        let mut listeners = Vec::new();
        let mut common = before.map(|before| before.common.clone()).unwrap_or_default();
        for config in &config.listeners {
            let known = before.and_then(|before| before.listener(&config.name));
            let listener = config.name.clone();
            match tls(config, known, &mut common) {
                Ok((secure, errors)) => {
                    kept.extend(errors.into_iter().map(|error| PlanError::Kept { listener: listener.clone(), error }));
                    listeners.push(ListenerPlan::next(config, secure, known, &names));
                }
                Err(errors) => {
                    let errors = errors.into_iter();
                    problems.extend(errors.map(|error| PlanError::Certificate { listener: listener.clone(), error }));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        common.retain(config);
        Ok(Self {
            generation: before.map_or(0, |before| before.generation) + 1,
            plugins,
            monitor,
            upstreams,
            listeners,
            logs_access: config.log.access,
            drain_limit: config.shutdown.drain,
            common,
            kept,
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

    /// What is known of every certificate that is shown.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = ShownCertificate> {
        self.listeners.iter().flat_map(|listener| listener.tls.iter().flat_map(|tls| tls.known(&listener.config.name)))
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
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

/// A listener's TLS, and what its QUIC is made of.
#[derive(Debug, Default)]
struct Secure {
    tls: Option<Arc<ServerTls>>,
    quic: Option<Arc<quinn::ServerConfig>>,
    sessions: Option<quic::Sessions>,
}

/// A listener's TLS, with why certificates of it are as they were before.
type Tls = (Secure, Vec<CertificateError>);

fn tls(
    config: &palisade_config::Listener,
    before: Option<&ListenerPlan>,
    common: &mut tls::Common,
) -> Result<Tls, Vec<CertificateError>> {
    let Some(tls) = &config.tls else { return Ok((Secure::default(), Vec::new())) };
    let sessions = quic::Sessions::next(config, before.and_then(|before| before.sessions.as_ref()));
    let before = before.and_then(|before| before.tls.as_ref());
    let tls::Next { tls, kept } = ServerTls::next(tls, config.http, before, common)?;
    let quic = config.http.h3.then(|| quic::server(&tls.rustls, &config.limits, sessions.as_ref())).transpose();
    let quic = quic.map_err(|error| vec![error.into()])?;
    Ok((Secure { tls: Some(tls), quic, sessions }, kept))
}

impl ListenerPlan {
    fn next(
        config: &palisade_config::Listener,
        Secure { tls, quic, sessions }: Secure,
        before: Option<&Self>,
        names: &Names,
    ) -> Self {
        let routes = match &config.action {
            Action::Routes(routes) => routes.as_slice(),
            Action::RedirectToHttps { .. } => &[],
        };
        let route = |route: &palisade_config::Route| RoutePlan {
            name: names.intern(&route.name),
            config: route.clone(),
            leases: Arc::default(),
        };
        Self {
            name: names.intern(&config.name),
            tls,
            quic,
            sessions,
            routes: routes.iter().map(route).collect(),
            config: Arc::new(config.clone()),
            leases: Arc::default(),
            connections: before.map_or_else(Arc::default, |before| before.connections.clone()),
        }
    }
}
