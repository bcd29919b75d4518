//! Where instances come from that live for one exchange: slots of memory that are used again and again.
//!
//! A memory of its own for every instance has to be mapped, faulted in page by page, and unmapped. In a slot that held an
//! instance of the same plugin before, only the pages that this one wrote to are made as they were; the kernel says which
//! (`PAGEMAP_SCAN`, Linux 6.7), or else all that may be resident are.

use palisade_config::PluginLimits;
use wasmtime::{Enabled, InstanceAllocationStrategy, PoolConcurrencyLimitError, PoolingAllocationConfig};

/// Instances at a time, over all plugins and workers. What is wanted beyond is made for itself.
pub(crate) const INSTANCES: u32 = 1_000;

/// Core instances and tables of one component: its main module and what adapts it.
const PARTS: u32 = 8;

/// Bytes that the memory of an instance in a slot may grow to.
const MEMORY_BYTES: usize = 32 << 20;

/// Elements of one table; most plugins have a few hundred functions that are called through it.
const TABLE_ELEMENTS: usize = 20_000;

/// Bytes of a slot's memory that stay in the process between two instances.
const KEPT_BYTES: usize = 256 << 10;
const KEPT_TABLE_BYTES: usize = 16 << 10;

/// A pool of slots. It takes address space, and memory only for the slots that were used.
pub(crate) fn allocation() -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_core_instances(INSTANCES * PARTS)
        .total_tables(INSTANCES * PARTS)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_BYTES)
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_TABLE_BYTES)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}

/// Whether instances with these limits fit into slots: one that is allowed more must not be refused it by its slot.
pub(crate) fn fits(limits: &PluginLimits) -> bool {
    limits.memory_bytes <= MEMORY_BYTES && limits.table_elements <= TABLE_ELEMENTS
}

/// Whether an instance could not be made because no slot is free.
pub(crate) fn is_full(error: &wasmtime::Error) -> bool {
    error.is::<PoolConcurrencyLimitError>()
}
