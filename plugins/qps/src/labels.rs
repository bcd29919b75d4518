//! An exchange, in; the values of the labels that tell it from others, out: first as numbers, as text only for a new
//! series.

use palisade_sdk::{Begun, Ended, Error, Method, Name, Protocol};
use schemars::JsonSchema;
use serde::Deserialize;

/// What exchanges can be told apart by. All of it is bounded by the config, the protocol or the host, and nothing by
/// clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Label {
    /// The listener's name.
    Listener,
    /// The route's name, or `none`.
    Route,
    /// The upstream's name, or `none`.
    Upstream,
    /// The endpoint's address, or `none`.
    Endpoint,
    /// The method, or `other`.
    Method,
    /// `h1`, `h2` or `h3`.
    Protocol,
}

impl Label {
    fn name(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Route => "route",
            Self::Upstream => "upstream",
            Self::Endpoint => "endpoint",
            Self::Method => "method",
            Self::Protocol => "protocol",
        }
    }

    fn number(self, exchange: &Ended) -> u32 {
        match self {
            Self::Listener => exchange.listener.number(),
            Self::Route => number(exchange.route),
            Self::Upstream => number(exchange.upstream),
            Self::Endpoint => number(exchange.endpoint),
            Self::Method => place(&METHODS, &exchange.method),
            Self::Protocol => place(&PROTOCOLS.map(|(protocol, _)| protocol), &exchange.protocol),
        }
    }

    fn text(self, number: u32) -> String {
        match self {
            Self::Listener | Self::Route | Self::Upstream | Self::Endpoint if number == 0 => "none".to_owned(),
            Self::Listener | Self::Route | Self::Upstream | Self::Endpoint => Name::from_number(number).text(),
            Self::Method => at(&METHODS, number).and_then(|method| method.text()).unwrap_or("other").to_owned(),
            Self::Protocol => at(&PROTOCOLS, number).map_or("other", |(_, text)| text).to_owned(),
        }
    }
}

/// The labels that were chosen, each once.
#[derive(Debug, Clone)]
pub(crate) struct Labels(Vec<Label>);

/// The values of labels as numbers, in the order of [`Label`]; zero for those that were not chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key([u32; 6]);

impl Key {
    /// Stands for all combinations beyond the limit.
    pub(crate) const OTHER: Self = Self([u32::MAX; 6]);
}

impl Labels {
    /// Takes the labels in any order.
    ///
    /// # Errors
    ///
    /// Where one is there twice.
    pub(crate) fn new(labels: Vec<Label>) -> Result<Self, Error> {
        for (index, label) in labels.iter().enumerate() {
            if labels.iter().take(index).any(|before| before == label) {
                return Err(Error::setting(format!("labels[{index}]"), format!("{:?} is there twice", label.name())));
            }
        }
        let mut labels = labels;
        labels.sort_unstable();
        Ok(Self(labels))
    }

    /// Those that an exchange has when it begins.
    pub(crate) fn at_begin(&self) -> Self {
        Self(self.0.iter().copied().filter(|label| matches!(label, Label::Listener | Label::Route)).collect())
    }

    /// Their names, and one more.
    pub(crate) fn names_with<'a>(&self, more: Option<&'a str>) -> Vec<&'a str> {
        self.0.iter().map(|label| label.name()).chain(more).collect()
    }

    /// The values of an exchange.
    pub(crate) fn key(&self, exchange: &Ended) -> Key {
        let mut key = [0; 6];
        for (place, label) in key.iter_mut().zip(&self.0) {
            *place = label.number(exchange);
        }
        Key(key)
    }

    /// The values of an exchange that begins, of labels from [`Labels::at_begin`]: the same that it has when it ends.
    pub(crate) fn key_at_begin(&self, exchange: &Begun) -> Key {
        self.key(&Ended { listener: exchange.listener, route: exchange.route, ..Ended::default() })
    }

    /// The values as text.
    pub(crate) fn values(&self, key: Key) -> Vec<String> {
        let text =
            |(label, number): (&Label, u32)| if key == Key::OTHER { "other".to_owned() } else { label.text(number) };
        self.0.iter().zip(key.0).map(text).collect()
    }
}

const METHODS: [Method; 10] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Connect,
    Method::Options,
    Method::Trace,
    Method::Patch,
    Method::Other,
];

const PROTOCOLS: [(Protocol, &str); 4] =
    [(Protocol::Http1, "h1"), (Protocol::Http2, "h2"), (Protocol::Http3, "h3"), (Protocol::Tcp, "tcp")];

fn number(name: Option<Name>) -> u32 {
    name.map_or(0, Name::number)
}

fn place<T: PartialEq>(all: &[T], one: &T) -> u32 {
    all.iter().zip(0..).find(|(candidate, _)| *candidate == one).map_or(u32::MAX, |(_, place)| place)
}

fn at<T>(all: &[T], place: u32) -> Option<&T> {
    all.get(usize::try_from(place).ok()?)
}
