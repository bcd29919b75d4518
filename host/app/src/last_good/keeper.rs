//! Writes down what is served, on a thread of its own, and only the newest of what waits to be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Contents, LastGood, PluginFile};
use crate::generation::Generation;
use crate::state::State;

/// How long an ending host waits for its last copy.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Has copies made. Dropping it has the last one made that is due.
#[derive(Debug)]
pub(crate) struct Keeper(Option<watch::Sender<Option<Arc<Generation>>>>);

/// Makes them.
#[derive(Debug)]
pub(crate) struct Keeping(Option<JoinHandle<()>>);

impl Keeper {
    /// Into this place, or nowhere.
    pub(crate) fn start(place: Option<LastGood>) -> (Self, Keeping) {
        let Some(place) = place else { return (Self(None), Keeping(None)) };
        let (send, receive) = watch::channel(None);
        (Self(Some(send)), Keeping(Some(tokio::spawn(keep(place, receive)))))
    }

    /// What is served now is to be kept, if every plugin of it runs.
    pub(crate) fn keep(&self, state: &State) {
        let served = state.served();
        if let Some(keep) = &self.0
            && served.plugins.failed().next().is_none()
        {
            keep.send_replace(Some(served));
        }
    }
}

impl Keeping {
    /// Waits for the last copy, once the keeper is dropped.
    pub(crate) async fn end(self) {
        if let Some(task) = self.0 {
            let _ = tokio::time::timeout(END_LIMIT, task).await;
        }
    }
}

async fn keep(place: LastGood, mut generations: watch::Receiver<Option<Arc<Generation>>>) {
    // Also once more where the other end is gone and something is due.
    while generations.changed().await.is_ok() {
        let Some(generation) = generations.borrow_and_update().clone() else { continue };
        let place = place.clone();
        let writing = tokio::task::spawn_blocking(move || write(&place, &generation));
        if let Ok(Err(error)) = writing.await {
            tracing::warn!(%error, "what is served was not kept: a start with a bad configuration would not find it");
        }
    }
}

fn write(place: &LastGood, generation: &Generation) -> std::io::Result<()> {
    let Some(text) = &generation.written.text else { return Ok(()) };
    let modules: BTreeSet<&str> =
        generation.plugins.loaded.iter().map(|loaded| loaded.config().module.as_str()).collect();
    let plugins =
        modules.into_iter().map(|module| PluginFile { module, bytes: generation.plugins.library.good_file(module) });
    place.write(&Contents { text, plugins: plugins.collect() })
}
