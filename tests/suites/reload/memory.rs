//! What is left of versions that are gone: nothing.

use harness::{Http, Running};
use serde_json::json;

use super::{module, numbered, rename, site, version, whole};

/// Swaps before the first measurement and before the second.
const FEW: usize = 10;
const MANY: usize = 1_000;

#[tokio::test]
async fn memory_after_a_thousand_swaps_is_what_it_was_after_ten() {
    let mut site = site().set("log.access", false).start_process().await;
    let versions = [version(&numbered(0)), version(&numbered(1))];
    let mut client = site.connect(Http::Plain).await;
    let began = std::time::Instant::now();
    let mut after_few = 0;
    for step in 1..=MANY {
        rename(&module(&site, "version"), &versions[step % 2]);
        let (status, outcome) = site.admin().reload().await;
        assert_eq!(status, 200, "{outcome}");
        assert_eq!(whole(&client.get("/").await), numbered(step % 2));
        if step == FEW {
            after_few = at_rest(&mut site).await;
        }
    }
    let took = began.elapsed();
    let (mut now, limit) = (0, after_few + after_few / 10);
    // An allocator gives back what is free when its thread has something to do.
    harness::eventually(&format!("memory is {after_few} again"), async || {
        let _ = (site.admin().reload().await, client.get("/").await);
        now = site.process().resident_bytes().0;
        now <= limit
    })
    .await;
    eprintln!("{MANY} swaps in {took:?}; resident memory after {FEW}: {after_few}, after {MANY}: {now}");
}

/// Resident memory once it does not fall any more: what is not used any more is let go of within seconds.
async fn at_rest(site: &mut Running) -> u64 {
    harness::eventually("one instance is left", async || {
        site.admin().plugin("version").await.json()["instances"] == json!(1)
    })
    .await;
    let (mut least, mut looks) = (u64::MAX, 0);
    harness::eventually("memory rests", async || {
        let _ = site.admin().metrics().await;
        let now = site.process().resident_bytes().0;
        looks = if now < least { 0 } else { looks + 1 };
        least = least.min(now);
        looks > 200
    })
    .await;
    least
}
