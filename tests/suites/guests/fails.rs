//! Guests that fail on a request: closed means that none passes, open that all do.

use harness::{Form, Http, Running, Site, eventually};

use super::{assert_good, site_of};

/// A guest, how its failure is counted, and what the operator is told.
const FAILING: [(&str, &str, &str); 6] = [
    ("endless-loop", "deadline", "missed its deadline of 50 ms"),
    ("endless-recursion", "stack", "used up its stack"),
    ("memory-hog", "memory", "used up its memory limit of 33554432 bytes"),
    ("fails", "reported", "failed: this plugin always fails"),
    ("big-reply", "reported", "failed: the reply was refused: it has more than 64 headers or more than 1 MiB of body"),
    ("header-bomb", "reported", "failed: a change to the head was refused: it would pass the limit of the head"),
];

#[tokio::test]
async fn a_failing_module_is_named_counted_and_closed() {
    check_closed(Form::Module).await;
}

#[tokio::test]
async fn a_failing_component_is_named_counted_and_closed() {
    check_closed(Form::Component).await;
}

/// All of them. Only the endless loop is to miss its deadline, however busy the machine is.
fn failing(form: Form) -> Site {
    site_of(&FAILING.map(|(guest, ..)| guest), form).set("plugin.endless-loop.limits.deadline", "50ms")
}

async fn check_closed(form: Form) {
    let site = failing(form).start().await;
    let mut client = site.connect(Http::H1).await;
    for (guest, reason, sentence) in FAILING {
        for request in 1..=2 {
            let reply = client.get(&format!("/{guest}")).await;
            assert_eq!(reply.status, 503, "{guest}");
            assert_good(&mut client).await;
            let figures = site.admin().plugin(guest).await;
            assert_eq!(figures.failures("request-filter", reason), request, "{guest}: {}", figures.json());
        }
        let figures = site.admin().plugin(guest).await;
        assert_eq!(
            (figures.state(), figures.last_error()),
            ("running", format!("request-filter: {sentence}").as_str())
        );
        assert_counted(&site, guest, reason).await;
    }
    assert_only_good_passed(&site);
}

async fn assert_counted(site: &Running, guest: &str, reason: &str) {
    let labels = [("plugin", guest), ("phase", "request-filter"), ("reason", reason)];
    assert_eq!(site.admin().metrics().await.count("palisade_plugin_failures_total", &labels), 2, "{guest}");
}

fn assert_only_good_passed(site: &Running) {
    let seen = site.origin(0).seen();
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.target == "/good"), "{seen:?}");
}

#[tokio::test]
async fn a_failing_guest_that_is_open_is_as_if_it_were_not_there() {
    let open = |site: Site, guest: &str| site.set(&format!("plugin.{guest}.on_error"), "open");
    let site = FAILING.iter().fold(failing(Form::Module), |site, (guest, ..)| open(site, guest));
    let site = site.start().await;
    for http in [Http::H1, Http::H2] {
        let mut client = site.connect(http).await;
        for (guest, reason, _) in FAILING {
            let path = format!("/{guest}");
            let reply = client.get(&path).await;
            assert_eq!((reply.status, &reply.json()["target"]), (200, &path.as_str().into()), "{guest} {http:?}");
            assert_ne!(site.admin().plugin(guest).await.failures("request-filter", reason), 0, "{guest} {http:?}");
        }
    }
}

#[tokio::test]
async fn closed_means_that_not_one_request_passes() {
    let guests = FAILING.map(|(guest, ..)| guest);
    let site = guests.iter().fold(site_of(&guests, Form::Module), |site, guest| {
        // The sooner it fails, the sooner the next one can.
        site.set(&format!("plugin.{guest}.on_error"), "closed")
            .set(&format!("plugin.{guest}.limits"), serde_json::json!({ "deadline": "5ms", "memory": "4 MiB" }))
    });
    let site = site.start().await;
    for http in [Http::H1, Http::H2] {
        let mut client = site.connect(http).await;
        for request in 0..200 {
            let (guest, ..) = FAILING[request % FAILING.len()];
            assert_eq!(client.get(&format!("/{guest}")).await.status, 503, "{guest} {http:?}");
        }
        assert_good(&mut client).await;
    }
    assert_only_good_passed(&site);
    assert_eq!(site.admin().get("/healthz").await.status, 200);
}

#[tokio::test]
async fn others_are_served_while_a_guest_fails() {
    let site =
        site_of(&["endless-loop"], Form::Module).set("plugin.endless-loop.limits.deadline", "50ms").start().await;
    let mut bad = site.connect(Http::H1).await;
    let mut good = site.connect(Http::H2).await;
    let failing = async {
        for _ in 0..10 {
            assert_eq!(bad.get("/endless-loop").await.status, 503);
        }
    };
    let serving = async {
        for _ in 0..100 {
            assert_good(&mut good).await;
        }
    };
    tokio::join!(failing, serving);
    eventually("all ten have failed", async || {
        site.admin().plugin("endless-loop").await.failures("request-filter", "deadline") == 10
    })
    .await;
}

#[tokio::test]
async fn a_guest_that_trapped_is_replaced_by_a_fresh_one() {
    for form in Form::ALL {
        let site = site_of(&["trap-on-third-call"], form).start().await;
        let mut client = site.connect(Http::H1).await;
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(client.get("/trap-on-third-call").await.status);
        }
        assert_eq!(statuses, [200, 200, 503, 200, 200, 503], "{form:?}");
        let figures = site.admin().plugin("trap-on-third-call").await;
        assert_eq!(figures.failures("request-filter", "trap"), 2, "{form:?}");
        assert_eq!(
            figures.last_error(),
            "request-filter: trapped: panicked at tests/guests/examples/trap-on-third-call.rs:25:18: this is a third call (wasm trap: wasm `unreachable` instruction executed)"
        );
    }
}
