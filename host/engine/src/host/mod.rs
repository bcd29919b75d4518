//! What guests can call: one file for each interface of the contract.

mod body;
mod clock;
mod fault;
mod fetch;
mod head;
mod interface;
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
mod values;
pub(crate) mod wasi;

use wasmtime::component;

use crate::manifest::{ABI, PACKAGE};
use crate::state::State;

pub(crate) use interface::Interface;
pub(crate) use values::{Argument, Bytes, List, Str, same};

/// What links plugins with the host's functions: as components, and directly.
pub(crate) struct Linkers {
    pub(crate) component: component::Linker<State>,
    pub(crate) direct: wasmtime::Linker<State>,
}

/// Linkers with everything of the contract. What a plugin may import was checked before it is linked.
pub(crate) fn linkers(engine: &wasmtime::Engine) -> wasmtime::Result<Linkers> {
    let mut linkers = Linkers { component: component::Linker::new(engine), direct: wasmtime::Linker::new(engine) };
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
        let name = format!("{PACKAGE}/{name}@{ABI}");
        let component = linkers.component.instance(&name)?;
        add(&mut Interface { component, direct: &mut linkers.direct, name: &name })?;
    }
    Ok(linkers)
}

/// Adds one interface's functions.
type Add = fn(&mut Interface<'_>) -> wasmtime::Result<()>;

/// The guest that calls: the first argument of every host function.
pub(crate) type Guest<'a> = wasmtime::StoreContextMut<'a, State>;
