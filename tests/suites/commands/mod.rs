//! `palisade plugin run`, as the authors of plugins use it.

mod run;
