//! A client of HTTP/3: `python/h3.py`, which stands on aioquic.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{HOST, Reply, Running};

/// How long a command may take: some move 50 MiB through an interpreter on a machine that has much else to do.
const COMMAND_LIMIT: Duration = Duration::from_secs(240);

/// A program that has any number of connections. Dropping it kills it.
#[derive(Debug)]
pub struct Aioquic {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
    reading: JoinHandle<()>,
    _child: Child,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

impl Aioquic {
    /// Starts it.
    ///
    /// # Panics
    /// Its packages are not there.
    #[must_use]
    pub fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/h3.py");
        let mut command = Command::new(python());
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("Python runs");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let waiting = Waiting::default();
        let reading = tokio::spawn(read(output, waiting.clone()));
        Self { input: tokio::sync::Mutex::new(input), waiting, next: AtomicU64::new(1), reading, _child: child }
    }

    /// What comes of a command, and its number.
    ///
    /// # Panics
    /// It fails, or takes too long.
    pub async fn tell(&self, mut command: Value) -> (u64, Value) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer);
        let line = format!("{command}\n");
        self.input.lock().await.write_all(line.as_bytes()).await.expect("a program that reads");
        let shown = line.chars().take(200).collect::<String>();
        let answer = tokio::time::timeout(COMMAND_LIMIT, answered).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer in time to {shown}")).expect("an answer");
        assert!(answer.get("error").is_none(), "{shown}: {answer}");
        (id, answer)
    }

    /// A connection to the listener `public`.
    ///
    /// # Panics
    /// There is none.
    pub async fn connect(self: &Arc<Self>, site: &Running) -> Quic {
        self.connect_with(site, json!({})).await
    }

    /// The same, with what else the command may say.
    ///
    /// # Panics
    /// There is none.
    pub async fn connect_with(self: &Arc<Self>, site: &Running, options: Value) -> Quic {
        let (connection, answer) = self.try_connect(site, options).await;
        assert_eq!(answer["connected"], true, "{answer}");
        Quic { program: self.clone(), connection, opened: answer }
    }

    /// A connection that goes on with a session of another one, whose first requests do not wait for its handshake. It reads
    /// nothing until it is told `hear`.
    pub async fn resume(self: &Arc<Self>, site: &Running, before: &Quic, mut options: Value) -> Quic {
        options["resume"] = json!(before.connection);
        let (connection, answer) = self.try_connect(site, options).await;
        Quic { program: self.clone(), connection, opened: answer }
    }

    /// The same, or why there is no connection.
    pub async fn try_connect(&self, site: &Running, mut options: Value) -> (u64, Value) {
        options["do"] = json!("connect");
        options["port"] = json!(site.address("public").port());
        if options.get("ca").is_none() {
            options["ca"] = json!(site.folder().path().join("ca.pem"));
        }
        self.tell(options).await
    }
}

impl Drop for Aioquic {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(output: ChildStdout, waiting: Waiting) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let id = answer["id"].as_u64().unwrap_or_default();
        if let Some(waits) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            let _ = waits.send(answer);
        }
    }
    // Whoever still waits is told by that.
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

fn python() -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    assert!(file.exists(), "{} is missing: run `cargo xtask test`", file.display());
    file
}

/// A connection over QUIC.
#[derive(Debug, Clone)]
pub struct Quic {
    program: Arc<Aioquic>,
    connection: u64,
    /// What came of connecting.
    pub opened: Value,
}

impl Quic {
    /// What comes of a command about this connection.
    pub async fn tell(&self, mut command: Value) -> Value {
        command["on"] = json!(self.connection);
        self.program.tell(command).await.1
    }

    /// A request with these fields behind the four of its first line, and more of the command.
    pub async fn request(&self, (method, path): (&str, &str), fields: &[(&str, &str)], more: Value) -> Value {
        let pseudo = [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path)];
        let mut command = more;
        command["do"] = json!("request");
        command["fields"] = pseudo.iter().chain(fields).map(|(name, value)| json!([name, value])).collect();
        self.tell(command).await
    }

    /// A GET's answer, with its end.
    ///
    /// # Panics
    /// There is no whole answer.
    pub async fn get(&self, path: &str) -> Reply {
        reply(&self.request(("GET", path), &[], json!({})).await)
    }
}

/// An answer that came to its end.
///
/// # Panics
/// It did not.
#[must_use]
pub fn reply(answer: &Value) -> Reply {
    assert!(
        answer["ended"] == true && answer["reset"].is_null() && answer["closed"].is_null(),
        "not a whole answer: {answer}"
    );
    let map = |fields: &Value| {
        let mut map = HeaderMap::new();
        for field in fields.as_array().into_iter().flatten() {
            let part = |index: usize| field[index].as_str().unwrap_or_default();
            let name: HeaderName = part(0).parse().expect("a name");
            map.append(name, HeaderValue::from_str(part(1)).expect("a value"));
        }
        map
    };
    Reply {
        status: answer["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
        version: Version::HTTP_3,
        headers: map(&answer["headers"]),
        body: unhex(answer["body"].as_str().unwrap_or_default()).into(),
        trailers: map(&answer["trailers"]),
    }
}

/// The bytes of a text in hexadecimal.
fn unhex(text: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    text.as_bytes().chunks(2).map(|pair| digits(pair).expect("hexadecimal")).collect()
}
