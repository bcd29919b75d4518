//! What the admin listener answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use palisade_contract::{Clock, SystemClock};
use palisade_proxy::{EXPLAIN, EndpointOrder};
use serde::Serialize;

use crate::explain::{Armed, Door, Report};
use crate::state::State;
use crate::{endpoints, expiry, figures};

/// What a request that changes something must carry. A page that a browser shows cannot send it to another site without
/// asking that site first, and is never allowed to.
pub(crate) const GUARD: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-palisade-admin"), HeaderValue::from_static("1"));

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Every path, and the methods that it is asked with.
const PATHS: [(&str, &str); 9] = [
    ("/healthz", "GET, HEAD"),
    ("/readyz", "GET, HEAD"),
    ("/metrics", "GET, HEAD"),
    ("/plugins", "GET, HEAD"),
    ("/endpoints", "GET, HEAD"),
    ("/endpoints/drain", "POST"),
    ("/endpoints/enable", "POST"),
    ("/reload", "POST"),
    ("/explain", "POST"),
];

/// Under which an explanation is, by its token.
const EXPLANATIONS: &str = "/explain/";

/// How long a request that is to be explained is waited for.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
    is_reloading: Arc<AtomicBool>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    Ok(match path {
        "/" if reads => reply(StatusCode::OK, TEXT, paths("\n") + "\n"),
        "/healthz" if reads => reply(StatusCode::OK, TEXT, "alive\n".into()),
        "/readyz" if reads => ready(&state),
        "/metrics" if reads => metrics(&state).await,
        "/plugins" if reads => plugins(&state).await,
        "/endpoints" if reads => json(&endpoints::list(&state)),
        "/endpoints/drain" if request.method() == Method::POST => ordered(&state, EndpointOrder::Drain, &request),
        "/endpoints/enable" if request.method() == Method::POST => ordered(&state, EndpointOrder::Enable, &request),
        "/reload" if request.method() == Method::POST => match refused(&request) {
            Some(refusal) => reply(StatusCode::FORBIDDEN, TEXT, refusal),
            None => {
                is_reloading.store(true, Ordering::Relaxed);
                let answer = reload(&state).await;
                is_reloading.store(false, Ordering::Relaxed);
                answer
            }
        },
        "/explain" if request.method() == Method::POST => match refused(&request) {
            Some(refusal) => reply(StatusCode::FORBIDDEN, TEXT, refusal),
            None => arm(&state),
        },
        _ => match path.strip_prefix(EXPLANATIONS) {
            Some(token) if request.method() == Method::GET => explanation(&state, token).await,
            Some(_) | None => unknown(path),
        },
    })
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    reply(StatusCode::OK, JSON, format!("{:#}\n", serde_json::json!(value)))
}

fn ordered<B>(state: &State, order: EndpointOrder, request: &Request<B>) -> Response<Full<Bytes>> {
    if let Some(refusal) = refused(request) {
        return reply(StatusCode::FORBIDDEN, TEXT, refusal);
    }
    match endpoints::ordered(state, order, request.uri().query().unwrap_or_default()) {
        Ok(listed) => json(&listed),
        Err((status, why)) => reply(status, TEXT, why),
    }
}

fn unknown(path: &str) -> Response<Full<Bytes>> {
    let known = PATHS.into_iter().chain([("/", "GET, HEAD")]).find(|(known, _)| *known == path);
    let Some((_, methods)) = known else {
        return reply(StatusCode::NOT_FOUND, TEXT, format!("not found; there are {}\n", paths(", ")));
    };
    let mut refusal = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("{path} is asked with {methods}\n"));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    refusal
}

fn paths(between: &str) -> String {
    PATHS.map(|(path, _)| path).join(between)
}

/// Why nothing is changed for this request. Browsers say where a page comes from with everything but GET and HEAD, also
/// where they were led to believe that this is the page's own site.
fn refused<B>(request: &Request<B>) -> Option<String> {
    let (name, value) = GUARD;
    if request.headers().contains_key(ORIGIN) {
        return Some("nothing is changed for a page in a browser\n".into());
    }
    let has_guard = request.headers().get(&name) == Some(&value);
    (!has_guard).then(|| format!("nothing is changed without the header {name}: 1\n"))
}

/// Ready while it accepts. What is not served as it stands on disk is told, and refuses no more than the requests of the
/// chains of plugins that do not run.
fn ready(state: &State) -> Response<Full<Bytes>> {
    if state.draining.load(Ordering::Relaxed) {
        return reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".into());
    }
    let mut lines = String::from("ready\n");
    for problem in state.last().outcome.problems {
        lines.push_str(&format!("degraded: {}\n", problem.lines().next().unwrap_or_default()));
    }
    for plugin in state.served().plugins.running().filter(|plugin| plugin.is_backed_off()) {
        lines.push_str(&format!(
            "degraded: plugin {:?} keeps failing and is left alone for a while\n",
            plugin.config().name
        ));
    }
    reply(StatusCode::OK, TEXT, lines)
}

async fn metrics(state: &State) -> Response<Full<Bytes>> {
    state.proxy.flush().await;
    state.registry.plugin_figures(&figures::for_metrics(state));
    state.registry.certificate_figures(&expiry::figures(state));
    state.registry.shared_figures(&state.shared.figures(SystemClock.now()));
    let endpoints = palisade_monitor::endpoint_text(&endpoints::for_metrics(state));
    reply(StatusCode::OK, PROMETHEUS, state.registry.render() + &endpoints)
}

async fn plugins(state: &State) -> Response<Full<Bytes>> {
    state.proxy.flush().await;
    reply(StatusCode::OK, JSON, format!("{:#}\n", figures::as_json(state)))
}

async fn reload(state: &State) -> Response<Full<Bytes>> {
    let Some(outcome) = state.reloads.reload().await else {
        return reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n".into());
    };
    let status = if outcome.is_complete() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    reply(status, JSON, format!("{:#}\n", serde_json::json!(outcome)))
}

/// A token for one request, and where it can be sent.
fn arm(state: &State) -> Response<Full<Bytes>> {
    let Some(token) = state.proxy.explanations().arm() else {
        return reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, "too many requests are to be explained\n".into());
    };
    let served = state.served();
    let has_tls = |name: &str| {
        served.written.config.listeners.iter().any(|listener| listener.name == name && listener.tls.is_some())
    };
    let listeners = state.proxy.addresses().into_iter().map(|(listener, address)| {
        let tls = has_tls(&listener);
        Door { listener, address, tls }
    });
    let armed = Armed { token, header: EXPLAIN.to_string(), listeners: listeners.collect() };
    reply(StatusCode::OK, JSON, format!("{:#}\n", serde_json::json!(armed)))
}

async fn explanation(state: &State, token: &str) -> Response<Full<Bytes>> {
    match state.proxy.explanations().fetch(token, EXPLANATION_LIMIT).await {
        Ok(explanation) => {
            let report = Report::of(*explanation, &state.names);
            reply(StatusCode::OK, JSON, format!("{:#}\n", serde_json::json!(report)))
        }
        Err(why) => reply(StatusCode::NOT_FOUND, TEXT, format!("{why}\n")),
    }
}

fn reply(status: StatusCode, content: HeaderValue, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_in_a_browser_changes_nothing() {
        check(&[("x-palisade-admin", "1")], None);
        check(&[], Some("nothing is changed without the header x-palisade-admin: 1\n"));
        check(&[("x-palisade-admin", "0")], Some("nothing is changed without the header x-palisade-admin: 1\n"));
        for origin in ["https://elsewhere.test", "http://127.0.0.1:9901", "null"] {
            let headers = [("x-palisade-admin", "1"), ("origin", origin)];
            check(&headers, Some("nothing is changed for a page in a browser\n"));
        }
    }

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: Option<&str>) {
        let request =
            headers.iter().fold(Request::post("/reload"), |request, (name, value)| request.header(*name, *value));
        assert_eq!(refused(&request.body(()).expect("a request")).as_deref(), expected, "{headers:?}");
    }
}
