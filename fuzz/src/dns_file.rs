//! What a name server answers.

#[path = "../../host/proxy/src/upstream/discovery/dns/message.rs"]
mod message;

pub(crate) fn dns(bytes: &[u8]) {
    for kind in [message::Kind::A, message::Kind::Aaaa, message::Kind::Srv] {
        let _ = message::answer(bytes, 0, "a.test", kind);
    }
}
