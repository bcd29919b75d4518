use super::*;
use crate::testing::{Does, Fake, at_once, connection, exchange};
use crate::{Pick, PickRequest};

#[test]
fn requests_pass_in_order_and_responses_in_reverse() {
    check(&[Fake::new("a"), Fake::new("b"), Fake::new("c")], "proceed", "request a b c; response c b a");
}

#[test]
fn an_early_reply_passes_only_the_filters_it_had_reached() {
    check(
        &[Fake::new("a"), Fake::new("b").request(Does::Reply), Fake::new("c")],
        "reply by b",
        "request a b; response b a",
    );
}

#[test]
fn a_failed_filter_refuses_unless_it_is_open() {
    let fails = || Fake::new("b").request(Does::Fail);
    check(&[Fake::new("a"), fails(), Fake::new("c")], "failed b", "request a b; response b a");
    check(
        &[Fake::new("a"), fails().on_error(OnError::Closed), Fake::new("c")],
        "failed b",
        "request a b; response b a",
    );
    check(
        &[Fake::new("a"), fails().on_error(OnError::Open), Fake::new("c")],
        "proceed",
        "request a b c; response c b a",
    );
}

#[test]
fn a_filter_can_close() {
    check(
        &[Fake::new("a").request(Does::Close), Fake::new("b").request(Does::Reply)],
        "close by a",
        "request a; response a",
    );
}

fn check(fakes: &[Fake], decision: &str, calls: &str) {
    let log = crate::testing::CallLog::default();
    let filters: Vec<Rc<dyn Filter>> =
        fakes.iter().map(|fake| Rc::new(fake.clone().logging(&log)) as Rc<dyn Filter>).collect();
    let chain = Chain::new(&filters);
    let mut exchange = exchange("/");
    let lease = chain.lease(exchange.id);
    let decided = match at_once(lease.request(&mut exchange)) {
        Decision::Proceed => "proceed".to_owned(),
        Decision::Reply(_, by) => format!("reply by {by}"),
        Decision::Close(by) => format!("close by {by}"),
        Decision::Failed(by) => format!("failed {by}"),
    };
    assert_eq!(decided, decision);
    let _ = at_once(lease.response(&mut exchange));
    assert_eq!(log.text(), calls);
}

#[test]
fn a_filter_that_waits_is_asked_again_and_hears_of_the_end() {
    let log = crate::testing::CallLog::default();
    let fake = |name, does| Rc::new(Fake::new(name).request(does).logging(&log)) as Rc<dyn Filter>;
    let chain = Chain::new(&[fake("a", Does::Proceed), fake("b", Does::Wait), fake("c", Does::Proceed)]);
    let mut exchange = exchange("/");
    let lease = chain.lease(exchange.id);
    {
        let mut request = std::pin::pin!(lease.request(&mut exchange));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(request.as_mut().poll(&mut context).is_pending());
        assert!(matches!(request.poll(&mut context), std::task::Poll::Ready(Decision::Proceed)));
    }
    drop(lease);
    assert_eq!(log.text(), "request a b; resume b b; request c; left b");
}

#[test]
fn a_filter_hears_of_the_end_of_what_is_given_up_and_not_of_what_never_came_to_it() {
    let log = crate::testing::CallLog::default();
    let fake = |name, does| Rc::new(Fake::new(name).request(does).logging(&log)) as Rc<dyn Filter>;
    let chain = Chain::new(&[fake("a", Does::Wait), fake("b", Does::Wait)]);
    let mut exchange = exchange("/");
    let lease = chain.lease(exchange.id);
    {
        let request = std::pin::pin!(lease.request(&mut exchange));
        assert!(request.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    }
    drop(lease);
    assert_eq!(log.text(), "request a; resume a; left a");
}

#[test]
fn a_failed_balancer_leaves_the_choice_to_the_host_unless_closed_is_written() {
    for (on_error, refuses) in [(None, false), (Some(OnError::Open), false), (Some(OnError::Closed), true)] {
        let mut fake = Fake::new("b").pick(Does::Fail);
        fake.on_error = on_error;
        let chain = Chain::new(&[Rc::new(fake) as Rc<dyn Filter>]);
        let request = PickRequest { upstream: crate::Name::NONE, version: 0, attempt: 0 };
        let picked = chain.lease(ExchangeId(1)).pick(&mut exchange("/"), &request, &[], || Pick::Endpoint(7));
        let expected = if refuses { Err("b".into()) } else { Ok(Pick::Endpoint(7)) };
        assert_eq!(picked, expected, "{on_error:?}");
    }
}

#[test]
fn a_connection_is_refused_by_any_filter_that_says_so_or_fails_closed() {
    for (does, on_error, admitted) in [
        (Does::Proceed, None, true),
        (Does::Close, None, false),
        (Does::Close, Some(OnError::Open), false),
        (Does::Fail, None, false),
        (Does::Fail, Some(OnError::Open), true),
    ] {
        let mut fake = Fake::new("a").connection(does);
        fake.on_error = on_error;
        let chain = Chain::new(&[Rc::new(fake) as Rc<dyn Filter>]);
        assert_eq!(chain.admits(&connection()), admitted, "{does:?} {on_error:?}");
    }
}

#[test]
fn leases_are_counted_until_they_are_dropped() {
    let leases = Arc::new(AtomicUsize::new(0));
    let chain = Chain::counted(&[], leases.clone());
    let (one, two) = (chain.lease(ExchangeId(1)), chain.lease(ExchangeId(2)));
    assert_eq!(leases.load(Ordering::Relaxed), 2);
    drop((one, two));
    assert_eq!(leases.load(Ordering::Relaxed), 0);
}
