//! The layer: plugins and a way to know clients in, services with a chain around them out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;

use http::Extensions;
use palisade_contract::{Name, Plugin, Scheme};
use tower_layer::Layer;

use crate::chains::Chains;
use crate::service::PalisadeService;

/// How a layer is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads with a chain each, one for every two cores by default.
    pub threads: NonZeroUsize,
    /// Bytes of stack of each of these threads. What the engine's guests may use, and 256 KiB more, has to fit.
    pub stack_bytes: usize,
    /// Whether clients speak TLS to the server.
    pub scheme: Scheme,
    /// Where the server listens, as far as plugins are told.
    pub local: SocketAddr,
    /// The listener's name, of the names that the engine has; none by default.
    pub listener: Name,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            threads: NonZeroUsize::new(cores.div_ceil(2)).unwrap_or(NonZeroUsize::MIN),
            stack_bytes: 2 << 20,
            scheme: Scheme::Https,
            local: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            listener: Name::NONE,
        }
    }
}

/// Puts a chain of plugins around services. Cheap to clone; its threads end with the last clone, the last service and the
/// last exchange.
#[derive(Debug, Clone)]
pub struct PalisadeLayer {
    shared: Arc<Shared>,
}

/// What all services of one layer have.
pub(crate) struct Shared {
    pub(crate) chains: Chains,
    pub(crate) options: Options,
    pub(crate) client: Box<ClientOf>,
}

type ClientOf = dyn Fn(&Extensions) -> Option<SocketAddr> + Send + Sync;

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared").field("chains", &self.chains).field("options", &self.options).finish_non_exhaustive()
    }
}

impl PalisadeLayer {
    /// A layer with these plugins, in this order. The client's address is what is found for it in a request's extensions; a
    /// request without one is refused.
    ///
    /// Waits until each thread has its chain, with a warm instance of every plugin.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn new(
        plugins: &[Arc<dyn Plugin>],
        options: &Options,
        client: impl Fn(&Extensions) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let chains = Chains::start(plugins, options)?;
        Ok(Self { shared: Arc::new(Shared { chains, options: options.clone(), client: Box::new(client) }) })
    }
}

impl<S> Layer<S> for PalisadeLayer {
    type Service = PalisadeService<S>;

    fn layer(&self, inner: S) -> PalisadeService<S> {
        PalisadeService::new(self.shared.clone(), inner)
    }
}
