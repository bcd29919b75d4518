//! What one instance may use, and whether it was refused something.

use std::sync::Arc;

use palisade_config::PluginLimits;
use wasmtime::ResourceLimiter;

use crate::budget::Budget;

/// Keeps one store within its plugin's limits.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: PluginLimits,
    /// What all plugins have together; what this store has of it is given back with it.
    budget: Arc<Budget>,
    memory_bytes: usize,
    refused: Option<Refused>,
}

/// Why memory was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The instance would have more than it may.
    Limit,
    /// All plugins together would have more than they may.
    Budget,
}

impl Limiter {
    pub(crate) fn new(limits: PluginLimits, budget: Arc<Budget>) -> Self {
        Self { limits, budget, memory_bytes: 0, refused: None }
    }

    /// What all plugins may have together.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Bytes of linear memory now, all memories together.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether memory was asked for beyond a limit: what most likely made the guest trap.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.budget.give_back(self.memory_bytes);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if all > self.limits.memory_bytes {
            self.refused = Some(Refused::Limit);
            return Ok(false);
        }
        if !self.budget.take(desired.saturating_sub(current)) {
            self.refused = Some(Refused::Budget);
            return Ok(false);
        }
        self.memory_bytes = all;
        Ok(true)
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
