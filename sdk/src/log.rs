//! Lines for the host's log, under the plugin's name: `log::info!("loaded {count} prefixes")`.
//!
//! The host cuts a line at 8,192 bytes, and beyond 100 lines a second for one plugin it drops and counts them.

use std::fmt;

use crate::host;

pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace, __log_warn as warn,
    bindings::capabilities::palisade::plugin::log::Level,
};

/// Writes one line. The macros of this module call it.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(message) => host::log::write(level, message),
        None => host::log::write(level, &message.to_string()),
    }
}

/// Writes a line of level trace, with the arguments of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_trace {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Trace, ::core::format_args!($($message)+)) };
}

/// Writes a line of level debug, with the arguments of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($message)+)) };
}

/// Writes a line of level info, with the arguments of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, ::core::format_args!($($message)+)) };
}

/// Writes a line of level warn, with the arguments of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::core::format_args!($($message)+)) };
}

/// Writes a line of level error, with the arguments of [`format!`].
#[macro_export]
#[doc(hidden)]
macro_rules! __log_error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($message)+)) };
}
