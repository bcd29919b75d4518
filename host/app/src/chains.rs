//! Whether every plugin of a chain can do there what it is for.

use palisade_config::{Action, ChainEntry, ChainMode, Config, ListenerProtocol};
use palisade_contract::{Phase, Phases};

/// A sentence for each plugin that stands in a chain where it never runs.
pub(crate) fn misplaced(config: &Config, phases: &[Option<Phases>]) -> Vec<String> {
    let mut problems = Vec::new();
    for listener in &config.listeners {
        let place = format!("listener {:?}", listener.name);
        problems.extend(second_balancers(config, phases, &place, &listener.chain));
        problems.extend(of_the_other_protocol((config, phases), listener.protocol, &place, &listener.chain));
        let Action::Routes(routes) = &listener.action else { continue };
        for route in routes.iter().filter(|route| route.chain != listener.chain) {
            let place = format!("{place}, route {:?}", route.name);
            problems.extend(second_balancers(config, phases, &place, &route.chain));
            problems.extend(of_the_other_protocol((config, phases), listener.protocol, &place, &route.chain));
            let is_listeners = |entry: &ChainEntry| listener.chain.iter().any(|other| other.plugin == entry.plugin);
            let added = route.chain.iter().filter(|entry| !is_listeners(entry)).map(|entry| entry.plugin);
            for plugin in added.filter(|plugin| has_only_connections(phases, *plugin)) {
                problems.push(format!(
                    "{place}: the plugin {:?} filters connections and nothing else, which are accepted before a route is \
                     known: it belongs into the listener's chain",
                    name(config, plugin)
                ));
            }
        }
    }
    problems
}

fn second_balancers(config: &Config, phases: &[Option<Phases>], place: &str, chain: &[ChainEntry]) -> Vec<String> {
    // One in shadow is asked wherever it stands.
    let enforced = chain.iter().filter(|entry| entry.mode == ChainMode::Enforce).map(|entry| entry.plugin);
    let mut balancers = enforced.filter(|plugin| has(phases, *plugin, Phase::Balance));
    let Some(first) = balancers.next() else { return Vec::new() };
    let never_asked = |plugin: usize| {
        let (second, first) = (name(config, plugin), name(config, first));
        format!("{place}: the balancer {second:?} is never asked, because {first:?} comes before it in the chain")
    };
    balancers.map(never_asked).collect()
}

/// Those that are for requests where there are none, or for streams where there are requests.
fn of_the_other_protocol(
    (config, phases): (&Config, &[Option<Phases>]),
    protocol: ListenerProtocol,
    place: &str,
    chain: &[ChainEntry],
) -> Vec<String> {
    // These may stand beside what is of no use, and guard nothing.
    let onlookers = [Phase::Observe, Phase::Tick];
    let (others, what): (&[Phase], _) = match protocol {
        ListenerProtocol::Http => (
            &[Phase::Stream],
            "filters streams, of which a listener for HTTP has none: it belongs to a listener with protocol = \"tcp\"",
        ),
        ListenerProtocol::Tcp => (
            &[Phase::Request, Phase::RequestBody, Phase::Response, Phase::ResponseBody],
            "filters requests or responses, of which a listener with protocol = \"tcp\" has none",
        ),
    };
    let is_useless = |plugin: usize| {
        let has = phases.get(plugin).copied().flatten();
        let only = |has: Phases| has.iter().all(|phase| others.contains(&phase) || onlookers.contains(&phase));
        has.is_some_and(|has| has.iter().any(|phase| others.contains(&phase)) && only(has))
    };
    let useless = chain.iter().map(|entry| entry.plugin).filter(|plugin| is_useless(*plugin));
    useless.map(|plugin| format!("{place}: the plugin {:?} {what}", name(config, plugin))).collect()
}

fn has(phases: &[Option<Phases>], plugin: usize, phase: Phase) -> bool {
    phases.get(plugin).copied().flatten().is_some_and(|phases| phases.has(phase))
}

fn has_only_connections(phases: &[Option<Phases>], plugin: usize) -> bool {
    phases.get(plugin).copied().flatten().is_some_and(|phases| phases.iter().eq([Phase::Connection]))
}

fn name(config: &Config, plugin: usize) -> &str {
    config.plugins.get(plugin).map_or("", |plugin| plugin.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const CONFIG: &str = r#"
        plugins_dir = "plugins"
        plugin.gate.module = "gate"
        plugin.one.module = "one"
        plugin.two.module = "two"
        upstream.web.endpoints = ["127.0.0.1:1"]
        [[listener]]
        name = "public"
        bind = "127.0.0.1:0"
        chain = LISTENER
        [[listener.route]]
        upstream = "web"
        chain = ROUTE
    "#;

    #[test]
    fn a_plugin_stands_where_it_can_run() {
        check(r#"["gate", "one"]"#, r#"["gate", "one"]"#, &[]);
        check(r#"["gate"]"#, r#"["gate", "two"]"#, &[]);
        check(
            r#"["one", "two"]"#,
            r#"["one"]"#,
            &["listener \"public\": the balancer \"two\" is never asked, because \"one\" comes before it in the chain"],
        );
        check(r#"["one", { plugin = "two", mode = "shadow" }]"#, r#"["one"]"#, &[]);
        check(
            "[]",
            r#"["gate", "two", "one"]"#,
            &[
                "listener \"public\", route \"public/0\": the balancer \"one\" is never asked, because \"two\" comes before it \
                 in the chain",
                "listener \"public\", route \"public/0\": the plugin \"gate\" filters connections and nothing else, which are \
                 accepted before a route is known: it belongs into the listener's chain",
            ],
        );
    }

    fn check(listener: &str, route: &str, expected: &[&str]) {
        let text = CONFIG.replace("LISTENER", listener).replace("ROUTE", route);
        let config = Config::parse(&text, Path::new("palisade.toml")).expect("a good config");
        let phases: Vec<_> = config
            .plugins
            .iter()
            .map(|plugin| {
                Some(Phases::default().with(if plugin.name == "gate" { Phase::Connection } else { Phase::Balance }))
            })
            .collect();
        assert_eq!(misplaced(&config, &phases), expected, "{listener} {route}");
    }
}
