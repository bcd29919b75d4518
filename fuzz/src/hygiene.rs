//! The paths of requests.

#[path = "../../host/proxy/src/hygiene/path.rs"]
mod path_file;

use http::uri::PathAndQuery;
use palisade_config::PathPolicy;

pub(crate) fn path(bytes: &[u8]) {
    let Ok(target) = PathAndQuery::try_from(bytes) else { return };
    let Ok(normal) = path_file::apply(PathPolicy::Normalize, target) else { return };
    // What is in its normal form stays as it is, by either policy.
    for policy in [PathPolicy::Normalize, PathPolicy::Refuse] {
        let again = path_file::apply(policy, normal.clone()).ok();
        assert_eq!(again.as_ref(), Some(&normal));
    }
    let path = normal.path();
    assert!(!path.split('/').any(|segment| segment == ".."), "{path}");
}
