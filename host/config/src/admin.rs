//! The admin listener: metrics, health and plugins.

use std::net::SocketAddr;

use crate::{
    address,
    text::{Seen, Value},
};

/// The `[admin]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens. A loopback address unless the operator wrote `allow_remote = true`.
    pub bind: SocketAddr,
}

impl Admin {
    pub(crate) fn read(value: &Value<'_>, bound: &mut Seen<SocketAddr>) -> Option<Self> {
        let mut table = value.table("admin")?;
        let bind = table.value("bind");
        let allow_remote = table.or("allow_remote", false, |value| value.boolean());
        let address = table.required("bind", |value| address::bind(&value, bound));
        table.finish();
        let (bind, address) = (bind?, address?);
        if !address::is_loopback(address) {
            if !allow_remote {
                return bind.refuse(format!(
                    "{} is not a loopback address: expected one, such as \"127.0.0.1:9901\", or allow_remote = true",
                    bind.found()
                ));
            }
            bind.warn(format!("{} lets other machines reach the admin listener", bind.found()));
        }
        Some(Self { bind: address })
    }
}
