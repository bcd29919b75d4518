//! What all plugins share.

use crate::{size, text::Value};

/// The `[engine]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// Bytes of stack that a call into a plugin may use: 64 KiB to 4 MiB.
    pub stack_bytes: usize,
    /// Bytes of linear memory that all instances of all plugins may have together: 1 MiB to 1 TiB.
    pub memory_bytes: usize,
}

impl Default for Engine {
    fn default() -> Self {
        Self { stack_bytes: 512 << 10, memory_bytes: 1 << 30 }
    }
}

impl Engine {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("engine")?;
        let range = (64 << 10)..=(4 << 20);
        let stack_bytes = table.or("stack", Self::default().stack_bytes, |value| size::read(&value, range));
        let range = (1 << 20)..=(1 << 40);
        let memory_bytes = table.or("memory", Self::default().memory_bytes, |value| size::read(&value, range));
        table.finish();
        Some(Self { stack_bytes, memory_bytes })
    }
}
