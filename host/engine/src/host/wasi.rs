//! WASI, as far as a standard library needs it to start: empty environment, no input, output to the log.
//!
//! Everything else that a plugin's standard library imports traps when it is called; `Manifest` has refused files,
//! sockets and whatever else would be a power.

use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType, WasmList};

use super::Guest;
use super::clock::{nanoseconds, since_start};
use super::log::{allowed, write};
use crate::abi::LogLevel;
use crate::state::State;

/// Bytes that are taken in one write.
const WRITE_BYTES_MAX: usize = 4_096;

/// The output that one instance has begun and not ended with a line break.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    line: Vec<u8>,
}

struct OutputStream;
struct InputStream;
struct StreamErrorResource;
struct Pollable;
struct Terminal;

/// Defines those WASI interfaces that this component imports, under the very version that it names.
pub(crate) fn add(linker: &mut Linker<State>, imports: &[String]) -> wasmtime::Result<()> {
    for import in imports {
        let interface = import.split_once('@').map_or(import.as_str(), |(interface, _)| interface);
        let mut instance = linker.instance(import)?;
        add_resources(&mut instance, interface)?;
        match interface {
            "wasi:cli/environment" => add_environment(&mut instance)?,
            "wasi:cli/stdout" => add_output(&mut instance, "get-stdout")?,
            "wasi:cli/stderr" => add_output(&mut instance, "get-stderr")?,
            "wasi:io/streams" => add_streams(&mut instance)?,
            "wasi:clocks/monotonic-clock" => add_clock(&mut instance)?,
            "wasi:random/insecure-seed" => instance.func_wrap("insecure-seed", |mut guest: Guest<'_>, (): ()| {
                guest.data_mut().told_of_now = true;
                Ok(((super::random::number()?, super::random::number()?),))
            })?,
            _ => {}
        }
    }
    Ok(())
}

/// The resources that an interface defines, and those of others that it uses: a component names each in both places.
fn add_resources(instance: &mut LinkerInstance<'_, State>, interface: &str) -> wasmtime::Result<()> {
    let names: &[&str] = match interface {
        "wasi:cli/stdin" => &["input-stream"],
        "wasi:cli/stdout" | "wasi:cli/stderr" => &["output-stream"],
        "wasi:cli/terminal-input" | "wasi:cli/terminal-stdin" => &["terminal-input"],
        "wasi:cli/terminal-output" | "wasi:cli/terminal-stdout" | "wasi:cli/terminal-stderr" => &["terminal-output"],
        "wasi:io/error" => &["error"],
        "wasi:io/poll" | "wasi:clocks/monotonic-clock" => &["pollable"],
        "wasi:io/streams" => &["error", "pollable", "input-stream", "output-stream"],
        _ => &[],
    };
    for name in names {
        let resource = match *name {
            "error" => ResourceType::host::<StreamErrorResource>(),
            "pollable" => ResourceType::host::<Pollable>(),
            "input-stream" => ResourceType::host::<InputStream>(),
            "output-stream" => ResourceType::host::<OutputStream>(),
            _ => ResourceType::host::<Terminal>(),
        };
        instance.resource(name, resource, nothing)?;
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a resource's destructor")]
fn nothing(_: Guest<'_>, _: u32) -> wasmtime::Result<()> {
    Ok(())
}

fn add_environment(interface: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    interface.func_wrap("get-environment", |_: Guest<'_>, (): ()| Ok((Vec::<(String, String)>::new(),)))?;
    interface.func_wrap("get-arguments", |_: Guest<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
    interface.func_wrap("initial-cwd", |_: Guest<'_>, (): ()| Ok((None::<String>,)))
}

fn add_output(interface: &mut LinkerInstance<'_, State>, name: &str) -> wasmtime::Result<()> {
    interface.func_wrap(name, |_: Guest<'_>, (): ()| Ok((Resource::<OutputStream>::new_own(0),)))
}

fn add_clock(interface: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    interface.func_wrap("now", |mut guest: Guest<'_>, (): ()| {
        guest.data_mut().told_of_now = true;
        Ok((nanoseconds(since_start(guest.data().identity.services.clock.now())),))
    })?;
    interface.func_wrap("resolution", |_: Guest<'_>, (): ()| Ok((1_u64,)))
}

/// `stream-error` of `wasi:io/streams`.
#[derive(wasmtime::component::ComponentType, wasmtime::component::Lower, wasmtime::component::Lift)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<StreamErrorResource>),
    #[component(name = "closed")]
    Closed,
}

type Written = (Result<(), StreamError>,);
type Output = Resource<OutputStream>;

fn add_streams(interface: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    interface.func_wrap("[method]output-stream.check-write", |_: Guest<'_>, (_,): (Output,)| {
        Ok((Ok::<u64, StreamError>(u64::try_from(WRITE_BYTES_MAX)?),))
    })?;
    for name in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        interface.func_wrap(
            name,
            |mut guest: Guest<'_>, (_, bytes): (Output, WasmList<u8>)| -> wasmtime::Result<Written> {
                let bytes = bytes.as_le_slice(&guest).iter().take(WRITE_BYTES_MAX).copied().collect();
                output(guest.data_mut(), bytes);
                Ok((Ok(()),))
            },
        )?;
    }
    for name in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        interface.func_wrap(name, |_: Guest<'_>, (_,): (Output,)| -> wasmtime::Result<Written> { Ok((Ok(()),)) })?;
    }
    Ok(())
}

/// Every full line is a line of the log.
fn output(state: &mut State, bytes: Vec<u8>) {
    state.wasi.line.extend(bytes);
    while let Some(end) = state.wasi.line.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = state.wasi.line.drain(..=end).collect();
        if allowed(state) {
            write(&state.identity.name, LogLevel::Info, &String::from_utf8_lossy(&line));
        }
    }
    if state.wasi.line.len() > WRITE_BYTES_MAX {
        state.wasi.line.clear();
    }
}
