//! The types of `streams` and of the filter of streams, as wasmtime passes them.

use palisade_contract as contract;
use palisade_contract::Exchange;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::IpAddress;
use crate::direct;

enumeration!(Direction { FromClient = "from-client", FromEndpoint = "from-endpoint" });
enumeration!(StreamVerdict {
    Pass = "pass", PassRest = "pass-rest", Hold = "hold", Close = "close", Failed = "failed",
});
enumeration!(ChooseError { NotOffered = "not-offered", TooLate = "too-late" });

impl From<contract::Direction> for Direction {
    fn from(direction: contract::Direction) -> Self {
        match direction {
            contract::Direction::FromClient => Self::FromClient,
            contract::Direction::FromEndpoint => Self::FromEndpoint,
        }
    }
}

impl From<contract::ChooseError> for ChooseError {
    fn from(error: contract::ChooseError) -> Self {
        match error {
            contract::ChooseError::NotOffered => Self::NotOffered,
            contract::ChooseError::TooLate => Self::TooLate,
        }
    }
}

direct::record! { fixed,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Opened {
        exchange: u64,
        client: IpAddress,
        #[component(name = "client-port")]
        client_port: u16,
        listener: u32,
        route: u32,
    }
}

impl From<&Exchange> for Opened {
    fn from(exchange: &Exchange) -> Self {
        Self {
            exchange: exchange.id.0,
            client: exchange.connection.client.ip().into(),
            client_port: exchange.connection.client.port(),
            listener: exchange.connection.listener.0,
            route: exchange.route.0,
        }
    }
}

direct::record! { lifted,
    #[derive(Debug, Clone, Copy, ComponentType, Lift)]
    #[component(record)]
    pub(crate) struct Interest {
        #[component(name = "from-client")]
        from_client: bool,
        #[component(name = "from-endpoint")]
        from_endpoint: bool,
        #[component(name = "before-endpoint")]
        before_endpoint: bool,
    }
}

impl From<Interest> for contract::Interest {
    fn from(interest: Interest) -> Self {
        let Interest { from_client, from_endpoint, before_endpoint } = interest;
        Self { from_client, from_endpoint, before_endpoint }
    }
}

#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum StreamWish {
    #[component(name = "skip")]
    Skip,
    #[component(name = "watch")]
    Watch(Interest),
    #[component(name = "close")]
    Close,
    #[component(name = "failed")]
    Failed,
}

direct::variant!(StreamWish: Interest { 0 => Skip, 1 => Watch(Interest), 2 => Close, 3 => Failed });
