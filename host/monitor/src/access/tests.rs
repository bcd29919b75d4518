use std::io;
use std::sync::Mutex;

use palisade_contract::{Ended, Ending, ExchangeId, Protocol};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[test]
fn an_exchange_gets_a_line() {
    let names = Arc::new(Names::default());
    let ended = Ended { route: names.intern("site"), upstream: names.intern("web"), ..ended() };
    let access = Access { authority: b"www.foobar.com:8443", target: "/a?b=c", ..access(&ended) };
    check(
        &AccessLog::On(names),
        &access,
        concat!(
            r#"listener="public" client=203.0.113.9 protocol="h2" method=GET authority=www.foobar.com:8443 "#,
            r#"request_target=/a?b=c status=200 ending="complete" route="site" upstream="web" request_bytes=1 "#,
            "response_bytes=2 duration_micros=3 first_byte_micros=4\n",
        ),
    );
}

#[test]
fn an_answer_of_our_own_says_whose_it_was() {
    let ended = Ended { status: 403, ..ended() };
    let access = Access { plugin: Some("edge-firewall"), error: Some("no route"), ..access(&ended) };
    check(
        &AccessLog::On(Arc::default()),
        &access,
        r#" status=403 ending="complete" plugin="edge-firewall" error="no route" "#,
    );
}

#[test]
fn more_than_one_try_is_told() {
    let ended = ended();
    let access = Access { attempts: 3, ..access(&ended) };
    check(&AccessLog::On(Arc::default()), &access, r#" ending="complete" attempts=3 request_bytes=1 "#);
}

#[test]
fn a_client_writes_no_line_of_its_own() {
    let ended = ended();
    let access = Access { authority: b"a\r\nb \xff", target: "/\u{1b}[2J\n\"", ..access(&ended) };
    check(
        &AccessLog::On(Arc::default()),
        &access,
        r" authority=a\x0d\x0ab\x20\xff request_target=/\x1b[2J\x0a\x22 status=200 ",
    );
}

#[test]
fn no_line_is_written_where_it_is_off() {
    assert_eq!(lines(&AccessLog::Off, &access(&ended())), "");
}

#[track_caller]
fn check(log: &AccessLog, access: &Access<'_>, expected: &str) {
    let lines = lines(log, access);
    assert!(lines.contains(expected), "{lines}");
    assert_eq!(lines.matches('\n').count(), 1, "{lines}");
}

/// What the text log holds after one exchange.
fn lines(log: &AccessLog, access: &Access<'_>) -> String {
    let buffer = Buffer::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(buffer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || log.write("public", access));
    let bytes = buffer.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

fn access(ended: &Ended) -> Access<'_> {
    Access { ended, authority: b"", target: "/", attempts: 1, plugin: None, error: None }
}

fn ended() -> Ended {
    Ended {
        exchange: ExchangeId(1),
        listener: Name::NONE,
        route: Name::NONE,
        upstream: Name::NONE,
        endpoint: Name::NONE,
        client: [203, 0, 113, 9].into(),
        method: http::Method::GET,
        protocol: Protocol::Http2,
        status: 200,
        ending: Ending::Complete,
        request_bytes: 1,
        response_bytes: 2,
        duration_micros: 3,
        first_byte_micros: 4,
    }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
