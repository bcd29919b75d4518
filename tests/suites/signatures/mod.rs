//! Signed drop-ins: what is not signed as the operator asks does not load, says why, and hurts nobody else.

mod command;
mod host;
