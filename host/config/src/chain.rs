//! The plugins of a listener or a route, in order, and whether what each of them decides is followed.

use crate::{
    reference::References,
    text::{Form, Seen, Value},
};

/// One plugin's place in a chain: its name, or a table with `plugin` and `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEntry {
    /// The index into the config's plugins.
    pub plugin: usize,
    /// What becomes of its decisions.
    pub mode: ChainMode,
}

/// What becomes of a plugin's decisions in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainMode {
    /// They are followed.
    Enforce,
    /// It runs, and what it would have done is counted.
    Shadow,
}

/// Reads a chain: plugins in order, each at most once.
pub(crate) fn read(value: &Value<'_>, plugins: &References<'_>) -> Option<Vec<ChainEntry>> {
    let mut seen = Seen::default();
    let mut chain = Vec::new();
    for element in value.list(CHAIN)? {
        let Some((entry, name)) = ChainEntry::read(&element, plugins) else { continue };
        match seen.insert(entry.plugin, &name) {
            Ok(()) => chain.push(entry),
            Err(first) => name.refuse(format!("{} is {first} already", name.found())).unwrap_or_default(),
        }
    }
    Some(chain)
}

impl ChainEntry {
    /// The entry, and the value that names its plugin.
    fn read<'a>(value: &Value<'a>, plugins: &References<'_>) -> Option<(Self, Value<'a>)> {
        if !value.raw().is_table() {
            return Some((Self { plugin: plugins.find(value)?, mode: ChainMode::Enforce }, value.clone()));
        }
        let mut table = value.table("an entry of a chain")?;
        let plugin = table.required("plugin", |value| Some((plugins.find(&value)?, value)));
        let mode = table.or("mode", ChainMode::Enforce, |value| value.choice("a mode", &MODES));
        table.finish();
        plugin.map(|(plugin, name)| (Self { plugin, mode }, name))
    }
}

const CHAIN: Form = Form { noun: "a list", expected: "names of plugins, such as [\"firewall\"]" };
const MODES: [(&str, ChainMode); 2] = [("enforce", ChainMode::Enforce), ("shadow", ChainMode::Shadow)];
