//! What is served now: asked by the admin listener, changed by reloads alone.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use palisade_contract::{Names, SharedStore};
use palisade_monitor::Registry;
use palisade_proxy::Running;

use crate::admin::Admin;
use crate::generation::Generation;
use crate::reload::{Outcome, Requests};

/// What is served now, and by whom.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) proxy: Running,
    pub(crate) registry: Arc<Registry>,
    /// What plugins share.
    pub(crate) shared: Arc<dyn SharedStore>,
    /// What the numbers of names stand for.
    pub(crate) names: Arc<Names>,
    pub(crate) draining: AtomicBool,
    /// Whoever wants a reload asks here.
    pub(crate) reloads: Requests,
    /// Whether the access log is written.
    pub(crate) logs_access: Arc<AtomicBool>,
    served: Mutex<Arc<Generation>>,
    last: Mutex<Last>,
    admin: Mutex<Option<Admin>>,
}

/// The last time that something was taken over, or was to be.
#[derive(Debug, Clone)]
pub(crate) struct Last {
    pub(crate) outcome: Outcome,
    pub(crate) at: SystemTime,
}

impl State {
    pub(crate) fn new(
        (proxy, registry, shared, names): (Running, Arc<Registry>, Arc<dyn SharedStore>, Arc<Names>),
        reloads: Requests,
        logs_access: Arc<AtomicBool>,
        (first, last): (Generation, Last),
    ) -> Self {
        Self {
            proxy,
            registry,
            shared,
            names,
            draining: AtomicBool::new(false),
            reloads,
            logs_access,
            served: Mutex::new(Arc::new(first)),
            last: Mutex::new(last),
            admin: Mutex::default(),
        }
    }

    /// What is served now. To keep it for long is to keep the code of its plugins.
    pub(crate) fn served(&self) -> Arc<Generation> {
        lock(&self.served).clone()
    }

    pub(crate) fn serve(&self, next: Generation) {
        *lock(&self.served) = Arc::new(next);
    }

    pub(crate) fn last(&self) -> Last {
        lock(&self.last).clone()
    }

    pub(crate) fn set_last(&self, last: Last) {
        *lock(&self.last) = last;
    }

    /// Where the admin listener is, if there is one.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        lock(&self.admin).as_ref().map(Admin::address)
    }

    /// A descriptor of its socket, and the name that it is given by.
    pub(crate) fn lend_admin(&self) -> Option<(String, OwnedFd)> {
        lock(&self.admin).as_ref().and_then(Admin::lend)
    }

    /// This is the admin listener from now on. The one before accepts no more; what it was asked, it still answers.
    pub(crate) fn set_admin(&self, admin: Option<Admin>) {
        let before = std::mem::replace(&mut *lock(&self.admin), admin);
        if let Some(before) = before {
            before.stop();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
