//! `shared`: values and counters that all instances of a plugin have in common.

use std::time::{Duration, Instant};

use palisade_contract::{Namespace, SharedError, Term};

use super::{Bytes, Guest, Interface};
use crate::abi;

const KEY_BYTES_MAX: usize = 1_024;
const VALUE_BYTES_MAX: usize = 65_536;

pub(super) fn add(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    add_values(interface)?;
    add_counters(interface)
}

fn add_values(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("get", |mut guest: Guest<'_>, (key,): (Bytes,)| {
        let call = Call::of(&mut guest)?;
        answer(call.key(&key).and_then(|key| call.namespace.get(key, call.now)))
    })?;
    interface.func("set", |mut guest: Guest<'_>, (key, value, ttl): (Bytes, Bytes, u64)| {
        let call = Call::of(&mut guest)?;
        let value = call.value(&value);
        answer(call.key(&key).and_then(|key| call.namespace.set(key, value?, call.term(ttl))))
    })?;
    interface.func(
        "compare-and-set",
        |mut guest: Guest<'_>, (key, expected, value, ttl): (Bytes, Option<Bytes>, Option<Bytes>, u64)| {
            let call = Call::of(&mut guest)?;
            let value = value.map(|value| call.value(&value)).transpose();
            let expected = expected.map(|expected| expected.as_slice(call.guest));
            answer(call.key(&key).and_then(|key| call.namespace.compare_and_set(key, expected, value?, call.term(ttl))))
        },
    )?;
    interface.func("delete", |mut guest: Guest<'_>, (key,): (Bytes,)| {
        let call = Call::of(&mut guest)?;
        answer(call.key(&key).and_then(|key| call.namespace.delete(key, call.now)))
    })
}

fn add_counters(interface: &mut Interface<'_>) -> wasmtime::Result<()> {
    interface.func("add", |mut guest: Guest<'_>, (key, amount, ttl): (Bytes, i64, u64)| {
        let call = Call::of(&mut guest)?;
        answer(call.key(&key).and_then(|key| call.namespace.add(key, amount, call.term(ttl))))
    })?;
    interface.func("counter", |mut guest: Guest<'_>, (key,): (Bytes,)| {
        let call = Call::of(&mut guest)?;
        answer(call.key(&key).and_then(|key| call.namespace.counter(key, call.now)))
    })?;
    interface.func(
        "compare-and-set-counter",
        |mut guest: Guest<'_>, (key, expected, value, ttl): (Bytes, i64, i64, u64)| {
            let call = Call::of(&mut guest)?;
            let term = call.term(ttl);
            answer(call.key(&key).and_then(|key| call.namespace.compare_and_set_counter(key, expected, value, term)))
        },
    )
}

/// One call: what the guest shares, and when it asks. Lent, not cloned, because all workers would count at one place.
struct Call<'a, 'b> {
    guest: &'a Guest<'b>,
    namespace: &'a dyn Namespace,
    now: Instant,
}

impl<'a, 'b> Call<'a, 'b> {
    /// # Errors
    /// The guest is called for its schema alone, and shares nothing: it traps.
    fn of(guest: &'a mut Guest<'b>) -> wasmtime::Result<Self> {
        // What is shared is of this moment: no image may keep what was said of it.
        guest.data_mut().told_of_now = true;
        let guest: &'a Guest<'b> = guest;
        let identity = &guest.data().identity;
        let Some(namespace) = identity.shared.as_deref() else {
            wasmtime::bail!("nothing is shared before `configure`")
        };
        Ok(Self { guest, namespace, now: identity.services.clock.now() })
    }

    fn key(&self, key: &Bytes) -> Result<&'a [u8], SharedError> {
        let fits = (1..=KEY_BYTES_MAX).contains(&key.len());
        if fits { Ok(key.as_slice(self.guest)) } else { Err(SharedError::TooLarge) }
    }

    fn value(&self, value: &Bytes) -> Result<&'a [u8], SharedError> {
        let fits = value.len() <= VALUE_BYTES_MAX;
        if fits { Ok(value.as_slice(self.guest)) } else { Err(SharedError::TooLarge) }
    }

    /// Zero is no end.
    fn term(&self, ttl_millis: u64) -> Term {
        Term { now: self.now, ttl: (ttl_millis > 0).then(|| Duration::from_millis(ttl_millis)) }
    }
}

/// The call as it went, for the guest.
#[expect(clippy::unnecessary_wraps, reason = "what a host function returns")]
fn answer<T>(result: Result<T, SharedError>) -> wasmtime::Result<(Result<T, abi::SharedError>,)> {
    Ok((result.map_err(abi::SharedError::from),))
}
