//! `setup`: what a plugin declares while it is configured.

use http::header::HeaderName;

use super::{Guest, Interface, Str};
use crate::state::Stage;

/// Hot headers of one plugin.
const HOT_HEADERS_MAX: usize = 16;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("hot-header", |mut guest: Guest<'_>, (name,): (Str,)| {
        if guest.data().stage != Stage::Configure {
            wasmtime::bail!("setup.hot-header outside of configure");
        }
        let name = HeaderName::try_from(name.to_str(&guest)?.as_ref());
        let hot_headers = &mut guest.data_mut().hot_headers;
        if hot_headers.len() >= HOT_HEADERS_MAX {
            wasmtime::bail!("more than {HOT_HEADERS_MAX} hot headers");
        }
        Ok((name.map(|name| hot_headers.push(name)).is_ok(),))
    })
}
