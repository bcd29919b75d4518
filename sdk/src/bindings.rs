//! What `wit-bindgen` generates from `wit/`: imports, and one export macro for each phase.
//!
//! Every phase is a world of its own, so that a plugin's module carries the phases that it registers and no other. All
//! unsafe code of the SDK is in here, and none of it is written by hand.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "generated code"
)]

pub mod capabilities {
    wit_bindgen::generate!({
        path: "wit",
        world: "capabilities",
        generate_all,
        additional_derives: [Hash],
    });
}

pub mod lifecycle {
    wit_bindgen::generate!({
        path: "wit",
        world: "lifecycle-plugin",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "palisade_sdk::bindings::lifecycle",
        additional_derives: [Hash],
    });
}

pub mod connection_filter {
    wit_bindgen::generate!({
        path: "wit",
        world: "connection-filter-plugin",
        with: { "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_connection_filter",
        default_bindings_module: "palisade_sdk::bindings::connection_filter",
        additional_derives: [Hash],
    });
}

pub mod request_filter {
    wit_bindgen::generate!({
        path: "wit",
        world: "request-filter-plugin",
        with: { "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_request_filter",
        default_bindings_module: "palisade_sdk::bindings::request_filter",
        additional_derives: [Hash],
    });
}

pub mod async_request_filter {
    wit_bindgen::generate!({
        path: "wit",
        world: "async-request-filter-plugin",
        with: { "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_async_request_filter",
        default_bindings_module: "palisade_sdk::bindings::async_request_filter",
        additional_derives: [Hash],
    });
}

pub mod request_body_filter {
    wit_bindgen::generate!({
        path: "wit",
        world: "request-body-filter-plugin",
        with: {
            "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types,
            "palisade:plugin/bodies@0.1.0": crate::bindings::capabilities::palisade::plugin::bodies,
        },
        pub_export_macro: true,
        export_macro_name: "export_request_body_filter",
        default_bindings_module: "palisade_sdk::bindings::request_body_filter",
        additional_derives: [Hash],
    });
}

pub mod response_filter {
    wit_bindgen::generate!({
        path: "wit",
        world: "response-filter-plugin",
        with: { "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_response_filter",
        default_bindings_module: "palisade_sdk::bindings::response_filter",
        additional_derives: [Hash],
    });
}

pub mod response_body_filter {
    wit_bindgen::generate!({
        path: "wit",
        world: "response-body-filter-plugin",
        with: {
            "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types,
            "palisade:plugin/bodies@0.1.0": crate::bindings::capabilities::palisade::plugin::bodies,
        },
        pub_export_macro: true,
        export_macro_name: "export_response_body_filter",
        default_bindings_module: "palisade_sdk::bindings::response_body_filter",
        additional_derives: [Hash],
    });
}

pub mod stream_filter {
    wit_bindgen::generate!({
        path: "wit",
        world: "stream-filter-plugin",
        with: { "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_stream_filter",
        default_bindings_module: "palisade_sdk::bindings::stream_filter",
        additional_derives: [Hash],
    });
}

pub mod balancer {
    wit_bindgen::generate!({
        path: "wit",
        world: "balancer-plugin",
        with: { "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_balancer",
        default_bindings_module: "palisade_sdk::bindings::balancer",
        additional_derives: [Hash],
    });
}

pub mod observer {
    wit_bindgen::generate!({
        path: "wit",
        world: "observer-plugin",
        with: { "palisade:plugin/types@0.1.0": crate::bindings::capabilities::palisade::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_observer",
        default_bindings_module: "palisade_sdk::bindings::observer",
        additional_derives: [Hash],
    });
}

pub mod ticker {
    wit_bindgen::generate!({
        path: "wit",
        world: "ticker-plugin",
        pub_export_macro: true,
        export_macro_name: "export_ticker",
        default_bindings_module: "palisade_sdk::bindings::ticker",
        additional_derives: [Hash],
    });
}
