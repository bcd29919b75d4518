//! What a plugin shares state in, and whether those who share one agree about it.

use std::{collections::HashMap, ops::RangeInclusive};

use palisade_contract::Bounds;

use crate::{
    Capability, name, size,
    text::{Table, Value},
};

/// What a plugin shares state in: a namespace and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSpace {
    /// The namespace. Plugins that name the same one share what is in it.
    pub name: String,
    /// How much it may hold: the same for all plugins that name it.
    pub bounds: Bounds,
}

impl SharedSpace {
    /// What a plugin of this name has to itself.
    #[must_use]
    pub fn of(plugin: &str) -> Self {
        Self { name: plugin.to_owned(), bounds: Bounds::default() }
    }

    /// Reads the key `shared` of a plugin's table.
    pub(crate) fn read(plugin: &str, table: &mut Table<'_>, grants: &[Capability]) -> Self {
        table.or("shared", Self::of(plugin), |value| {
            if !grants.contains(&Capability::Shared) {
                value.warn("is of no use without grant = [\"shared\"]");
            }
            let (mut table, own) = (value.table("what a plugin shares")?, Self::of(plugin));
            let name = table.or("name", own.name, |value| name::read(&value));
            let keys = table.or("keys", own.bounds.keys, |value| value.whole(KEYS));
            let bytes = table.or("bytes", own.bounds.bytes, |value| size::read(&value, BYTES));
            table.finish();
            Some(Self { name, bounds: Bounds { keys, bytes } })
        })
    }
}

const KEYS: RangeInclusive<usize> = 1..=10_000_000;
const BYTES: RangeInclusive<u64> = (64 << 10)..=(4 << 30);

/// The namespaces of one config, and who named each first.
#[derive(Debug, Default)]
pub(crate) struct Spaces(HashMap<String, (String, Bounds)>);

impl Spaces {
    /// A plugin shares this one. Reports it where another plugin said something else about it.
    pub(crate) fn join(&mut self, plugin: &str, value: &Value<'_>, space: &SharedSpace) {
        let (first, bounds) = self.0.entry(space.name.clone()).or_insert_with(|| (plugin.to_owned(), space.bounds));
        if *bounds != space.bounds {
            let (own, other) = (told(space.bounds), told(*bounds));
            value.refuse::<()>(format!(
                "shares {:?} with plugin.{first}, and with other bounds: {own} here, {other} there; expected the same",
                space.name
            ));
        }
    }
}

fn told(bounds: Bounds) -> String {
    format!("{} keys and {}", bounds.keys, size::written(u64::try_from(bounds.bytes).unwrap_or(u64::MAX)))
}
