//! A candidate becomes what is served.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use palisade_contract::{Clock, SystemClock};

use super::consider::Candidate;
use crate::admin::{Admin, BoundAdmin};
use crate::generation::Generation;
use crate::loader::Loader;
use crate::plugins::Since;
use crate::state::State;

/// Serves the candidate on every worker, and returns when it is so.
///
/// # Errors
/// A sentence; everything is as it was then.
pub(crate) async fn swap(state: &Arc<State>, loader: &Loader, candidate: Candidate) -> Result<(), String> {
    let Candidate { written, mut plugins, kept: _ } = candidate;
    let config = written.config.clone();
    let admin = admin(state, &config)?;
    state.proxy.replace(&config, loader.parts(&plugins)).await.map_err(|error| error.to_string())?;
    let (number, at) = (state.proxy.generation(), SystemClock.wall());
    plugins.taken_over(Since { generation: number, at });
    state.logs_access.store(config.log.access, Ordering::Relaxed);
    state.serve(Generation { number, written, plugins });
    state.registry.serves(number, at);
    match admin {
        Change::None => {}
        Change::Gone => state.set_admin(None),
        Change::Moved(bound) => match bound.serve(state.clone()) {
            Ok(admin) => {
                tracing::info!(address = %admin.address(), "the admin listener is up");
                state.set_admin(Some(admin));
            }
            Err(error) => tracing::error!("{error}; it stays where it is"),
        },
    }
    Ok(())
}

/// What becomes of the admin listener.
enum Change {
    None,
    Gone,
    Moved(BoundAdmin),
}

/// Another address is bound before anything changes.
fn admin(state: &State, config: &palisade_config::Config) -> Result<Change, String> {
    let wanted = config.admin.map(|admin| admin.bind);
    if wanted == state.served().written.config.admin.map(|admin| admin.bind) {
        return Ok(Change::None);
    }
    match wanted {
        None => Ok(Change::Gone),
        // Of port 0 or not: it may be the very address that is bound.
        Some(address) if state.admin_address() == Some(address) => Ok(Change::None),
        Some(address) => Admin::bind(address).map(Change::Moved).map_err(|error| error.to_string()),
    }
}
