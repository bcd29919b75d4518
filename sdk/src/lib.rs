//! Write Palisade plugins in Rust.
