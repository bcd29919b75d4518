//! What a filter inspected is what the endpoint gets, and looking costs the same whatever is looked at.

use harness::{Body, Http, Origin, Running, Site, eventually};
use http::Request;
use serde_json::{Value, json};

async fn site(when: Value) -> Running {
    described(when, "normalize").start().await
}

fn described(when: Value, paths: &str) -> Site {
    let rules = json!([{ "name": "admin", "action": "deny", "when": when }]);
    let site = Site::new().plugin("wall", "firewall", json!({ "rules": rules })).chain(&["wall"]);
    let site = site.set("listener.public.paths", paths).set("listener.plain.paths", paths);
    site.origin(Origin::echo())
}

/// Whether the host brings paths into one form, or the firewall alone reads them so. What has no one reading is refused either
/// way, by the one or by the other.
#[tokio::test]
async fn no_spelling_of_a_denied_path_reaches_the_endpoint() {
    for (paths, statuses) in [("normalize", &[403, 400][..]), ("keep", &[403])] {
        no_spelling_reaches(described(json!({ "path_prefix": "/admin" }), paths).start().await, statuses).await;
    }
}

async fn no_spelling_reaches(site: Running, statuses: &[u16]) {
    for target in [
        "/admin",
        "/admin/",
        "/admin?x",
        "/%61dmin",
        "/%61%64%6D%69%6e",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/%2E./admin",
        "/./admin",
        "//admin",
        "///admin",
        "/x//../../admin",
        "/admin/../admin",
        "/admin%2Fx",
        "/admin;a=b",
        "/admin%00",
        "/..%2fadmin",
        "/x/..%2fadmin",
        "/x%2f..%2fadmin",
        "/x/..;/admin",
        r"/x\..\admin",
        r"/\admin",
        "/adm%zzin",
        "http://www.example.test/admin",
        "http://www.example.test/%61dmin",
    ] {
        for http in [Http::Plain, Http::H1] {
            let scheme = if http == Http::H1 { "https://" } else { "http://" };
            let target = target.replace("http://", scheme);
            let mut raw = site.raw(http).await;
            raw.send(format!("GET {target} HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n")).await;
            let read = raw.read_to_end().await;
            let status = String::from_utf8_lossy(read.get(9..12).unwrap_or_default()).parse::<u16>();
            assert!(status.is_ok_and(|status| statuses.contains(&status)), "{target} {http:?}");
        }
        let Ok(request) = Request::get(target).body(Body::empty()) else { continue };
        let status = site.connect(Http::H2).await.send(request).await.expect("an answer").status;
        assert!(statuses.contains(&status), "{target} h2 {status}");
    }
    assert_eq!(site.origin(0).seen(), []);
}

#[tokio::test]
async fn what_is_let_pass_is_passed_on_letter_by_letter() {
    let site = described(json!({ "path_prefix": "/admin" }), "keep").start().await;
    for target in
        ["/", "/a%20b?c=%2F&d=", "/a/./b/../c", "/%C3%BC?%", "/%2561dmin", "/a;b=c/d,e", "/?a=/admin", "/x?y?z", "/*"]
    {
        for http in Http::ALL {
            let request = Request::get(target).body(Body::empty()).unwrap();
            let reply = site.connect(http).await.send(request).await.unwrap();
            let seen = site.origin(0).seen().pop().map(|seen| seen.target);
            assert_eq!((reply.status, seen.as_deref()), (200, Some(target)), "{http:?}");
        }
    }
}

#[tokio::test]
async fn no_pattern_and_no_path_make_a_rule_slow() {
    let patterns = json!(["^/(a+)+$", "^/(a|aa)+$", "^/(a|a?)+$", "^/(.*a){20}b$", "(x+x+)+y"]);
    let site = site(json!({ "path_regex": patterns })).await;
    for path in [format!("/{}!", "a".repeat(8_000)), format!("/{}", "x".repeat(8_000))] {
        for http in Http::ALL {
            assert_eq!(site.connect(http).await.get(&path).await.status, 200, "{http:?}");
        }
    }
    let figures = site.admin().plugin("wall").await;
    assert_eq!(figures.failures("request-filter", "deadline"), 0, "{}", figures.json());
    eventually("every request was looked at", async || site.admin().plugin("wall").await.calls("request-filter") == 6)
        .await;
}
