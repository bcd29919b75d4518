//! A service with a chain around it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use crate::body::{Body, BoxError};
use crate::front;
use crate::layer::Shared;

/// A service with a chain of plugins around it.
#[derive(Debug, Clone)]
pub struct PalisadeService<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> PalisadeService<S> {
    pub(crate) fn new(shared: Arc<Shared>, inner: S) -> Self {
        Self { shared, inner }
    }
}

impl<S, B, R> Service<Request<B>> for PalisadeService<S>
where
    S: Service<Request<Body<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    /// Dropping the future gives up everything that is under way for the request.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone may not be ready; the one that was asked is (tower's documentation of `Service`).
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        Box::pin(front::serve(self.shared.clone(), inner, request))
    }
}
