//! What the host does so that an upstream keeps serving, as it is counted: apart from any one endpoint.

use std::fmt::Debug;

/// What happens at one upstream as a whole.
pub trait UpstreamMonitor: Send + Sync + Debug {
    /// A request is sent once more, for this reason.
    fn retried(&self, why: RetryReason);

    /// A request would have been sent once more, and the budget has none left.
    fn budget_exhausted(&self);

    /// A request was refused so that the upstream is left alone.
    fn circuit_refused(&self, why: CircuitRefusal);

    /// Its circuit is in this state from now on.
    fn circuit_is(&self, state: CircuitState);

    /// A request was slow to be answered, and this became of sending it to a second endpoint.
    fn hedged(&self, what: Hedged);

    /// It was to get a copy of another upstream's request, and this became of it.
    fn mirrored(&self, what: Mirrored);
}

/// Why a request is sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryReason {
    /// No connection could be made.
    Connect,
    /// The connection ended before the answer's head.
    Reset,
    /// The endpoint did nothing with it.
    Refused,
    /// The answer's head did not come in time.
    Timeout,
    /// The answer's status is one to retry on.
    Status,
}

impl RetryReason {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Connect, Self::Reset, Self::Refused, Self::Timeout, Self::Status];

    /// The reason as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Status => "status",
        }
    }
}

/// Why a request is not let through to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitRefusal {
    /// As many are under way as may be.
    Requests,
    /// As many wait for a connection as may.
    Pending,
    /// It has waited for a connection for too long.
    PendingTimeout,
    /// Too many have failed.
    Open,
}

impl CircuitRefusal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Pending, Self::PendingTimeout, Self::Open];

    /// The reason as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Pending => "pending",
            Self::PendingTimeout => "pending_timeout",
            Self::Open => "open",
        }
    }
}

/// Whether requests are let through to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// All of them.
    Closed,
    /// A few, to see how it is.
    HalfOpen,
    /// None.
    Open,
}

/// What became of sending a request to a second endpoint beside the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hedged {
    /// It was sent.
    Sent,
    /// And the second one has answered sooner.
    Won,
    /// The budget had none left.
    Denied,
}

impl Hedged {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Won, Self::Denied];

    /// The result as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Won => "won",
            Self::Denied => "denied",
        }
    }
}

/// What became of a copy of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mirrored {
    /// It was answered, and nobody knows with what.
    Answered,
    /// It was not answered, or not whole.
    Failed,
    /// As many copies are under way as may be.
    Dropped,
    /// Its body is too long to be copied.
    TooLarge,
    /// The request's own body did not come to its end.
    Incomplete,
}

impl Mirrored {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Answered, Self::Failed, Self::Dropped, Self::TooLarge, Self::Incomplete];

    /// The result as metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
        }
    }
}
