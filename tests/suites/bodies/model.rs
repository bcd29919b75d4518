//! Filters of bodies against a model: whatever the chain, the protocol and the pieces are, the bytes are the model's.

use harness::{Body, Http, Origin, Running, Site};
use http::Request;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

/// What a filter does with a whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit {
    Upper,
    Double,
    Halve,
}

/// A plugin that reshapes bodies, by its name.
type Filter = (&'static str, Edit);

/// Every filter, streaming and buffering, on both ways.
const FILTERS: [Filter; 6] = [UPPER, DOUBLE, HALVE, UPPER_WHOLE, DOUBLE_WHOLE, HALVE_WHOLE];

const UPPER: Filter = ("upper", Edit::Upper);
const DOUBLE: Filter = ("double", Edit::Double);
const HALVE: Filter = ("halve", Edit::Halve);
const UPPER_WHOLE: Filter = ("upper-whole", Edit::Upper);
const DOUBLE_WHOLE: Filter = ("double-whole", Edit::Double);
const HALVE_WHOLE: Filter = ("halve-whole", Edit::Halve);

/// Chains of up to three of them.
const CHAINS: [&[Filter]; 12] = [
    &[UPPER],
    &[DOUBLE],
    &[HALVE],
    &[UPPER_WHOLE],
    &[DOUBLE_WHOLE],
    &[HALVE_WHOLE],
    &[UPPER, DOUBLE],
    &[DOUBLE, HALVE_WHOLE],
    &[HALVE_WHOLE, DOUBLE],
    &[DOUBLE_WHOLE, HALVE],
    &[UPPER, DOUBLE_WHOLE, HALVE],
    &[HALVE, UPPER_WHOLE, DOUBLE],
];

fn edited(edit: Edit, body: &[u8]) -> Vec<u8> {
    match edit {
        Edit::Upper => body.to_ascii_uppercase(),
        Edit::Double => body.iter().flat_map(|byte| [*byte, *byte]).collect(),
        Edit::Halve => body.iter().step_by(2).copied().collect(),
    }
}

/// What a body is after both of its ways.
fn model(chain: &[Filter], body: &[u8]) -> Vec<u8> {
    let there = chain.iter().fold(body.to_vec(), |body, (_, edit)| edited(*edit, &body));
    chain.iter().rev().fold(there, |body, (_, edit)| edited(*edit, &body))
}

async fn site() -> Running {
    let mut site = Site::new().origin(Origin::echo());
    for (name, edit) in FILTERS {
        let edit = format!("{edit:?}").to_lowercase();
        let way = if name.ends_with("-whole") {
            json!({ "edit": edit, "buffer": 32 << 20 })
        } else {
            json!({ "edit": edit })
        };
        site = site
            .plugin(name, "reshape", json!({ "request": way, "response": way }))
            .set(&format!("plugin.{name}.limits.body"), "32 MiB")
            .set(&format!("plugin.{name}.limits.bodies"), "1 GiB")
            .set(&format!("plugin.{name}.limits.memory"), "512 MiB");
    }
    for (number, chain) in CHAINS.iter().enumerate() {
        let chain: Vec<&str> = chain.iter().map(|(name, _)| *name).collect();
        site = site.route(json!({ "path": format!("/{number}"), "chain": chain }));
    }
    site.start().await
}

async fn echoed(site: &Running, (http, chain): (Http, usize), body: &[u8], piece_bytes: usize) -> Vec<u8> {
    let pieces: Vec<Vec<u8>> = body.chunks(piece_bytes).map(Vec::from).collect();
    let (feed, fed) = Body::fed(None);
    tokio::spawn(async move {
        for piece in pieces {
            feed.send(piece).await;
        }
    });
    let request = Request::post(format!("/{chain}/stream")).body(fed).expect("a request");
    let reply = site.connect(http).await.send(request).await;
    reply.unwrap_or_else(|error| panic!("chain {chain} over {http:?}: {error}")).body.to_vec()
}

#[test]
fn bodies_are_what_the_model_says() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let site = runtime.block_on(site());
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let http = prop_oneof![Just(Http::Plain), Just(Http::H1), Just(Http::H2)];
    let small = (http, 0..CHAINS.len(), proptest::collection::vec(any::<u8>(), 0..400), 1..70_usize);
    runner
        .run(&small, |(http, chain, body, piece_bytes)| {
            for piece_bytes in [1, piece_bytes] {
                let found = runtime.block_on(echoed(&site, (http, chain), &body, piece_bytes));
                prop_assert_eq!(found, model(CHAINS[chain], &body), "{:?} {:?}", http, CHAINS[chain]);
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    // In pieces of a mebibyte, and more than one of them.
    let body: Vec<u8> = (0_u32..2_500_000).map(|place| place.to_le_bytes()[(place % 3) as usize]).collect();
    for (chain, filters) in CHAINS.iter().enumerate() {
        let http = if chain % 2 == 0 { Http::H1 } else { Http::H2 };
        let found = runtime.block_on(echoed(&site, (http, chain), &body, 1 << 20));
        assert!(found == model(filters, &body), "{http:?} {filters:?}: {} bytes", found.len());
    }
}
