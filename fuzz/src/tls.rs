//! What is read of a ClientHello.

#[path = "../../host/proxy/src/tls/hello.rs"]
pub(crate) mod hello;
#[path = "../../host/proxy/src/tls/ja4.rs"]
mod ja4;

pub(crate) fn client_hello(bytes: &[u8]) {
    let peeked = hello::peek(bytes);
    if let Some(hello) = hello::message_of(bytes) {
        let over = |carrier| ja4::ja4(&hello, carrier);
        assert_eq!(over(ja4::Carrier::Quic).len(), over(ja4::Carrier::Tcp).len());
    }
    if let hello::Peeked::Whole(hello) = peeked {
        assert_eq!(ja4::ja4(&hello, ja4::Carrier::Tcp).len(), JA4_BYTES);
        // What comes behind it changes nothing.
        let more = [bytes, &[22, 3, 3, 0, 1, 0]].concat();
        assert_eq!(hello::peek(&more), hello::Peeked::Whole(hello));
    }
}

const JA4_BYTES: usize = 36;
