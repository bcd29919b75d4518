//! The show: requests through the running host, and what each plugin did with them. Nothing is claimed unchecked.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::demo::client::{Answer, Client};
use crate::demo::folder::Folder;
use crate::demo::metrics;
use crate::demo::origin::Origin;
use crate::demo::ports::Ports;
use crate::workspace::text_field;

/// Requests that the firewall lets pass and that the origins get: four over HTTP/2, one over HTTP/1.1.
const ALLOWED: u64 = 5;
const DENIED: u64 = 1;

/// # Errors
/// A sentence about the first thing that is not as it should be.
pub(crate) fn run(folder: &Folder, ports: &Ports, origins: &[Origin; 2]) -> Result<()> {
    let client = Client::new(folder, ports);
    println!("\nAllowed requests, on one HTTP/2 connection: the plugin `balance` takes the origins in turn");
    alternating(&client)?;
    println!("Another over HTTP/1.1");
    let answers = client.get(&["--http1.1"], &[client.https("/hello")])?;
    for answer in &answers {
        served(answer, "1.1")?;
    }
    println!("A denied path: the plugin `firewall` answers, and no origin sees the request");
    denied(&client, origins)?;
    println!("Plain HTTP: the host sends the client to HTTPS");
    redirected(&client)?;
    println!("The counters of the host and of the plugins `firewall` and `qps`, from {}", client.admin("/metrics"));
    counted(&client, origins)
}

fn alternating(client: &Client) -> Result<()> {
    let urls = vec![client.https("/hello"); 4];
    let answers = client.get(&["--http2"], &urls)?;
    ensure!(answers.len() == urls.len(), "{} requests gave {} answers", urls.len(), answers.len());
    let names = answers.iter().map(|answer| served(answer, "2")).collect::<Result<Vec<_>>>()?;
    ensure!(
        names.iter().zip(names.iter().skip(1)).all(|(one, next)| one != next),
        "the origins did not alternate: {names:?}"
    );
    Ok(())
}

/// Checks an origin's answer and gives the origin's name.
fn served<'a>(answer: &'a Answer, version: &str) -> Result<&'a str> {
    let Answer { status, body, .. } = answer;
    ensure!(*status == 200, "GET /hello was answered {status}: {body}");
    ensure!(answer.version == version, "GET /hello was answered over HTTP/{}, not HTTP/{version}", answer.version);
    let origin = text_field(body, "origin").with_context(|| format!("no origin answers so: {body:?}"))?;
    println!("  GET /hello  {status} over HTTP/{version} from origin {origin}");
    Ok(origin)
}

fn denied(client: &Client, origins: &[Origin; 2]) -> Result<()> {
    let before = seen(origins)?;
    let answers = client.get(&["--http2"], &[client.https("/admin")])?;
    let after = seen(origins)?;
    let status = answers.first().context("GET /admin gave no answer")?.status;
    ensure!(status == 403, "GET /admin was answered {status}, not 403");
    ensure!(before == after, "GET /admin reached an origin: their counts went from {before:?} to {after:?}");
    println!(
        "  GET /admin  {status} by the firewall; origins A and B have seen {} and {} requests, as before",
        after[0], after[1]
    );
    Ok(())
}

fn redirected(client: &Client) -> Result<()> {
    let answers = client.get(&[], &[client.http("/hello")])?;
    let answer = answers.first().context("plain HTTP gave no answer")?;
    let (status, wanted) = (answer.status, client.https("/hello"));
    ensure!(status == 308 && answer.redirect == wanted, "plain HTTP was answered {status} to {:?}", answer.redirect);
    println!("  GET /hello  {status} to {wanted}");
    Ok(())
}

/// How many requests each origin has seen, by its own count.
fn seen(origins: &[Origin; 2]) -> Result<[u64; 2]> {
    Ok([origins[0].requests()?, origins[1].requests()?])
}

/// One figure on `/metrics` and what it must be.
struct Figure {
    metric: &'static str,
    labels: Vec<(&'static str, String)>,
    expected: u64,
    meaning: &'static str,
}

fn counted(client: &Client, origins: &[Origin; 2]) -> Result<()> {
    let figures = figures(origins)?;
    // Observers are told within 10 ms of the end of an exchange, which may come after the client has its answer.
    let mut attempts = 50;
    let text = loop {
        let answers = client.get(&[], &[client.admin("/metrics")])?;
        let text = answers.into_iter().next().context("/metrics gave no answer")?.body;
        attempts -= 1;
        if attempts == 0 || figures.iter().all(|figure| figure.agrees(&text)) {
            break text;
        }
        thread::sleep(Duration::from_millis(100));
    };
    for figure in &figures {
        let found = figure.find(&text);
        let Some(found) = found else { bail!("/metrics has no {}", figure.name()) };
        ensure!(figure.agrees(&text), "{} is {found}, but {} were sent", figure.name(), figure.expected);
        println!("  {found:>3}  {} ({})", figure.name(), figure.meaning);
    }
    Ok(())
}

fn figures(origins: &[Origin; 2]) -> Result<Vec<Figure>> {
    let figure = |metric, labels: &[(&'static str, &str)], expected, meaning| {
        let labels = labels.iter().map(|(label, value)| (*label, value.to_string())).collect();
        Figure { metric, labels, expected, meaning }
    };
    let public = ("listener", "public");
    let mut figures = vec![
        figure("palisade_requests_total", &[public], ALLOWED + DENIED, "all that were sent"),
        figure("palisade_requests_total", &[public, ("protocol", "h2")], ALLOWED - 1 + DENIED, "of them over HTTP/2"),
        figure("palisade_firewall_matched_total", &[("rule", "admin")], DENIED, "denied by the firewall's rule"),
        figure("palisade_qps_requests_total", &[("class", "2xx")], ALLOWED, "seen to succeed by qps"),
        figure("palisade_qps_requests_total", &[("class", "4xx")], DENIED, "seen to be refused by qps"),
    ];
    for origin in origins {
        let address = origin.address().to_string();
        let seen = origin.requests()?;
        let meaning = if origin.name() == "A" { "origin A counts the same" } else { "origin B counts the same" };
        figures.push(figure("palisade_upstream_requests_total", &[("endpoint", &address)], seen, meaning));
    }
    Ok(figures)
}

impl Figure {
    fn find(&self, text: &str) -> Option<f64> {
        let labels: Vec<_> = self.labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
        metrics::sum(text, self.metric, &labels)
    }

    fn agrees(&self, text: &str) -> bool {
        self.find(text).is_some_and(|found| found.to_string() == self.expected.to_string())
    }

    fn name(&self) -> String {
        let labels: Vec<_> = self.labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
        format!("{}{{{}}}", self.metric, labels.join(","))
    }
}
