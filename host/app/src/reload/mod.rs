//! The one way to another configuration, and to other plugins: whoever asks, and whatever has changed.
//!
//! text → checked configuration → plugins loaded → plan → served by every worker from its next request on. One reload at a
//! time; who asks meanwhile is answered by the one that follows, which is one for all of them.

mod command;
mod consider;
mod outcome;
mod restart;
mod swap;

use std::path::PathBuf;
use std::sync::Arc;

use palisade_config::Config;
use palisade_contract::{Clock, SystemClock};
use palisade_monitor::Reload;
use tokio::sync::{mpsc, oneshot};

pub(crate) use command::run as command;
use consider::{Candidate, Considered};
pub(crate) use consider::{Scope, consider};
pub use outcome::Outcome;
pub(crate) use restart::Fixed;

use crate::generation::Generation;
use crate::last_good::Keeper;
use crate::loader::Loader;
use crate::open_files;
use crate::state::{Last, State};
use crate::watch::{Files, Look, Watch};

/// Those who wait for the reload that follows.
const ASKED_MAX: usize = 64;

/// Where a reload is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Requests(mpsc::Sender<oneshot::Sender<Outcome>>);

/// Those who have asked.
pub(crate) type Asked = mpsc::Receiver<oneshot::Sender<Outcome>>;

impl Requests {
    pub(crate) fn new() -> (Self, Asked) {
        let (send, asked) = mpsc::channel(ASKED_MAX);
        (Self(send), asked)
    }

    /// Has everything looked at that is on disk now, and waits for what comes of it. None where the host is draining.
    pub(crate) async fn reload(&self) -> Option<Outcome> {
        let (tell, told) = oneshot::channel();
        self.0.send(tell).await.ok()?;
        told.await.ok()
    }
}

/// Why there is a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody has asked for it.
    Asked,
    /// Files were seen to change.
    Seen,
}

/// Carries out reloads, one after the other.
pub(crate) struct Reloader {
    pub(crate) state: Arc<State>,
    pub(crate) loader: Arc<Loader>,
    pub(crate) watch: Watch,
    pub(crate) asked: Asked,
    pub(crate) fixed: Fixed,
    pub(crate) keeper: Keeper,
}

impl Reloader {
    /// Until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        self.keeper.keep(&self.state);
        loop {
            let (look, asked) = tokio::select! {
                asked = self.asked.recv() => {
                    let Some(first) = asked else { return };
                    let look = self.watch.still().await;
                    // Everything is read after this, so that it is what these want, too.
                    let mut asked = vec![first];
                    while let Ok(more) = self.asked.try_recv() {
                        asked.push(more);
                    }
                    (look, asked)
                }
                look = self.watch.changed() => (look, Vec::new()),
            };
            let outcome = self.reload(look, if asked.is_empty() { Cause::Seen } else { Cause::Asked }).await;
            for tell in asked {
                // Who does not wait any more does not want to know.
                let _ = tell.send(outcome.clone());
            }
        }
    }

    async fn reload(&mut self, look: Look, cause: Cause) -> Outcome {
        let served = self.state.served();
        let mut considered = self.consider(&served, &look, Scope::Everything).await;
        let mut taken = self.take_over(&served, &mut considered, (&look, cause)).await;
        if let Err(error) = taken {
            let files = considered.files;
            considered = self.consider(&served, &look, Scope::Plugins).await;
            considered.problems.insert(0, error);
            considered.files = considered.files.with(files);
            taken = self.take_over(&served, &mut considered, (&look, cause)).await;
        }
        if let Err(error) = &taken
            && !considered.problems.contains(error)
        {
            considered.problems.push(error.clone());
        }
        self.watch.take(&look);
        self.watch.follow(considered.files);
        let outcome = self.conclude(&served, considered.problems, taken.unwrap_or(Taken::Nothing), cause);
        // What was served before goes here, but for what exchanges still hold.
        drop(served);
        crate::memory::give_back();
        outcome
    }

    async fn consider(&self, served: &Arc<Generation>, look: &Look, scope: Scope) -> Considered {
        let (loader, state, served, look) = (self.loader.clone(), self.state.clone(), served.clone(), look.clone());
        let (fallback, file) = (Files::of(&served.written.config), served.written.config.file.clone());
        let considering =
            tokio::task::spawn_blocking(move || consider(&loader, (&served, Some(&state.proxy)), &look, scope));
        considering.await.unwrap_or_else(|error| Considered {
            candidate: None,
            problems: vec![format!("{}: the reload itself failed: {error}", file.display())],
            files: fallback,
        })
    }

    /// Serves the candidate, if it is another one than what is served, or if somebody asked.
    async fn take_over(
        &self,
        served: &Generation,
        considered: &mut Considered,
        (look, cause): (&Look, Cause),
    ) -> Result<Taken, String> {
        let Some(candidate) = considered.candidate.take() else { return Ok(Taken::Nothing) };
        let own = &served.written.config.file;
        let is_other_file = |path: &PathBuf| path != own && crate::watch::module_of(path).is_none();
        let differs = candidate.written.config != served.written.config
            || !candidate.plugins.are(&served.plugins)
            || look.changed.iter().any(is_other_file);
        if !differs && (cause == Cause::Seen || !considered.problems.is_empty()) {
            // Nothing that runs is another, but what is known of the files may be.
            let Candidate { written, plugins, kept: _ } = candidate;
            self.state.serve(Generation { number: served.number, written, plugins });
            return Ok(Taken::Same);
        }
        let warnings = match cause {
            // Of what has not changed it was told.
            Cause::Seen if candidate.written.config == served.written.config => Vec::new(),
            Cause::Asked | Cause::Seen => self.warnings(&candidate.written.config),
        };
        swap::swap(&self.state, &self.loader, candidate).await?;
        Ok(Taken::Candidate { warnings })
    }

    fn warnings(&self, config: &Config) -> Vec<String> {
        let own = config.warnings.iter().map(ToString::to_string);
        own.chain(self.fixed.warnings(&Fixed::of(config))).chain(open_files::shortage(config)).collect()
    }

    fn conclude(&self, served: &Generation, problems: Vec<String>, taken: Taken, cause: Cause) -> Outcome {
        let before = self.state.last().outcome.problems;
        let (result, warnings) = match taken {
            Taken::Candidate { warnings } if problems.is_empty() => (Reload::Complete, warnings),
            Taken::Candidate { warnings } => (Reload::Partial, warnings),
            Taken::Same if problems.is_empty() => (Reload::Complete, Vec::new()),
            Taken::Same | Taken::Nothing => (Reload::Refused, Vec::new()),
        };
        let outcome = Outcome { problems, warnings, ..Outcome::new(result, self.state.proxy.generation()) };
        let is_news = cause == Cause::Asked || outcome.generation != served.number || outcome.problems != before;
        if is_news {
            self.tell(&outcome, &before);
            self.state.registry.reloaded(Some(result));
            self.state.registry.problems(outcome.problems.len());
            self.state.set_last(Last { outcome: outcome.clone(), at: SystemClock.wall() });
        }
        self.keeper.keep(&self.state);
        outcome
    }

    fn tell(&self, outcome: &Outcome, before: &[String]) {
        for problem in outcome.problems.iter().filter(|problem| !before.contains(problem)) {
            tracing::error!("{problem}");
        }
        for problem in before.iter().filter(|problem| !outcome.problems.contains(problem)) {
            let first = problem.lines().next().unwrap_or_default();
            tracing::info!("is no problem any more: {first}");
        }
        for warning in &outcome.warnings {
            tracing::warn!("{warning}");
        }
        let (generation, result) = (outcome.generation, outcome.result.as_str());
        tracing::info!(generation, result, problems = outcome.problems.len(), "reloaded");
    }
}

/// What was taken over.
enum Taken {
    /// All of a candidate.
    Candidate { warnings: Vec<String> },
    /// What is there is what is served already.
    Same,
    /// There was nothing that could be.
    Nothing,
}
