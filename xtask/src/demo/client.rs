//! The demo's client: curl, trusting the demo's own authority alone.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::demo::folder::{Folder, NAME};
use crate::demo::ports::Ports;

/// curl, told where the demo's name lives.
#[derive(Debug)]
pub(crate) struct Client {
    authority: PathBuf,
    ports: Ports,
}

/// What curl got for one URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `1.1` or `2`.
    pub(crate) version: String,
    /// Where a redirect leads; empty otherwise.
    pub(crate) redirect: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(folder: &Folder, ports: &Ports) -> Self {
        Self { authority: folder.authority(), ports: *ports }
    }

    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.ports.https)
    }

    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://{NAME}:{}{path}", self.ports.redirect)
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.admin)
    }

    /// Asks for these, one after the other and on one connection.
    ///
    /// # Errors
    /// If curl fails, whatever the answer's status: no connection, no trust, an answer cut short.
    pub(crate) fn get(&self, options: &[&str], urls: &[String]) -> Result<Vec<Answer>> {
        let mut command = self.command(options, urls);
        command.args(["-sS", "--max-time", "30", "-w", WRITE_OUT]);
        let printed = command::read(&mut command)?;
        printed.split_terminator(END).map(parse).collect()
    }

    /// The command line, for us or for a person to run.
    pub(crate) fn command(&self, options: &[&str], urls: &[String]) -> Command {
        let mut command = Command::new("curl");
        command.args(options);
        let secure = urls.iter().any(|url| url.starts_with("https:"));
        if secure {
            command.arg("--cacert").arg(&self.authority);
        }
        let named = urls.iter().any(|url| url.contains(NAME));
        if named {
            let port = if secure { self.ports.https } else { self.ports.redirect };
            command.arg("--resolve").arg(format!("{NAME}:{port}:127.0.0.1"));
        }
        command.args(urls);
        command
    }
}

/// Printed by curl after each body.
const WRITE_OUT: &str = "\n@answer %{http_code} %{http_version} %{redirect_url}\n@end\n";
const END: &str = "\n@end\n";

fn parse(printed: &str) -> Result<Answer> {
    let unclear = || format!("curl printed what is no answer: {printed:?}");
    let (body, figures) = printed.rsplit_once("\n@answer ").with_context(unclear)?;
    let mut words = figures.split(' ');
    let status = words.next().and_then(|word| word.parse().ok()).with_context(unclear)?;
    let version = words.next().with_context(unclear)?.to_owned();
    let redirect = words.next().unwrap_or_default().to_owned();
    Ok(Answer { status, version, redirect, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_curl_prints_is_an_answer() {
        check("{}\n\n@answer 200 2 ", Some((200, "2", "", "{}\n")));
        check("\n@answer 308 1.1 https://a/b", Some((308, "1.1", "https://a/b", "")));
        check("@answer", None);
        check("\n@answer x 2 ", None);
    }

    fn check(printed: &str, expected: Option<(u16, &str, &str, &str)>) {
        let expected = expected.map(|(status, version, redirect, body)| Answer {
            status,
            version: version.into(),
            redirect: redirect.into(),
            body: body.into(),
        });
        assert_eq!(parse(printed).ok(), expected, "{printed:?}");
    }
}
