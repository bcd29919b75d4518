//! Every test of the whole host, one module for each subject.

#![forbid(unsafe_code)]

mod promises;
mod semantics;
