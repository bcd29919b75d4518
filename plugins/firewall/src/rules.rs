//! The ordered rules, in; which of them decides about a request or a connection, out.

use std::{collections::BTreeSet, net::IpAddr};

use palisade_sdk::{Counter, Error, Family, Setup};

use crate::{
    conditions::{Conditions, Subject},
    denial::{Answer, Denials, RESERVED},
    headers::Headers,
    settings::{Action, RuleSettings},
};

/// Rules in the order of the settings.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    look_at_path: bool,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// What becomes of what it matches.
    pub(crate) action: Action,
    /// What its denials say.
    pub(crate) answer: Answer,
    /// Counts its denials.
    pub(crate) denials: Denials,
    /// Counts its matches.
    pub(crate) matched: Counter,
    conditions: Conditions,
}

/// What rules say about a connection, of which only the client's address is known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ByClient<'a> {
    /// This rule decides about every request of this client.
    Decided(&'a Rule),
    /// No rule will match a request of this client.
    Unmatched,
    /// It depends on the request.
    Open,
}

/// Where rules count.
#[derive(Debug)]
pub(crate) struct Families {
    /// By reason and phase.
    pub(crate) denied: Family<Counter>,
    /// By rule and action.
    pub(crate) matched: Family<Counter>,
}

impl Rules {
    /// Builds them. Errors name the setting.
    ///
    /// # Errors
    ///
    /// The first rule with a name that is taken or with a condition that cannot be.
    pub(crate) fn new(
        settings: Vec<RuleSettings>,
        answer: &Answer,
        families: &Families,
        headers: &mut Headers,
        host: &mut Setup,
    ) -> Result<Self, Error> {
        let mut rules = Self::default();
        let mut names = BTreeSet::new();
        for (index, settings) in settings.into_iter().enumerate() {
            let key = format!("rules[{index}]");
            check_name(&settings.name, &mut names).map_err(|reason| Error::setting(format!("{key}.name"), reason))?;
            let answer = settings.answer(&key, answer)?;
            let conditions = Conditions::new(settings.when, &format!("{key}.when"), headers, host)?;
            rules.look_at_path |= conditions.look_at_path();
            rules.rules.push(Rule {
                action: settings.action,
                answer,
                denials: Denials::of(&settings.name, &families.denied),
                matched: families.matched.with(&[&settings.name, settings.action.text()]),
                conditions,
            });
        }
        Ok(rules)
    }

    /// Whether any of them looks at the path.
    pub(crate) fn look_at_path(&self) -> bool {
        self.look_at_path
    }

    /// The first rule that decides. Those before it that only count have counted. `decoded` is memory to work in.
    pub(crate) fn decide(&self, subject: &Subject<'_>, decoded: &mut Vec<u8>) -> Option<&Rule> {
        let mut matching = self.rules.iter().filter(|rule| rule.conditions.hold(subject, decoded));
        matching.find(|rule| {
            rule.matched.add(1);
            rule.action != Action::Count
        })
    }

    /// What can be said once the client's address is known.
    pub(crate) fn decide_by_client(&self, client: IpAddr) -> ByClient<'_> {
        let mut deciding = self.rules.iter().filter(|rule| rule.action != Action::Count);
        match deciding.find(|rule| rule.conditions.hold_for_client(client)) {
            None => ByClient::Unmatched,
            Some(rule) if rule.conditions.look_at_client_alone() => ByClient::Decided(rule),
            Some(_) => ByClient::Open,
        }
    }
}

fn check_name(name: &str, names: &mut BTreeSet<String>) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty".to_owned());
    }
    if RESERVED.contains(&name) {
        return Err(format!("{name:?} is what metrics call denials by no rule"));
    }
    if names.insert(name.to_owned()) { Ok(()) } else { Err(format!("{name:?} is the name of another rule")) }
}

impl RuleSettings {
    /// What its denials say: the firewall's answer, but for what the rule says itself.
    fn answer(&self, key: &str, default: &Answer) -> Result<Answer, Error> {
        if self.action != Action::Deny && (self.status.is_some() || self.body.is_some()) {
            return Err(Error::setting(key, "status and body go with action = \"deny\""));
        }
        Ok(default.with(self.status, self.body.clone()))
    }
}
