//! The types of `bodies` and of the filters of bodies, as wasmtime passes them.

use palisade_contract as contract;
use palisade_contract::Exchange;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::WireMethod;
use crate::direct;

enumeration!(Edits { None = "none", SameLength = "same-length", Any = "any" });
enumeration!(OverLimit { Skip = "skip", Refuse = "refuse" });
enumeration!(PieceVerdict {
    Proceed = "proceed", PassRest = "pass-rest", Reply = "reply", Close = "close", Failed = "failed",
});
enumeration!(WriteError { ReadOnly = "read-only", TooLarge = "too-large" });

impl From<Edits> for contract::Edits {
    fn from(edits: Edits) -> Self {
        match edits {
            Edits::None => Self::None,
            Edits::SameLength => Self::SameLength,
            Edits::Any => Self::Any,
        }
    }
}

impl From<OverLimit> for contract::Over {
    fn from(over: OverLimit) -> Self {
        match over {
            OverLimit::Skip => Self::Skip,
            OverLimit::Refuse => Self::Refuse,
        }
    }
}

direct::record! { lifted,
    #[derive(Debug, Clone, Copy, ComponentType, Lift)]
    #[component(record)]
    pub(crate) struct Buffering {
        #[component(name = "bytes-max")]
        pub(crate) bytes_max: u64,
        #[component(name = "over-limit")]
        pub(crate) over_limit: OverLimit,
    }
}

#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Wish {
    #[component(name = "skip")]
    Skip,
    #[component(name = "stream")]
    Stream(Edits),
    #[component(name = "buffer")]
    Buffer(Buffering),
    #[component(name = "reply")]
    Reply,
    #[component(name = "close")]
    Close,
    #[component(name = "failed")]
    Failed,
}

direct::variant!(Wish: Buffering {
    0 => Skip, 1 => Stream(Edits), 2 => Buffer(Buffering), 3 => Reply, 4 => Close, 5 => Failed,
});

direct::record! { lowered,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct RequestBody {
        exchange: u64,
        method: WireMethod,
        listener: u32,
        route: u32,
        length: Option<u64>,
    }
}

impl RequestBody {
    pub(crate) fn new(exchange: &Exchange, length: Option<u64>) -> Self {
        Self {
            exchange: exchange.id.0,
            method: (&exchange.request.method).into(),
            listener: exchange.connection.listener.0,
            route: exchange.route.0,
            length,
        }
    }
}

direct::record! { lowered,
    #[derive(Debug, Clone, Copy, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct ResponseBody {
        exchange: u64,
        status: u16,
        method: WireMethod,
        listener: u32,
        route: u32,
        upstream: u32,
        endpoint: u32,
        length: Option<u64>,
    }
}

impl ResponseBody {
    pub(crate) fn new(exchange: &Exchange, length: Option<u64>) -> Self {
        Self {
            exchange: exchange.id.0,
            status: exchange.response.as_ref().map_or(0, |response| response.status.as_u16()),
            method: (&exchange.request.method).into(),
            listener: exchange.connection.listener.0,
            route: exchange.route.0,
            upstream: exchange.upstream.0,
            endpoint: exchange.endpoint.0,
            length,
        }
    }
}
