//! Clients that keep connections busy by being slow, by a tool that is made for it: each is cut in its time, and good clients see
//! nothing of them.

use harness::{Origin, Site, eventually, run_command};
use serde_json::json;

use crate::endpoint::quick;

/// Slow clients at a time.
const CONNECTIONS: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_clients_are_cut_and_good_ones_are_served() {
    // Slow heads, slow bodies, and answers that are hardly read (slowhttptest(1)).
    for (mode, reason) in [("-H", "header_timeout"), ("-B", "body_timeout"), ("-X", "body_timeout")] {
        let fast = quick().await.to_string();
        let site = Site::new()
            .set("workers", 2)
            .set("log.access", false)
            .set("listener.public.limits.header_timeout", "3s")
            .set("listener.public.limits.body_timeout", "3s")
            .set("upstream.fast", json!({ "endpoints": [fast] }))
            .origin(Origin::echo())
            .route(json!({}))
            .route(json!({ "path": "/fast", "upstream": "fast" }))
            .start_process()
            .await;
        let address = site.address("public");
        let load = |program: &'static str, arguments: String| {
            let folder = site.folder().path().to_owned();
            tokio::spawn(async move {
                let arguments: Vec<&str> = arguments.split(' ').collect();
                run_command(program, &arguments, &folder).await
            })
        };
        let slow = load(
            "slowhttptest",
            format!("{mode} -c {CONNECTIONS} -r 500 -i 1 -l 14 -p 5 -v 1 -u https://{address}/bytes/5000000"),
        );
        let good = load("h2load", format!("-D 10 -c 4 -m 4 https://{address}/fast"));
        let good = good.await.expect("h2load");
        assert!(good.stdout.contains(" 0 failed, 0 errored, 0 timeout"), "{mode}: {}", good.stdout);
        assert!(good.stdout.contains(" 2xx, 0 3xx, 0 4xx, 0 5xx"), "{mode}: {}", good.stdout);
        let slow = slow.await.expect("slowhttptest");
        let summary = slow.stdout.replace(|letter: char| letter.is_whitespace(), "");
        assert!(
            summary.contains("serviceavailable:") && !summary.contains("serviceavailable:NO"),
            "{mode}: {}",
            slow.stdout
        );
        // The others had left before their time, because the tool did.
        eventually(&format!("the slow ones are cut: {mode}"), async || {
            let labels = [("listener", "public"), ("reason", reason)];
            site.admin().metrics().await.count("palisade_connections_refused_total", &labels) >= CONNECTIONS / 4
        })
        .await;
        site.idle().await;
    }
}
