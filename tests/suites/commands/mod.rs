//! `palisade plugin run`, `compile` and `new`, as the authors of plugins use them.

mod compile;
mod new;
mod run;
