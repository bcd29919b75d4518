//! The rules of the side-by-side benchmark, as a Wasm filter of Envoy: networks, paths, methods with hosts, a header, and a counter of
//! what passed. It is written as one would write it for speed: everything is prepared once, and a request asks the host for five values.
//!
//! Its settings are lines: `network 192.0.2.0/24`, `prefix /admin`, `method PUT`, `domain .example`, `scripts REGEX`, `agents REGEX`.

use std::cell::RefCell;
use std::rc::Rc;

use ipnet::Ipv4Net;
use prefix_trie::PrefixSet;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root { rules: None }));
}}

struct Root {
    rules: Option<Rc<Rules>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let settings = self.get_plugin_configuration().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        self.rules = settings.and_then(|settings| Rules::read(&settings)).map(Rc::new);
        self.rules.is_some()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { rules: self.rules.clone()? }))
    }
}

struct Rules {
    networks: PrefixSet<Ipv4Net>,
    prefixes: Vec<String>,
    methods: Vec<String>,
    domain: String,
    scripts: Pattern,
    agents: Pattern,
    passed: u32,
}

impl Rules {
    fn read(settings: &str) -> Option<Self> {
        let all = |key: &str| {
            let lines = settings.lines().filter_map(|line| line.split_once(' '));
            let values = lines.filter(|(found, _)| *found == key).map(|(_, value)| value.to_owned());
            values.collect::<Vec<String>>()
        };
        let one = |key: &str| all(key).into_iter().next();
        Some(Self {
            networks: all("network").iter().map(|network| network.parse().ok()).collect::<Option<_>>()?,
            prefixes: all("prefix"),
            methods: all("method"),
            domain: one("domain")?,
            scripts: Pattern::new(&one("scripts")?)?,
            agents: Pattern::new(&one("agents")?)?,
            passed: hostcalls::define_metric(MetricType::Counter, "rules_passed").ok()?,
        })
    }
}

struct Pattern {
    dfa: DFA,
    cache: RefCell<Cache>,
}

impl Pattern {
    fn new(text: &str) -> Option<Self> {
        let dfa = DFA::new(text).ok()?;
        let cache = RefCell::new(dfa.create_cache());
        Some(Self { dfa, cache })
    }

    fn is_in(&self, text: &str) -> bool {
        let input = Input::new(text).anchored(Anchored::No).earliest(true);
        let found = self.dfa.try_search_fwd(&mut self.cache.borrow_mut(), &input);
        found.is_ok_and(|found| found.is_some())
    }
}

struct Request {
    rules: Rc<Rules>,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        if self.is_denied() {
            self.send_http_response(403, Vec::new(), None);
            return Action::Pause;
        }
        // A counter that is not counted is no reason to refuse anybody.
        let _ = hostcalls::increment_metric(self.rules.passed, 1);
        Action::Continue
    }
}

impl Request {
    fn is_denied(&self) -> bool {
        let rules = &*self.rules;
        let text = |name: &str| self.get_http_request_header(name).unwrap_or_default();
        let client = self.get_property(vec!["source", "address"]).unwrap_or_default();
        let client = std::str::from_utf8(&client).unwrap_or_default();
        let address = client.rsplit_once(':').and_then(|(address, _)| address.parse::<std::net::Ipv4Addr>().ok());
        if address.is_some_and(|address| rules.networks.get_lpm(&Ipv4Net::from(address)).is_some()) {
            return true;
        }
        let target = text(":path");
        let path = target.split('?').next().unwrap_or_default();
        if rules.prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())) || rules.scripts.is_in(path) {
            return true;
        }
        let method = text(":method");
        if rules.methods.contains(&method) && text(":authority").ends_with(&rules.domain) {
            return true;
        }
        rules.agents.is_in(&text("user-agent"))
    }
}
