//! What all plugins share.

use crate::{size, text::Value};

/// The `[engine]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    /// Bytes of stack that a call into a plugin may use: 64 KiB to 4 MiB.
    pub stack_bytes: usize,
}

impl Default for Engine {
    fn default() -> Self {
        Self { stack_bytes: 512 * 1024 }
    }
}

impl Engine {
    pub(crate) fn read(value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("engine")?;
        let range = (64 << 10)..=(4 << 20);
        let stack_bytes = table.or("stack", Self::default().stack_bytes, |value| size::read(&value, range));
        table.finish();
        Some(Self { stack_bytes })
    }
}
