//! `palisade plugin run` and `palisade plugin new`, as the authors of plugins use them.

mod new;
mod run;
