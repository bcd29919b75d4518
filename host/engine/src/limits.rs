//! What one instance may use, and whether it was refused something.

use palisade_config::PluginLimits;
use wasmtime::ResourceLimiter;

/// Keeps one store within its plugin's limits.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: PluginLimits,
    memory_bytes: usize,
    refused_memory: bool,
}

impl Limiter {
    pub(crate) fn new(limits: PluginLimits) -> Self {
        Self { limits, memory_bytes: 0, refused_memory: false }
    }

    /// Bytes of linear memory now, all memories together.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether memory was asked for beyond the limit: what most likely made the guest trap.
    pub(crate) fn refused_memory(&self) -> bool {
        self.refused_memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        let fits = all <= self.limits.memory_bytes;
        if fits {
            self.memory_bytes = all;
        }
        self.refused_memory |= !fits;
        Ok(fits)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.limits.table_elements)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}
