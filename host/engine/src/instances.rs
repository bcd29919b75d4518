//! The instances of one plugin on one worker: which of them serves a call.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_contract::Failure;

use crate::instance::{Instance, StartError};
use crate::plugin::Inner;

/// Between two tries to start a fresh instance where the first did not start.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The instances of one plugin on one worker.
///
/// A call takes an instance and puts it back when it is done; one that is broken is dropped instead. Whoever waits in the
/// middle of a call keeps the instance meanwhile, and the next call takes another.
pub(crate) struct Instances {
    plugin: Arc<Inner>,
    /// Those that no call has, with the one that was used last at the end.
    #[expect(clippy::vec_box, reason = "every call takes one and puts it back: a pointer moves, not the instance")]
    idle: RefCell<Vec<Box<Instance>>>,
    /// After a fresh instance did not start: not before this is another one tried.
    retry_at: Cell<Option<Instant>>,
}

impl Instances {
    /// With one that is warm, unless it does not start.
    pub(crate) fn warm(plugin: Arc<Inner>) -> Self {
        let idle = plugin.start().ok().map(Box::new).into_iter().collect();
        Self { plugin, idle: RefCell::new(idle), retry_at: Cell::new(None) }
    }

    /// An instance that nobody has: the one that was used last, or a fresh one.
    ///
    /// # Errors
    /// There is none and a fresh one does not start. The worker stands still while one starts, so it is not tried again at
    /// once.
    pub(crate) fn take(&self, now: Instant) -> Result<Box<Instance>, Failure> {
        if let Some(instance) = self.idle.borrow_mut().pop() {
            return Ok(instance);
        }
        if self.retry_at.get().is_some_and(|retry_at| now < retry_at) {
            return Err(Failure::Unavailable("its last fresh instance did not start".into()));
        }
        self.plugin.start().map(Box::new).map_err(|error| {
            self.retry_at.set(Some(self.plugin.identity.services.clock.now() + RETRY_AFTER));
            unavailable(error)
        })
    }

    /// The call is over and the instance can be called again.
    pub(crate) fn put_back(&self, instance: Box<Instance>) {
        self.idle.borrow_mut().push(instance);
    }
}

fn unavailable(error: StartError) -> Failure {
    match error {
        StartError::Failed(failure) => Failure::Unavailable(format!("a fresh instance {failure}")),
        StartError::Refused(sentence) => {
            Failure::Unavailable(format!("a fresh instance refuses its settings: {sentence}"))
        }
        StartError::Type(message) => Failure::Unavailable(message),
    }
}
