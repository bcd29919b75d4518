//! The top level, `[log]`, `[admin]`, `[shutdown]` and `[engine]`.

use crate::check::{check, root};

#[test]
fn keys_are_known_and_complete() {
    check("", &["1:1: listener: is missing: the config needs it"]);
    check("listener = []", &["1:12: listener: holds no listener: expected at least one"]);
    check(
        "[listener]",
        &["1:1: listener: a table is not a list: expected [[listener]] with two brackets on each side"],
    );
    check(&root("plugin_dir = \"x\""), &["1:1: plugin_dir: is not a key of the config: did you mean \"plugins_dir\"?"]);
    check(&root("[log]\ncolour = true"), &["2:1: log.colour: is not a key of log: expected level, format or access"]);
    check(
        &root("[log]\n\"a b\" = 1\n\"\" = 2"),
        &[
            "2:1: log.\"a b\": is not a key of log: expected level, format or access",
            "3:1: log.\"\": is not a key of log: expected level, format or access",
        ],
    );
    check(
        "[[listener]]\nbind = \"127.0.0.1:80\"",
        &[
            "1:1: listener[0].name: is missing: a listener needs it",
            "1:1: listener[0].route: is missing: a listener needs a [[listener.route]] or redirect_to_https = true",
        ],
    );
    check(&root("log = 3\n"), &["1:7: log: 3 is not a table: expected the keys of log"]);
    check(&root("plugin = 3\n"), &["1:10: plugin: 3 is not a table of plugins: expected [plugin.NAME]"]);
}

#[test]
fn the_whole_host_has_plain_settings() {
    check(&root("workers = 0"), &["1:11: workers: 0 is out of range: expected 1 to 256"]);
    check(&root("workers = -1"), &["1:11: workers: -1 is out of range: expected 1 to 256"]);
    check(&root("workers = 0xfff"), &["1:11: workers: 0xfff is out of range: expected 1 to 256"]);
    check(
        &root("workers = 99999999999999999999"),
        &["1:11: workers: 99999999999999999999 is out of range: expected 1 to 256"],
    );
    check(&root("workers = \"2\""), &["1:11: workers: \"2\" is not a whole number: expected 1 to 256"]);
    check(&root("zone = 7"), &["1:8: zone: 7 is not a zone: expected 1 to 63 bytes of text, such as \"b\""]);
    check(&root("workers = 2.5"), &["1:11: workers: 2.5 is not a whole number: expected 1 to 256"]);
    check(
        &root("cache_dir = \"\""),
        &[
            "1:13: cache_dir: \"\" is not a path: expected one from the config's folder or from the root, such as \"web.pem\"",
        ],
    );
    check(
        &root("[log]\nlevel = \"verbose\"\naccess = 1"),
        &[
            "2:9: log.level: \"verbose\" is not a log level: expected \"off\", \"error\", \"warn\", \"info\", \"debug\" or \
             \"trace\"",
            "3:10: log.access: 1 is not a boolean: expected true or false",
        ],
    );
    check(
        &root("[log]\nformat = []"),
        &["2:10: log.format: a list is not a log format: expected \"text\" or \"json\""],
    );
    check(&root("[shutdown]\ndrain = \"2h\""), &["2:9: shutdown.drain: \"2h\" is out of range: expected 0s to 1h"]);
    check(
        &root("[shutdown]\ndrain = 30"),
        &[
            "2:9: shutdown.drain: 30 is not a duration: expected a whole number with ms, s, m or h, such as \"500ms\" or \
           \"10s\"",
        ],
    );
    check(&root("[engine]\nstack = 1024"), &["2:9: engine.stack: 1024 is out of range: expected 65536 to 4194304"]);
    check(
        &root("[engine]\nstack = \"1KiB\""),
        &["2:9: engine.stack: \"1KiB\" is out of range: expected 64 KiB to 4 MiB"],
    );
    check(
        &root("[engine]\nstack = \"1 MB\""),
        &[
            "2:9: engine.stack: \"1 MB\" is not a size: expected a whole number of bytes, or one with KiB, MiB or GiB, such \
           as \"64 KiB\"",
        ],
    );
}

#[test]
fn the_admin_listener_is_for_this_machine_unless_asked() {
    check(
        &root("[admin]\nbind = \"0.0.0.0:9901\""),
        &["2:8: admin.bind: \"0.0.0.0:9901\" is not a loopback address: expected one, such as \"127.0.0.1:9901\", or \
           allow_remote = true"],
    );
    check(&root("[admin]\nallow_remote = true"), &["1:1: admin.bind: is missing: admin needs it"]);
    check(
        &root("[admin]\nbind = \"127.0.0.1:8080\""),
        &["2:8: admin.bind: \"127.0.0.1:8080\" is bound by listener[0].bind already"],
    );
}
