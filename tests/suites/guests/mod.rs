//! Guests that misbehave, each in one way: the operator's policy holds for them, and nothing else notices.

mod absurd;
mod connections;
mod decides;
mod fails;
mod floods;
mod loads;
mod order;

use harness::{Client, Form, Origin, Site};
use serde_json::json;

/// A site with a good plugin on `/good`, and each of these guests alone on a route of its own name.
fn site_of(guests: &[&str], form: Form) -> Site {
    let good = Site::new().form(form).origin(Origin::echo()).plugin("good", "tag", json!({ "name": "good" }));
    let good = good.route(json!({ "path": "/good", "chain": ["good"] }));
    guests.iter().fold(good, |site, guest| {
        let route = json!({ "path": format!("/{guest}"), "chain": [guest] });
        site.plugin(guest, guest, json!({})).route(route)
    })
}

/// The good plugin has seen a request, which has reached the origin.
async fn assert_good(client: &mut Client) {
    let reply = client.get("/good").await;
    assert_eq!((reply.status, reply.values("x-tag")), (200, vec!["good"]));
}
