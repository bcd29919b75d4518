//! What all workers are made of: the configuration with its names interned, its certificates read, its counters shared.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use palisade_config::{Action, Config};
use palisade_contract::{Monitor, Name, Names, Plugin};
use rustls::ServerConfig;

use crate::tls::{self, CertificateError};
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

/// What all workers are made of.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) plugins: Vec<Arc<dyn Plugin>>,
    pub(crate) monitor: Arc<dyn Monitor>,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) listeners: Vec<ListenerPlan>,
    pub(crate) logs_access: bool,
}

/// One listener.
#[derive(Debug, Clone)]
pub(crate) struct ListenerPlan {
    pub(crate) name: Name,
    pub(crate) config: Arc<palisade_config::Listener>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) routes: Vec<RoutePlan>,
    pub(crate) leases: Arc<AtomicUsize>,
    /// Connections at the moment, all workers together.
    pub(crate) connections: Arc<AtomicUsize>,
}

/// One route.
#[derive(Debug, Clone)]
pub(crate) struct RoutePlan {
    pub(crate) name: Name,
    pub(crate) config: palisade_config::Route,
    pub(crate) leases: Arc<AtomicUsize>,
}

impl Plan {
    /// Every problem with certificates is found, not only the first.
    ///
    /// # Errors
    /// Certificates or keys cannot be read or used.
    pub(crate) fn new(config: &Config, parts: Parts) -> Result<Self, Vec<PlanError>> {
        let Parts { plugins, monitor, names } = parts;
        let mut problems = Vec::new();
        let mut upstreams = Vec::new();
        for (upstream, version) in config.upstreams.iter().zip(1..) {
            match Upstream::new(upstream, &names, version) {
                Ok(upstream) => upstreams.push(upstream),
                Err(error) => problems.push(error.into()),
            }
        }
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            match ListenerPlan::new(listener, &names) {
                Ok(listener) => listeners.push(listener),
                Err(error) => problems.push(PlanError::Certificate { listener: listener.name.clone(), error }),
            }
        }
        if problems.is_empty() {
            Ok(Self { plugins, monitor, upstreams, listeners, logs_access: config.log.access })
        } else {
            Err(problems)
        }
    }
}

impl ListenerPlan {
    fn new(config: &palisade_config::Listener, names: &Names) -> Result<Self, CertificateError> {
        let routes = match &config.action {
            Action::Routes(routes) => routes.as_slice(),
            Action::RedirectToHttps { .. } => &[],
        };
        let route = |route: &palisade_config::Route| RoutePlan {
            name: names.intern(&route.name),
            config: route.clone(),
            leases: Arc::default(),
        };
        Ok(Self {
            name: names.intern(&config.name),
            tls: config.tls.as_ref().map(|tls| tls::server(tls, config.http)).transpose()?,
            routes: routes.iter().map(route).collect(),
            config: Arc::new(config.clone()),
            leases: Arc::default(),
            connections: Arc::default(),
        })
    }
}
