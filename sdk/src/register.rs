//! [`register!`](crate::register): makes a type the plugin of its crate.

/// Makes a type the plugin of its crate: `register!(Firewall: ConnectionFilter, RequestFilter);`
///
/// The phases are those traits that the host is to call; the plugin exports these and no other. A crate registers one
/// plugin. In a native build nothing is exported, and it is checked that the type has the phases.
///
/// The plugin gets an allocator that has the small blocks of memory of the call before at hand, by their size: up to 256 KiB of them. A plugin that declares one of
/// its own says so: `register!(Firewall: RequestFilter; own_allocator);`
///
/// The crate's name, version and description go into the module's custom section `palisade:plugin`.
///
/// ```compile_fail
/// use palisade_sdk::prelude::*;
///
/// struct Firewall;
///
/// impl Plugin for Firewall {
///     type Settings = NoSettings;
///     fn configure(_: NoSettings, _: &mut Setup) -> Result<Self, Error> {
///         Ok(Self)
///     }
/// }
///
/// register!(Firewall: RequestFilter); // Firewall does not implement it
/// ```
#[macro_export]
macro_rules! register {
    ($plugin:ty: $($phase:ident),+ $(,)?) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            #[global_allocator]
            #[unsafe(export_name = "palisade_arrival")]
            static ALLOCATOR: $crate::export::Allocator = $crate::export::Allocator::new();
        };

        $crate::register!($plugin: $($phase),+; own_allocator);
    };
    ($plugin:ty: $($phase:ident),+ $(,)?; own_allocator) => {
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: $crate::export::Slot<$plugin> = const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            impl $crate::export::Registered for $plugin {
                fn slot() -> &'static ::std::thread::LocalKey<$crate::export::Slot<Self>> {
                    &INSTANCE
                }
            }

            const fn has_phases<P: $($crate::$phase +)+>() {}
            has_phases::<$plugin>();

            #[cfg(target_family = "wasm")]
            const _: () = {
                type Exported = $crate::export::Export<$plugin>;
                $crate::__export!(Exported Lifecycle);
                $($crate::__export!(Exported $phase);)+

                const MANIFEST: $crate::manifest::Manifest = $crate::manifest::Manifest {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    description: ::core::env!("CARGO_PKG_DESCRIPTION"),
                };

                #[used]
                #[unsafe(link_section = "palisade:plugin")]
                static SECTION: [u8; MANIFEST.json_bytes()] = MANIFEST.json();
            };
        };
    };
}

/// Exports one phase of a type.
#[macro_export]
#[doc(hidden)]
macro_rules! __export {
    ($exported:ident Lifecycle) => {
        $crate::bindings::lifecycle::export_lifecycle!($exported with_types_in $crate::bindings::lifecycle);
    };
    ($exported:ident ConnectionFilter) => {
        $crate::bindings::connection_filter::export_connection_filter!(
            $exported with_types_in $crate::bindings::connection_filter
        );
    };
    ($exported:ident RequestFilter) => {
        $crate::bindings::request_filter::export_request_filter!(
            $exported with_types_in $crate::bindings::request_filter
        );
    };
    ($exported:ident AsyncRequestFilter) => {
        $crate::bindings::async_request_filter::export_async_request_filter!(
            $exported with_types_in $crate::bindings::async_request_filter
        );
    };
    ($exported:ident RequestBodyFilter) => {
        $crate::bindings::request_body_filter::export_request_body_filter!(
            $exported with_types_in $crate::bindings::request_body_filter
        );
    };
    ($exported:ident ResponseFilter) => {
        $crate::bindings::response_filter::export_response_filter!(
            $exported with_types_in $crate::bindings::response_filter
        );
    };
    ($exported:ident ResponseBodyFilter) => {
        $crate::bindings::response_body_filter::export_response_body_filter!(
            $exported with_types_in $crate::bindings::response_body_filter
        );
    };
    ($exported:ident StreamFilter) => {
        $crate::bindings::stream_filter::export_stream_filter!($exported with_types_in $crate::bindings::stream_filter);
    };
    ($exported:ident Balancer) => {
        $crate::bindings::balancer::export_balancer!($exported with_types_in $crate::bindings::balancer);
    };
    ($exported:ident Observer) => {
        $crate::bindings::observer::export_observer!($exported with_types_in $crate::bindings::observer);
    };
    ($exported:ident Ticker) => {
        $crate::bindings::ticker::export_ticker!($exported with_types_in $crate::bindings::ticker);
    };
}
