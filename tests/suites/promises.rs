//! What the host promises whoever puts it in front of something that matters.

use harness::{Http, Origin, Site};

#[tokio::test]
async fn every_protocol_reaches_the_origin() {
    let site = Site::new().origin(Origin::echo()).start().await;
    for http in Http::ALL {
        let reply = site.connect(http).await.get("/hello?x=1").await;
        assert_eq!(reply.status, 200, "{http:?}");
        assert_eq!(reply.json()["target"], "/hello?x=1", "{http:?}");
    }
    assert_eq!(site.origin(0).seen().len(), 3);
}
