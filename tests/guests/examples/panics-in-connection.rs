//! Panics when a connection opens.

#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "this is what the guest is for")]

use palisade_sdk::prelude::*;

struct PanicsInConnection;

impl Plugin for PanicsInConnection {
    type Settings = NoSettings;

    fn configure(_settings: NoSettings, _host: &mut Setup) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl ConnectionFilter for PanicsInConnection {
    fn on_connection(&mut self, _connection: &Connection) -> Result<Admission, Error> {
        panic!("this plugin panics in the connection filter")
    }
}

register!(PanicsInConnection: ConnectionFilter);
