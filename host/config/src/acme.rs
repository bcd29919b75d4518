//! Who issues certificates by itself (RFC 8555).

use std::path::PathBuf;

use crate::{
    file_path, host,
    scope::Scope,
    text::{Form, Table, Value},
};

/// One `[acme.NAME]` table: an account with an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// The name that listeners' certificates use.
    pub name: String,
    /// The URL of the authority's directory, over HTTPS.
    pub directory: String,
    /// Where the authority writes to, as URLs such as `mailto:`; at most 10.
    pub contact: Vec<String>,
    /// PEM file with the root that the authority's own server is checked against; by default those of the system.
    pub ca: Option<PathBuf>,
    /// The folder for the account and for what was issued, which only the host's user may read.
    pub state: PathBuf,
    /// How the host shows that names are its own.
    pub challenge: AcmeChallenge,
}

/// How a host shows that a name is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// In a handshake on port 443 (RFC 8737).
    TlsAlpn01,
    /// In a reply on port 80 (RFC 8555, section 8.3).
    Http01,
}

impl Acme {
    pub(crate) fn read(name: &str, value: &Value<'_>) -> Option<Self> {
        let mut table = value.table("an ACME account")?;
        let directory = table.required("directory", directory);
        let contact = table.or("contact", Vec::new(), contact);
        let ca = table.optional("ca", file_path::read);
        let state = table.required("state", file_path::read);
        let challenge =
            table.or("challenge", AcmeChallenge::TlsAlpn01, |value| value.choice("a challenge", &CHALLENGES));
        table.finish();
        Some(Self { name: name.to_owned(), directory: directory?, contact, ca, state: state?, challenge })
    }
}

fn directory(value: Value<'_>) -> Option<String> {
    let text = value.text(DIRECTORY)?;
    let rest = text.strip_prefix("https://").unwrap_or_default();
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@' && byte != b'#');
    if is_plain && host::is_name(&host.to_ascii_lowercase()) { Some(text.to_owned()) } else { value.is_not(DIRECTORY) }
}

fn contact(value: Value<'_>) -> Option<Vec<String>> {
    let elements = value.list(CONTACTS)?;
    if elements.len() > CONTACTS_MAX {
        return value.refuse(format!("holds {} contacts: expected at most {CONTACTS_MAX}", elements.len()));
    }
    let contact = |element: Value<'_>| {
        let text = element.text(CONTACT)?;
        if text.starts_with("mailto:") { Some(text.to_owned()) } else { element.is_not(CONTACT) }
    };
    Some(elements.into_iter().filter_map(contact).collect())
}

const CONTACTS_MAX: usize = 10;
const CHALLENGES: [(&str, AcmeChallenge); 2] =
    [("tls-alpn-01", AcmeChallenge::TlsAlpn01), ("http-01", AcmeChallenge::Http01)];
const DIRECTORY: Form = Form {
    noun: "a directory",
    expected: "a URL with https, such as \"https://acme-v02.api.letsencrypt.org/directory\"",
};
const CONTACTS: Form = Form { noun: "a list", expected: "contacts, such as [\"mailto:ops@foobar.com\"]" };
const CONTACT: Form = Form { noun: "a contact", expected: "one such as \"mailto:ops@foobar.com\"" };

/// A certificate that an authority issues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeCertificate {
    /// The account that it is ordered with, by its name.
    pub account: String,
    /// What it is for: 1 to 100 DNS names in lower case.
    pub names: Vec<String>,
    /// Where it is kept with its key.
    pub file: PathBuf,
    /// How the host shows that these names are its own.
    pub challenge: AcmeChallenge,
}

impl AcmeCertificate {
    pub(crate) fn read(table: &mut Table<'_>, scope: &mut Scope<'_>) -> Option<Self> {
        let account = table.required("acme", |value| scope.acme.find(&value));
        let names = table.required("names", names);
        let account = scope.accounts.get(account?)?.as_ref()?;
        let names = names?;
        let file = account.state.join(format!("{}.pem", names.first()?));
        Some(Self { account: account.name.clone(), names, file, challenge: account.challenge })
    }
}

fn names(value: Value<'_>) -> Option<Vec<String>> {
    let elements = value.list(NAMES)?;
    if elements.is_empty() || elements.len() > NAMES_MAX {
        return value.refuse(format!("holds {} names: expected 1 to {NAMES_MAX}", elements.len()));
    }
    let name = |element: Value<'_>| {
        let name = element.text(NAME)?.to_ascii_lowercase();
        if name.starts_with("*.") {
            return element
                .refuse("is a wildcard, which no challenge of these can be for: expected the names themselves");
        }
        let is_name = host::is_name(&name) && name.parse::<std::net::IpAddr>().is_err();
        if is_name { Some(name) } else { element.is_not(NAME) }
    };
    let count = elements.len();
    let names: Vec<String> = elements.into_iter().filter_map(name).collect();
    (names.len() == count).then_some(names)
}

const NAMES_MAX: usize = 100;
const NAMES: Form = Form { noun: "a list", expected: "names, such as [\"foobar.com\", \"www.foobar.com\"]" };
const NAME: Form = Form { noun: "a name", expected: "a host name, such as \"www.foobar.com\"" };
