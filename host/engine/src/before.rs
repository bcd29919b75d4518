//! The heads of an exchange as they were before a call changed them.
//!
//! A plugin that fails open is as if it were not there, so what it changed before it failed is undone. Only a first change
//! pays for that, and only where the plugin fails open.

use palisade_contract::{Exchange, OnError, RequestHead, ResponseHead};

/// What one call has changed, as it was.
#[derive(Debug)]
pub(crate) struct Before {
    is_kept: bool,
    request: Option<RequestHead>,
    response: Option<ResponseHead>,
}

impl Before {
    pub(crate) fn new(on_error: Option<OnError>) -> Self {
        Self { is_kept: on_error == Some(OnError::Open), request: None, response: None }
    }

    /// The request's head is about to be changed.
    pub(crate) fn request_changes(&mut self, exchange: &Exchange) {
        if self.is_kept && self.request.is_none() {
            self.request = Some(exchange.request.clone());
        }
    }

    /// The response's head is about to be changed.
    pub(crate) fn response_changes(&mut self, exchange: &Exchange) {
        if self.is_kept && self.response.is_none() {
            self.response.clone_from(&exchange.response);
        }
    }

    /// The call went well: what it changed stays.
    pub(crate) fn forget(&mut self) {
        (self.request, self.response) = (None, None);
    }

    /// The call failed: what it changed is as it was.
    pub(crate) fn restore(&mut self, exchange: &mut Exchange) {
        if let Some(request) = self.request.take() {
            exchange.request = request;
        }
        if let Some(response) = self.response.take() {
            exchange.response = Some(response);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_contract::testing;

    #[test]
    fn what_a_failed_call_changed_is_undone_where_the_plugin_fails_open() {
        for (on_error, target) in [(None, "/changed"), (Some(OnError::Closed), "/changed"), (Some(OnError::Open), "/")]
        {
            let mut exchange = testing::exchange("/");
            let mut before = Before::new(on_error);
            for changed in ["/begun", "/changed"] {
                before.request_changes(&exchange);
                exchange.request.target = http::uri::PathAndQuery::from_static(changed);
            }
            before.restore(&mut exchange);
            assert_eq!(exchange.request.target, target, "{on_error:?}");
        }
    }

    #[test]
    fn what_a_good_call_changed_stays() {
        let mut exchange = testing::exchange("/");
        let mut before = Before::new(Some(OnError::Open));
        before.request_changes(&exchange);
        exchange.request.target = http::uri::PathAndQuery::from_static("/changed");
        before.forget();
        before.restore(&mut exchange);
        assert_eq!(exchange.request.target, "/changed");
    }
}
