//! The plugin's settings as operators write them. The README lists them with examples.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    host_set::HostName,
    list::List,
    method_set::MethodName,
    network::Network,
    path_set::{ExactPath, PathPrefix},
    pattern::Pattern,
    value_test::NamedTest,
};

/// Who and what is let in. Without any setting, everything is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Networks that are not denied by `deny` or `default`. `rules` still apply to them.
    #[serde(default)]
    pub(crate) allow: Vec<Network>,
    /// Networks that are denied. Where `allow` and `deny` both cover an address, the longer prefix counts; `deny`,
    /// where they are the same.
    #[serde(default)]
    pub(crate) deny: Vec<Network>,
    /// What becomes of addresses that neither list covers: `allow` (the default) or `deny`.
    #[serde(default)]
    pub(crate) default: AddressDefault,
    /// What becomes of a connection whose client's address is reason enough to deny all it may ask for: `refuse` (the
    /// default) closes it without a byte, `accept` lets each request be answered.
    #[serde(default)]
    pub(crate) connections: Connections,
    /// Looked at in order, once the address is allowed. The first one whose conditions all hold decides.
    #[serde(default)]
    pub(crate) rules: Vec<RuleSettings>,
    /// What becomes of requests that no rule decides: `allow` (the default), `deny` or `close`.
    #[serde(default = "allow")]
    pub(crate) default_action: Decision,
    /// What becomes of requests whose path upstreams may read in different ways, where any rule looks at the path:
    /// `deny` (the default), `close`, or `allow`, which lets the rules look at it with what is malformed as it was
    /// written.
    #[serde(default = "deny")]
    pub(crate) malformed: Decision,
    /// The status of a denial: 400 to 599, 403 by default.
    #[serde(default)]
    pub(crate) status: Status,
    /// The text of a denial, `forbidden` by default.
    #[serde(default = "forbidden")]
    pub(crate) body: String,
}

/// One rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSettings {
    /// Its name in metrics.
    pub(crate) name: String,
    /// What becomes of a request that it matches.
    pub(crate) action: Action,
    /// The status of its denials, in place of the firewall's.
    pub(crate) status: Option<Status>,
    /// The text of its denials, in place of the firewall's.
    pub(crate) body: Option<String>,
    /// Its conditions. All of them have to hold; without any it matches every request.
    #[serde(default)]
    pub(crate) when: When,
}

/// Conditions. In a list of values it is enough that one matches.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    /// The client's address is in one of these networks.
    pub(crate) client: Option<List<Network>>,
    /// The method is one of these. Methods are case-sensitive.
    pub(crate) methods: Option<List<MethodName>>,
    /// The host is one of these: exact, or `*.example.com` for every host below. Case, port and trailing dot do not
    /// matter.
    pub(crate) hosts: Option<List<HostName>>,
    /// The path is one of these.
    pub(crate) path: Option<List<ExactPath>>,
    /// The path begins with one of these. `/admin` covers `/administrator` too; `/admin/` does not.
    pub(crate) path_prefix: Option<List<PathPrefix>>,
    /// One of these expressions is found in the path.
    pub(crate) path_regex: Option<List<Pattern>>,
    /// Headers and what they have to be. All of them have to hold.
    #[serde(default)]
    pub(crate) header: Vec<NamedTest>,
    /// Query parameters, decoded, and what they have to be. All of them have to hold.
    #[serde(default)]
    pub(crate) query: Vec<NamedTest>,
}

/// What becomes of addresses on no list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AddressDefault {
    /// Rules are looked at.
    #[default]
    Allow,
    /// Denied.
    Deny,
}

/// What becomes of connections whose address is denied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Connections {
    /// Closed without a byte.
    #[default]
    Refuse,
    /// Accepted; each request is denied.
    Accept,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    /// Goes on to the next plugin.
    Allow,
    /// Answered with the status and the text.
    Deny,
    /// The connection is closed, or the stream reset, without an answer.
    Close,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Lets the request go on to the next plugin; no further rule is looked at.
    Allow,
    /// Answers with the status and the text.
    Deny,
    /// Closes the connection, or resets the stream, without an answer.
    Close,
    /// Counts the match, and the next rule is looked at: for trying a rule out.
    Count,
}

impl Action {
    /// As in settings and in metrics.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Close => "close",
            Self::Count => "count",
        }
    }
}

/// The status of a denial: 400 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u16")]
#[schemars(with = "u16", extend("minimum" = 400, "maximum" = 599))]
pub(crate) struct Status(pub(crate) u16);

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        match status {
            400..=599 => Ok(Self(status)),
            _ => Err(format!("{status} is not the status of a denial: expected 400 to 599")),
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self(403)
    }
}

fn allow() -> Decision {
    Decision::Allow
}

fn deny() -> Decision {
    Decision::Deny
}

fn forbidden() -> String {
    "forbidden\n".to_owned()
}
