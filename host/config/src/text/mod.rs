//! TOML text in, values that know their place out, with a report of what is wrong with them.
//!
//! A reader asks a [`Table`] for each of its keys. A value that cannot be
//! used is reported and read as absent or as its default: one problem refuses
//! the whole config, so what stands in for a bad value is never used, and the
//! reading goes on to the next problem.

mod nearest;
mod report;
mod seen;
mod source;
mod syntax;
mod table;
mod value;

pub(crate) use report::Report;
pub(crate) use seen::Seen;
pub(crate) use syntax::parse;
pub(crate) use table::Table;
pub(crate) use value::{Form, Value, number};
