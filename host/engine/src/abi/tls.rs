//! What `tls` passes.

use wasmtime::component::{ComponentType, Lower};

use crate::direct;

direct::record! { lowered,
    /// How a client came through TLS.
    #[derive(Debug, Clone, PartialEq, Eq, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Session {
        pub(crate) version: u16,
        #[component(name = "cipher-suite")]
        pub(crate) cipher_suite: u16,
        #[component(name = "server-name")]
        pub(crate) server_name: Option<String>,
        pub(crate) alpn: Option<Vec<u8>>,
        pub(crate) ja4: Option<String>,
    }
}

direct::record! { lowered,
    /// Whom a client's certificate is for.
    #[derive(Debug, Clone, PartialEq, Eq, ComponentType, Lower)]
    #[component(record)]
    pub(crate) struct Certificate {
        pub(crate) subject: String,
        pub(crate) sha256: Vec<u8>,
    }
}
