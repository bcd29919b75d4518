//! What all instances of a plugin have in common, on all workers: values and counters under keys, each with a time to live.

use std::{fmt, time::Duration};

use crate::{Error, bindings::capabilities::palisade::plugin::shared, host};

/// A value under a key, the same for all instances of the plugin. It costs nothing until it is asked for or changed; then
/// each call is one host call.
///
/// The operator grants it with `grant = ["shared"]`, and may join the namespaces of several plugins. **Nothing is kept for
/// sure**: beyond the limits of the namespace (10,000 keys and 4 MiB unless configured) entries make room, those that have
/// expired first, then those that were used least lately. What is gone reads as if it had never been there.
///
/// ```
/// use std::time::Duration;
///
/// use palisade_sdk::prelude::*;
///
/// /// Tells each client when it was here last, whichever worker serves it.
/// struct Greeter;
///
/// # impl Plugin for Greeter {
/// #     type Settings = NoSettings;
/// #     fn configure(_: NoSettings, _: &mut Setup) -> Result<Self, Error> {
/// #         Ok(Self)
/// #     }
/// # }
/// impl RequestFilter for Greeter {
///     fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
///         let key = format!("last {}", request.client());
///         let last = Shared::at(&key).expiring(Duration::from_secs(3_600));
///         if let Some(seconds) = last.get()? {
///             request.set_header("x-last-here", seconds)?;
///         }
///         last.set(clock::wall().as_secs().to_string())?;
///         Ok(Flow::Continue)
///     }
/// }
///
/// register!(Greeter: RequestFilter);
///
/// let mut host = TestHost::<Greeter>::configure(json!({}))?;
/// assert_eq!(host.request(TestRequest::get("/")).header("x-last-here"), None);
/// assert_eq!(host.request(TestRequest::get("/")).header("x-last-here"), Some("1767225600"));
/// host.advance(Duration::from_secs(3_600));
/// assert_eq!(host.request(TestRequest::get("/")).header("x-last-here"), None);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Shared<'a> {
    key: &'a [u8],
    ttl_millis: u64,
}

impl<'a> Shared<'a> {
    /// The value under this key, of 1 to 1,024 bytes. One key is for a value or for a counter, not for both.
    pub fn at<K: AsRef<[u8]> + ?Sized>(key: &'a K) -> Self {
        Self { key: key.as_ref(), ttl_millis: FOREVER }
    }

    /// The same, with this long to live from each change on. Without it, a value stays until it is deleted or makes room.
    #[must_use]
    pub fn expiring(self, ttl: Duration) -> Self {
        Self { ttl_millis: millis(ttl), ..self }
    }

    /// The value, if there is one.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says.
    pub fn get(&self) -> Result<Option<Vec<u8>>, SharedError> {
        Ok(host::shared::get(self.key)?)
    }

    /// Gives it this value, of at most 65,536 bytes.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says; nothing has changed then.
    pub fn set(&self, value: impl AsRef<[u8]>) -> Result<(), SharedError> {
        Ok(host::shared::set(self.key, value.as_ref(), self.ttl_millis)?)
    }

    /// Gives it this value, or none, if it has the expected one now. False where it has another one, because another instance
    /// was faster: get it, and try again, for so many times.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says; nothing has changed then.
    pub fn compare_and_set(&self, expected: Option<&[u8]>, value: Option<&[u8]>) -> Result<bool, SharedError> {
        Ok(host::shared::compare_and_set(self.key, expected, value, self.ttl_millis)?)
    }

    /// Takes the value away. False where there was none.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says; nothing has changed then.
    pub fn delete(&self) -> Result<bool, SharedError> {
        Ok(host::shared::delete(self.key)?)
    }
}

/// A counter under a key, the same for all instances of the plugin: a number that each of them adds to or exchanges, and no
/// change is ever lost. As [`Shared`] in everything else.
///
/// ```
/// use std::time::Duration;
///
/// use palisade_sdk::prelude::*;
///
/// /// Lets each client ask a hundred times, in the minute that begins with its first request.
/// struct Hundred;
///
/// # impl Plugin for Hundred {
/// #     type Settings = NoSettings;
/// #     fn configure(_: NoSettings, _: &mut Setup) -> Result<Self, Error> {
/// #         Ok(Self)
/// #     }
/// # }
/// impl RequestFilter for Hundred {
///     fn on_request(&mut self, request: &mut Request) -> Result<Flow, Error> {
///         let key = format!("requests {}", request.client());
///         let requests = SharedCounter::at(&key).expiring(Duration::from_secs(60));
///         Ok(if requests.add(1)? > 100 { Reply::status(429).into() } else { Flow::Continue })
///     }
/// }
///
/// register!(Hundred: RequestFilter);
///
/// let mut host = TestHost::<Hundred>::configure(json!({}))?;
/// assert!((0..100).all(|_| host.request(TestRequest::get("/")).is_continue()));
/// assert_eq!(host.request(TestRequest::get("/")).reply_status(), Some(429));
/// host.advance(Duration::from_secs(60));
/// assert!(host.request(TestRequest::get("/")).is_continue());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct SharedCounter<'a> {
    key: &'a [u8],
    ttl_millis: u64,
}

impl<'a> SharedCounter<'a> {
    /// The counter under this key, of 1 to 1,024 bytes. One key is for a value or for a counter, not for both.
    pub fn at<K: AsRef<[u8]> + ?Sized>(key: &'a K) -> Self {
        Self { key: key.as_ref(), ttl_millis: FOREVER }
    }

    /// The same, with this long to live: from when it begins if it is added to, from each change on if it is set. Without
    /// it, a counter stays until it is deleted or makes room.
    #[must_use]
    pub fn expiring(self, ttl: Duration) -> Self {
        Self { ttl_millis: millis(ttl), ..self }
    }

    /// What it is. One that is not there is zero.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says.
    pub fn get(&self) -> Result<i64, SharedError> {
        Ok(host::shared::counter(self.key)?)
    }

    /// Adds to it, negative amounts too, and gives what it is then. It stops at the ends of what an `i64` can say.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says; nothing has changed then.
    pub fn add(&self, amount: i64) -> Result<i64, SharedError> {
        Ok(host::shared::add(self.key, amount, self.ttl_millis)?)
    }

    /// Sets it if it is the expected one now. Otherwise another instance was faster, and gives what to expect the next time:
    /// try again, for so many times.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says; nothing has changed then.
    pub fn compare_and_set(&self, expected: i64, value: i64) -> Result<Exchanged, SharedError> {
        let found = host::shared::compare_and_set_counter(self.key, expected, value, self.ttl_millis)?;
        Ok(if found == expected { Exchanged::Done } else { Exchanged::Found(found) })
    }

    /// Takes it away, so that it is zero. False where it was not there.
    ///
    /// # Errors
    ///
    /// As [`SharedError`] says; nothing has changed then.
    pub fn delete(&self) -> Result<bool, SharedError> {
        Ok(host::shared::delete(self.key)?)
    }
}

/// What [`SharedCounter::compare_and_set`] came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exchanged {
    /// It was what was expected, and was set.
    Done,
    /// It was this, and was left so.
    Found(i64),
}

/// Why a call about something shared did nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SharedError {
    /// The key is empty or too long, the value is too long, or the two are more than the whole namespace may hold.
    TooLarge,
    /// The key stands for a counter where a value was asked for, or the other way round.
    OtherKind,
    /// The store cannot be asked now. The host's own never says so.
    Unavailable,
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "a shared key or value is empty or too large",
            Self::OtherKind => "a shared key stands for something of another kind",
            Self::Unavailable => "the store of what is shared is not available",
        })
    }
}

impl std::error::Error for SharedError {}

impl From<SharedError> for Error {
    fn from(error: SharedError) -> Self {
        Self::from_display(error)
    }
}

impl From<shared::SharedError> for SharedError {
    fn from(error: shared::SharedError) -> Self {
        match error {
            shared::SharedError::TooLarge => Self::TooLarge,
            shared::SharedError::OtherKind => Self::OtherKind,
            shared::SharedError::Unavailable => Self::Unavailable,
        }
    }
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared(\"{}\")", self.key.escape_ascii())
    }
}

impl fmt::Debug for SharedCounter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedCounter(\"{}\")", self.key.escape_ascii())
    }
}

/// No time to live at all, for the host.
const FOREVER: u64 = 0;

/// Never less than was asked for, and never [`FOREVER`].
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_never_cut_short_and_never_endless() {
        for (nanos, expected) in [(0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2), (u64::MAX, 18_446_744_073_710)] {
            assert_eq!(millis(Duration::from_nanos(nanos)), expected, "{nanos} ns");
        }
    }

    #[test]
    fn a_counter_is_exchanged_for_what_was_expected_alone() {
        let counter = SharedCounter::at("a_counter");
        assert_eq!((counter.get(), counter.compare_and_set(1, 2)), (Ok(0), Ok(Exchanged::Found(0))));
        assert_eq!((counter.compare_and_set(0, 5), counter.get()), (Ok(Exchanged::Done), Ok(5)));
        assert_eq!((counter.add(i64::MAX), counter.delete(), counter.delete()), (Ok(i64::MAX), Ok(true), Ok(false)));
    }

    #[test]
    fn what_cannot_be_is_an_error_that_says_so() {
        let value = Shared::at("a_value");
        check(value.set(vec![0; 65_537]), SharedError::TooLarge);
        check(Shared::at("").get(), SharedError::TooLarge);
        check(Shared::at(&[0; 1_025]).get(), SharedError::TooLarge);
        value.set("x").unwrap();
        check(SharedCounter::at("a_value").add(1), SharedError::OtherKind);
        assert_eq!(value.compare_and_set(Some(b"y"), None), Ok(false));
        assert_eq!((value.compare_and_set(Some(b"x"), None), value.get()), (Ok(true), Ok(None)));
        assert_eq!(
            Error::from(SharedError::OtherKind).to_string(),
            "a shared key stands for something of another kind"
        );
    }

    #[track_caller]
    fn check<T: fmt::Debug + PartialEq>(result: Result<T, SharedError>, error: SharedError) {
        assert_eq!(result, Err(error));
    }
}
