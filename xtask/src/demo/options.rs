//! What `cargo xtask demo` can be told.

/// The options, with the quickstart's own ports as defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Ends after the show.
    pub(crate) once: bool,
    /// Where the host serves HTTPS; 0 is any free port, as for the others.
    pub(crate) https: u16,
    /// Where it sends plain HTTP on to HTTPS.
    pub(crate) redirect: u16,
    /// Where it serves `/metrics` and the like.
    pub(crate) admin: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { once: false, https: 8443, redirect: 8080, admin: 9901 }
    }
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--once" => options.once = true,
                "--port" => options.https = port(word, words.next())?,
                "--redirect-port" => options.redirect = port(word, words.next())?,
                "--admin-port" => options.admin = port(word, words.next())?,
                unknown => return Err(format!("demo takes no {unknown:?}")),
            }
        }
        Ok(options)
    }
}

fn port(option: &str, value: Option<&&str>) -> Result<u16, String> {
    let value = value.ok_or_else(|| format!("{option} needs a number"))?;
    value.parse().map_err(|_| format!("{option} {value:?} is not a port: expected 0 to 65535"))
}
