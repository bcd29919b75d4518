//! Who watches over the endpoints of all upstreams: one task for each, for the whole process, from one plan to the next.
//!
//! It asks what checks are to ask, ejects who fails, lets in slowly who is new, and keeps the figures of the last minute. Workers
//! count, and read what comes of it; they wait for none of this.

mod ask;
mod check;
mod http;
mod mysql;
mod outliers;
mod overseer;
mod past;
mod recent;
mod shares;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

pub(crate) use past::Past;
pub(crate) use recent::Recent;

use crate::upstream::Upstream;

/// How long whoever starts or reloads waits for the first word of every endpoint.
const FIRST_WORD_LIMIT: Duration = Duration::from_secs(5);

/// The tasks of the plan's upstreams. Dropping it ends them.
#[derive(Debug, Default)]
pub(crate) struct Oversight(Mutex<Vec<Overseen>>);

#[derive(Debug)]
struct Overseen {
    upstream: Arc<Upstream>,
    task: JoinHandle<()>,
}

impl Oversight {
    /// Watches over these from now on, and over no others. One that is the same goes on as it is.
    pub(crate) fn serve(&self, upstreams: &[Arc<Upstream>]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *known);
        let kept = |upstream: &Arc<Upstream>, before: &mut Vec<Overseen>| {
            let place = before.iter().position(|overseen| Arc::ptr_eq(&overseen.upstream, upstream))?;
            Some(before.swap_remove(place))
        };
        let all: Vec<_> = upstreams.iter().map(|upstream| (upstream, kept(upstream, &mut before))).collect();
        // Of two for one name, the old one ends first: they would wake for each other.
        drop(before);
        known.extend(all.into_iter().map(|(upstream, kept)| kept.unwrap_or_else(|| Overseen::begin(upstream))));
    }
}

impl Overseen {
    fn begin(upstream: &Arc<Upstream>) -> Self {
        Self { upstream: upstream.clone(), task: tokio::spawn(overseer::oversee(upstream.clone())) }
    }
}

impl Drop for Overseen {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until the first word of every endpoint is there, or for 5 s.
pub(crate) async fn first_words(upstreams: &[Arc<Upstream>]) {
    let all = async {
        for upstream in upstreams {
            is_known(upstream).await;
        }
    };
    if tokio::time::timeout(FIRST_WORD_LIMIT, all).await.is_err() {
        for upstream in upstreams.iter().filter(|upstream| !upstream.is_known()) {
            let upstream = &upstream.config.name;
            tracing::warn!(upstream, "not all that is to be known of its endpoints came in 5 s; it goes on without");
        }
    }
}

/// The same for one upstream.
pub(crate) async fn first_words_of(upstream: &Upstream) {
    let _ = tokio::time::timeout(FIRST_WORD_LIMIT, is_known(upstream)).await;
}

async fn is_known(upstream: &Upstream) {
    while !upstream.is_known() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
