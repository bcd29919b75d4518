//! Plugins in shadow: they run, and nothing that they decide is followed.
//!
//! What one would have done is held against what the enforced plugins of the same phase did. Only a chain that has such a
//! plugin pays for any of this.

use std::fmt::{self, Debug, Display};
use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;

use crate::chain::{Decision, PluginName};
use crate::{Admission, Exchange, Failure, Flow, OnError, Phase, Pick, RequestHead};

/// Where it is counted, and in samples logged, what one plugin in shadow would have done.
pub trait ShadowMonitor: Send + Sync + Debug {
    /// It would have done this.
    fn would(&self, phase: Phase, opinion: Opinion);

    /// The enforced plugins did otherwise. Told in addition to [`ShadowMonitor::would`].
    fn disagreed(&self, disagreement: &Disagreement<'_>);
}

/// What a plugin in shadow would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// Gone on.
    Proceed,
    /// Answered with this status.
    Reply(StatusCode),
    /// Closed the connection, or reset the stream.
    Close,
    /// It failed.
    Failed,
    /// It began to wait, and is not waited for.
    Undecided,
    /// Picked the endpoint that was picked.
    Agree,
    /// Picked another endpoint, or none.
    Differ,
}

impl Opinion {
    /// Each kind once, by its name in metrics.
    pub const NAMES: [&'static str; 7] = ["proceed", "reply", "close", "failed", "undecided", "agree", "differ"];

    /// Its place in [`Opinion::NAMES`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Proceed => 0,
            Self::Reply(_) => 1,
            Self::Close => 2,
            Self::Failed => 3,
            Self::Undecided => 4,
            Self::Agree => 5,
            Self::Differ => 6,
        }
    }

    /// The kind's name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.get(self.index()).copied().unwrap_or_default()
    }
}

impl Display for Opinion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(status) => write!(out, "reply {}", status.as_u16()),
            other => out.write_str(other.as_str()),
        }
    }
}

impl From<&Result<Flow, Failure>> for Opinion {
    fn from(flow: &Result<Flow, Failure>) -> Self {
        match flow {
            Ok(Flow::Proceed) => Self::Proceed,
            Ok(Flow::Reply(reply)) => Self::Reply(reply.status),
            Ok(Flow::Close) => Self::Close,
            Ok(Flow::Wait) => Self::Undecided,
            Err(_) => Self::Failed,
        }
    }
}

impl From<&Result<Admission, Failure>> for Opinion {
    fn from(admission: &Result<Admission, Failure>) -> Self {
        match admission {
            Ok(Admission::Accept) => Self::Proceed,
            Ok(Admission::Refuse) => Self::Close,
            Err(_) => Self::Failed,
        }
    }
}

/// A plugin in shadow and the enforced plugins of the same phase see one thing differently.
#[derive(Clone, Copy)]
pub struct Disagreement<'a> {
    /// The phase.
    pub phase: Phase,
    /// What the plugin in shadow would have done.
    pub opinion: Opinion,
    /// The same in words: `reply 403`.
    pub would: &'a dyn Display,
    /// What was done, in words: `proceed`, `reply 429 by "limit"`.
    pub enforced: &'a dyn Display,
    /// Who asked.
    pub client: IpAddr,
    /// What was asked, as the chain's plugins left it; none for a connection.
    pub request: Option<&'a RequestHead>,
}

/// What is at hand when opinions are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) phase: Phase,
    pub(crate) client: IpAddr,
    pub(crate) request: Option<&'a RequestHead>,
}

impl<'a> Subject<'a> {
    pub(crate) fn of(phase: Phase, exchange: &'a Exchange) -> Self {
        Self { phase, client: exchange.connection.client.ip(), request: Some(&exchange.request) }
    }
}

/// What the plugins in shadow said in one phase, until the enforced decision is known.
#[derive(Debug, Default)]
pub(crate) struct Opinions<'a>(Vec<(&'a Arc<dyn ShadowMonitor>, Opinion, OnError)>);

impl<'a> Opinions<'a> {
    /// Counts one at once; `on_error` is what its failure would have meant.
    pub(crate) fn add(
        &mut self,
        monitor: &'a Arc<dyn ShadowMonitor>,
        phase: Phase,
        opinion: Opinion,
        on_error: OnError,
    ) {
        monitor.would(phase, opinion);
        self.0.push((monitor, opinion, on_error));
    }

    /// Tells of each that would have refused where nobody did, or have let pass where somebody refused.
    pub(crate) fn compare(&self, subject: Subject<'_>, enforced: &Decision) {
        let refused = !matches!(enforced, Decision::Proceed);
        for (monitor, opinion, on_error) in &self.0 {
            let would_refuse = match opinion {
                Opinion::Proceed | Opinion::Agree | Opinion::Differ => false,
                Opinion::Reply(_) | Opinion::Close => true,
                Opinion::Failed => *on_error == OnError::Closed,
                Opinion::Undecided => continue,
            };
            if would_refuse != refused {
                let Subject { phase, client, request } = subject;
                let (opinion, would) = (*opinion, opinion);
                monitor.disagreed(&Disagreement { phase, opinion, would, enforced, client, request });
            }
        }
    }
}

impl Display for Decision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proceed => out.write_str("proceed"),
            Self::Reply(reply, by) => write!(out, "reply {} by {by:?}", reply.status.as_u16()),
            Self::Close(by) => write!(out, "close by {by:?}"),
            Self::Failed(by) => write!(out, "failed {by:?}"),
        }
    }
}

/// Compares a balancer in shadow with the pick that was made.
pub(crate) fn compare_picks(
    monitor: &Arc<dyn ShadowMonitor>,
    subject: Subject<'_>,
    (own, on_error): (&Result<Pick, Failure>, OnError),
    enforced: &Result<Pick, PluginName>,
) {
    let opinion = match (own, enforced) {
        (Err(_), _) => Opinion::Failed,
        (Ok(own), Ok(enforced)) if own == enforced => Opinion::Agree,
        (Ok(_), _) => Opinion::Differ,
    };
    let Subject { phase, client, request } = subject;
    monitor.would(phase, opinion);
    // Without it the host would have picked, unless its failure is to refuse.
    let would_refuse = opinion == Opinion::Failed && on_error == OnError::Closed;
    if opinion == Opinion::Differ || (would_refuse && enforced.is_ok()) {
        let (would, enforced) = (&Picked(own.as_ref().ok()), &Picked(enforced.as_ref().ok()));
        monitor.disagreed(&Disagreement { phase, opinion, would, enforced, client, request });
    }
}

/// A pick in words, where there is one. Endpoints are numbered as the configuration lists them.
struct Picked<'a>(Option<&'a Pick>);

impl Display for Picked<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Pick::Endpoint(index)) => write!(out, "endpoint {}", index + 1),
            Some(Pick::None) => out.write_str("no endpoint"),
            None => out.write_str("failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::testing::{CallLog, Does, Fake, at_once, connection, exchange};
    use crate::{Candidate, Chain, Entry, ExchangeId, Filter, Health, Name, Outcome, Phases, PickRequest};

    /// Everything that it was told, a line each.
    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<String>>);

    impl Told {
        fn add(&self, line: String) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }

        fn lines(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl ShadowMonitor for Told {
        fn would(&self, phase: Phase, opinion: Opinion) {
            self.add(format!("{}: {opinion}", phase.as_str()));
        }

        fn disagreed(&self, disagreement: &Disagreement<'_>) {
            let Disagreement { would, enforced, client, request, .. } = disagreement;
            let asked = request.map(|request| request.target.as_str()).unwrap_or("-");
            self.add(format!("{client} {asked}: {would} / {enforced}"));
        }
    }

    fn chain(told: &Arc<Told>, shadow: impl Filter + 'static, enforced: impl Filter + 'static) -> Rc<Chain> {
        let shadow = Entry { filter: Rc::new(shadow), shadow: Some(told.clone()) };
        Chain::counted(&[shadow, Entry { filter: Rc::new(enforced), shadow: None }], Arc::default())
    }

    #[test]
    fn what_a_plugin_in_shadow_says_of_a_request_is_told_and_not_followed() {
        let p = Does::Proceed;
        check(p, None, p, "proceed", &["request-filter: proceed"]);
        check(Does::Reply, None, p, "proceed", &["request-filter: reply 418", "192.0.2.7 /a: reply 418 / proceed"]);
        check(Does::Close, None, p, "proceed", &["request-filter: close", "192.0.2.7 /a: close / proceed"]);
        check(Does::Fail, None, p, "proceed", &["request-filter: failed", "192.0.2.7 /a: failed / proceed"]);
        check(Does::Fail, Some(OnError::Open), p, "proceed", &["request-filter: failed"]);
        check(Does::Wait, None, p, "proceed", &["request-filter: undecided"]);
        let refused = "reply 418 by \"b\"";
        check(Does::Reply, None, Does::Reply, refused, &["request-filter: reply 418"]);
        check(
            p,
            None,
            Does::Reply,
            refused,
            &["request-filter: proceed", "192.0.2.7 /a: proceed / reply 418 by \"b\""],
        );
        check(
            p,
            None,
            Does::Fail,
            "failed \"b\"",
            &["request-filter: proceed", "192.0.2.7 /a: proceed / failed \"b\""],
        );
    }

    #[track_caller]
    fn check(shadow: Does, on_error: Option<OnError>, enforced: Does, decision: &str, told: &[&str]) {
        let heard = Arc::new(Told::default());
        let mut fake = Fake::new("a").request(shadow);
        fake.on_error = on_error;
        let chain = chain(&heard, fake, Fake::new("b").request(enforced));
        let mut exchange = exchange("/a");
        let lease = chain.lease(exchange.id);
        assert_eq!(at_once(lease.request(&mut exchange)).to_string(), decision, "{shadow:?} {enforced:?}");
        assert_eq!(heard.lines(), told, "{shadow:?} {enforced:?}");
    }

    #[test]
    fn a_plugin_in_shadow_is_passed_by_responses_and_is_not_asked_after_a_refusal() {
        let heard = Arc::new(Told::default());
        let log = CallLog::default();
        let fake = |name| Fake::new(name).logging(&log);
        let chain = chain(&heard, fake("a").response(Does::Close), fake("b").response(Does::Reply));
        let mut exchange = exchange("/");
        let lease = chain.lease(exchange.id);
        let _ = at_once(lease.request(&mut exchange));
        let _ = at_once(lease.response(&mut exchange));
        assert_eq!(log.text(), "request a b; response b");
        assert_eq!(heard.lines(), ["request-filter: proceed"]);
    }

    #[test]
    fn a_plugin_in_shadow_that_waits_is_told_to_give_up_at_once() {
        let log = CallLog::default();
        let chain =
            chain(&Arc::default(), Fake::new("a").request(Does::Wait).logging(&log), Fake::new("b").logging(&log));
        let mut exchange = exchange("/");
        let _ = at_once(chain.lease(exchange.id).request(&mut exchange));
        assert!(log.text().starts_with("request a; left a; request b"), "{}", log.text());
    }

    /// Changes everything that a filter can.
    #[derive(Debug)]
    struct Changing;

    impl Filter for Changing {
        fn name(&self) -> &str {
            "changing"
        }

        fn phases(&self) -> Phases {
            [Phase::Request, Phase::Response].into_iter().collect()
        }

        fn on_error(&self) -> Option<OnError> {
            None
        }

        fn request(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
            exchange.request = RequestHead::default();
            Ok(Flow::Proceed)
        }

        fn response(&self, exchange: &mut Box<Exchange>) -> Result<Flow, Failure> {
            exchange.response = None;
            Ok(Flow::Proceed)
        }
    }

    #[test]
    fn what_a_plugin_in_shadow_changes_is_not_kept() {
        let chain = chain(&Arc::default(), Changing, Fake::new("b"));
        let mut exchange = exchange("/a");
        exchange.response = Some(crate::ResponseHead::default());
        let before = format!("{exchange:?}");
        let lease = chain.lease(exchange.id);
        let _ = at_once(lease.request(&mut exchange));
        let _ = at_once(lease.response(&mut exchange));
        assert_eq!(format!("{exchange:?}"), before);
    }

    #[test]
    fn a_connection_is_admitted_by_the_enforced_plugins_alone() {
        for (shadow, enforced, admitted, told) in [
            (Does::Close, Does::Proceed, true, vec!["connection-filter: close", "192.0.2.7 -: close / proceed"]),
            (Does::Fail, Does::Proceed, true, vec!["connection-filter: failed", "192.0.2.7 -: failed / proceed"]),
            (Does::Close, Does::Close, false, vec!["connection-filter: close"]),
        ] {
            let heard = Arc::new(Told::default());
            let chain = chain(&heard, Fake::new("a").connection(shadow), Fake::new("b").connection(enforced));
            assert_eq!(chain.admits(&connection()), admitted, "{shadow:?} {enforced:?}");
            assert_eq!(heard.lines(), told, "{shadow:?} {enforced:?}");
        }
    }

    #[test]
    fn a_balancer_in_shadow_agrees_or_differs() {
        // As a balancer, a fake picks the first, none, or fails.
        for (shadow, enforced, told) in [
            (Does::Proceed, Does::Proceed, vec!["balancer: agree"]),
            (Does::Reply, Does::Proceed, vec!["balancer: differ", "192.0.2.7 /a: no endpoint / endpoint 1"]),
            (Does::Proceed, Does::Fail, vec!["balancer: differ", "192.0.2.7 /a: endpoint 1 / endpoint 8"]),
            (Does::Fail, Does::Proceed, vec!["balancer: failed"]),
        ] {
            let heard = Arc::new(Told::default());
            let chain = chain(&heard, Fake::new("a").pick(shadow), Fake::new("b").pick(enforced));
            let request = PickRequest { upstream: Name::NONE, version: 0, attempt: 0 };
            let candidates = [candidate(); 8];
            let _ = chain.lease(ExchangeId(1)).pick(&mut exchange("/a"), &request, &candidates, || Pick::Endpoint(7));
            assert_eq!(heard.lines(), told, "{shadow:?} {enforced:?}");
        }
    }

    fn candidate() -> Candidate {
        Candidate {
            endpoint: Name(1),
            key: 1,
            weight: 1,
            zone: Name::NONE,
            priority: 0,
            health: Health::Healthy,
            outcome: Outcome::Untried,
            in_flight: 0,
            latency_micros: 0,
            failures: 0,
            slow_start_permille: 1000,
        }
    }
}
