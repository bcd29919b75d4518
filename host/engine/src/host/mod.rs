//! What guests can call: one file for each interface of the contract.

mod body;
mod clock;
mod fault;
mod fetch;
mod head;
mod log;
mod metrics;
mod names;
mod random;
mod reply;
mod request;
mod response;
mod setup;
mod shared;
mod streams;
mod timer;
mod tls;
pub(crate) mod wasi;

use wasmtime::component::{Linker, LinkerInstance};

use crate::manifest::{ABI, PACKAGE};
use crate::state::State;

/// A linker with everything of the contract. What a plugin may import was checked before it is linked.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let interfaces: [(&str, Add); 16] = [
        ("setup", setup::add),
        ("timer", timer::add),
        ("fault", fault::add),
        ("names", names::add),
        ("log", log::add),
        ("clock", clock::add),
        ("random", random::add),
        ("request", request::add),
        ("response", response::add),
        ("reply", reply::add),
        ("body", body::add),
        ("metrics", metrics::add),
        ("fetch", fetch::add),
        ("shared", shared::add),
        ("tls", tls::add),
        ("streams", streams::add),
    ];
    for (name, add) in interfaces {
        add(&mut linker.instance(&format!("{PACKAGE}/{name}@{ABI}"))?)?;
    }
    Ok(linker)
}

/// Adds one interface's functions.
type Add = fn(&mut LinkerInstance<'_, State>) -> wasmtime::Result<()>;

/// The guest that calls: the first argument of every host function.
type Guest<'a> = wasmtime::StoreContextMut<'a, State>;
