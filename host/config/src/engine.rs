//! What all plugins share.

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
