//! Guests at the door: connections that are refused, and a guest that fails there.

use harness::{Form, Http, Origin, Site};
use serde_json::json;

#[tokio::test]
async fn a_refused_connection_is_closed_without_a_byte() {
    for form in Form::ALL {
        check("refuses-connection", None, form, false).await;
    }
}

#[tokio::test]
async fn a_guest_that_fails_at_the_door_keeps_it_closed_or_open() {
    for form in Form::ALL {
        check("panics-in-connection", None, form, false).await;
        check("panics-in-connection", Some("closed"), form, false).await;
        check("panics-in-connection", Some("open"), form, true).await;
    }
}

/// The guest guards the listener `public` alone.
async fn check(guest: &str, on_error: Option<&str>, form: Form, passes: bool) {
    let settings = if guest == "refuses-connection" { json!({ "prefix": "127.0.0.1" }) } else { json!({}) };
    let site = Site::new().form(form).plugin("door", guest, settings).origin(Origin::echo());
    let site = site.set("listener.public.chain", json!(["door"]));
    let site = match on_error {
        Some(on_error) => site.set("plugin.door.on_error", on_error),
        None => site,
    };
    let site = site.start().await;
    for _ in 0..20 {
        for http in [Http::H1, Http::H2] {
            let connected = site.dial(http).connect().await;
            match connected {
                Ok(mut client) => {
                    assert!(passes, "{guest} {on_error:?} {form:?} {http:?}");
                    assert_eq!(client.get("/").await.status, 200);
                }
                Err(error) => assert!(!passes, "{guest} {on_error:?} {form:?} {http:?}: {error}"),
            }
        }
    }
    assert_eq!(site.connect(Http::Plain).await.get("/").await.status, 200);
    assert_eq!(site.origin(0).seen().len(), if passes { 41 } else { 1 });
    let refused = site.admin().metrics().await.count("palisade_connections_refused_total", &[("reason", "plugin")]);
    assert_eq!(refused, if passes { 0 } else { 40 });
}
