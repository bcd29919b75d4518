use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

const GET: &[u8] = b"\x82\x87\x84\x41\x01a";

/// A field that is written out: kept in the table, or not.
fn literal(is_kept: bool, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_u8(if is_kept { 0x40 } else { 0 });
    for text in [name, value] {
        integer::encode(text.len(), (0, 7), &mut bytes);
        bytes.extend_from_slice(text);
    }
    bytes.to_vec()
}

/// What becomes of blocks of one connection: whether each is good.
fn read(blocks: &[Vec<u8>]) -> Result<Vec<bool>, Malformed> {
    let mut decoder = Decoder::new();
    blocks.iter().map(|block| decoder.read(block, Part::Head).map(|instead| instead.is_none())).collect()
}

#[test]
fn fields_are_good_or_malformed_or_no_fields() {
    let field = |name: &str, value: &str| literal(false, name.as_bytes(), value.as_bytes());
    for (bytes, expected) in [
        (GET.to_vec(), Ok(true)),
        (field("x", "a b\t~"), Ok(true)),
        (literal(false, b"x", b"\xff"), Ok(true)),
        (field("x", ""), Ok(true)),
        (field(":path", "/a?b"), Ok(true)),
        (field(":protocol", "websocket"), Ok(true)),
        // RFC 7541, appendix C.4.1: in Huffman's code.
        (b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff".to_vec(), Ok(true)),
        (b"\x20\x3f\xe1\x1f\x82".to_vec(), Ok(true)),
        (field("X", "1"), Ok(false)),
        (field("", "1"), Ok(false)),
        (field("x y", "1"), Ok(false)),
        (field("x", "a\nb"), Ok(false)),
        (field("x", "a\rb"), Ok(false)),
        (field("x", "a\0"), Ok(false)),
        (field(":other", "1"), Ok(false)),
        (field(":status", "200"), Ok(false)),
        (b"\x88".to_vec(), Ok(false)),
        (field(":path", "/a#b"), Ok(false)),
        (field(":method", "G T"), Ok(false)),
        (field(":method", ""), Ok(false)),
        (literal(false, b":path", b"/\xff"), Ok(false)),
        // RFC 7541, sections 2.3.3, 4.2, 5.1 and 5.2.
        (b"\x80".to_vec(), Err(Malformed)),
        (b"\xbe".to_vec(), Err(Malformed)),
        (b"\x82\x20".to_vec(), Err(Malformed)),
        (b"\x3f\xe2\x1f".to_vec(), Err(Malformed)),
        (b"\xff".to_vec(), Err(Malformed)),
        (b"\x00\x01x".to_vec(), Err(Malformed)),
        (b"\x00\x01x\x05a".to_vec(), Err(Malformed)),
        (b"\x00\x01x\x81\x00".to_vec(), Err(Malformed)),
        (literal(true, b"", b""), Err(Malformed)),
    ] {
        assert_eq!(read(std::slice::from_ref(&bytes)), expected.map(|is_good| vec![is_good]), "{bytes:x?}");
    }
    let trailers = |block: &[u8]| Decoder::new().read(block, Part::Trailers).map(|instead| instead.is_none());
    assert_eq!(trailers(&field("x", "1")), Ok(true));
    assert_eq!(trailers(&field(":path", "/")), Ok(false));
    assert_eq!(trailers(b"\x84"), Ok(false));
}

#[test]
fn the_table_is_the_clients() {
    let kept = |name: &str, value: &str| literal(true, name.as_bytes(), value.as_bytes());
    let index = |index: u8| vec![0x80 | (61 + index)];
    // What is malformed once is so whenever it is referred to, by its name or altogether.
    assert_eq!(
        read(&[kept("x", "1"), kept("X", "1"), index(1), index(2), b"\x7e\x012".to_vec(), index(1)]),
        Ok(vec![true, false, false, true, false, false])
    );
    // The name of a field whose value was none is another one in the parser's table, which has other values.
    let path = [literal(true, b":path", b"\x80"), b"\x7e\x01/".to_vec(), b"\x7e\x01\n".to_vec()];
    assert_eq!(read(&path), Ok(vec![false; 3]));
    assert_eq!(read(&[kept("x", "1"), index(2)]), Err(Malformed));
    // RFC 7541, sections 4.3 and 4.4: a size of 34 has room for one entry of one byte each, or for none that is larger.
    let small = [b"\x3f\x03".to_vec(), kept("x", "1"), kept("y", "1"), index(1)];
    assert_eq!(read(&small), Ok(vec![true; 4]));
    assert_eq!(read(&[&small[..], &[index(2)]].concat()), Err(Malformed));
    assert_eq!(read(&[&small[..], &[kept("y", "12"), index(1)]].concat()), Err(Malformed));
}

#[test]
fn what_is_given_instead_is_not_much_more_than_the_block() {
    // A long name that is none, and then its index with a value that is none, which makes it the newest entry again.
    let bomb = |times| [literal(true, &[b'X'; 4_000], b"1"), b"\x7e\x01\x01".repeat(times)].concat();
    let few = bomb(3);
    let instead = Decoder::new().read(&few, Part::Head).map(|instead| instead.map(|instead| instead.len()));
    assert_eq!(instead, Ok(Some(4 * (1 + 3 + 4_000 + 1 + 1) + REFUSED.len())));
    for times in [10, 1_000, 80_000] {
        assert_eq!(read(&[bomb(times)]), Err(Malformed), "{times}");
    }
}

#[test]
fn what_is_refused_whatever_it_has_is_in_the_table() {
    let mut decoder = Decoder::new();
    let block = literal(true, b"x", b"1");
    assert_eq!(decoder.read(&block, Part::Refused), Ok(Some([&block[..], REFUSED].concat().as_slice().into())));
    assert_eq!(decoder.read(b"\xbe", Part::Head), Ok(None));
}

/// Whether h2 goes on after these blocks, each of a stream of its own.
async fn goes_on(blocks: &[BytesMut]) -> bool {
    let (mut client, host) = tokio::io::duplex(1 << 20);
    let mut bytes = BytesMut::from(&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..]);
    for (number, block) in (0..).zip(blocks) {
        super::super::block::write(2 * number + 1, true, block, &mut bytes);
    }
    client.write_all(&bytes).await.expect("room");
    client.shutdown().await.expect("room");
    let mut connection = h2::server::handshake(host).await.expect("the preface came");
    while let Some(request) = connection.accept().await {
        let request: Result<(_, h2::server::SendResponse<bytes::Bytes>), _> = request;
        if let Err(error) = request {
            return error.is_io();
        }
    }
    true
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    const NAMES: [&str; 10] = ["x", "X", "", "te", "connection", ":path", ":method", ":status", ":scheme", ":other"];
    let name =
        prop_oneof![prop::sample::select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec()), vec(any::<u8>(), 0..4)];
    let value = prop_oneof![
        prop::sample::select(&["/", "/#", "GET", "trailers", "\n", ""][..]).prop_map(|value| value.as_bytes().to_vec()),
        vec(any::<u8>(), 0..4),
        vec(any::<u8>(), 1_000..1_500)
    ];
    prop_oneof![
        (any::<bool>(), name, value.clone()).prop_map(|(is_kept, name, value)| literal(is_kept, &name, &value)),
        (1_u8..70).prop_map(|index| vec![0x80 | index]),
        (prop::sample::select(&[(0x40_u8, 6), (0, 4), (0x10, 4)][..]), 1_usize..70, value).prop_map(
            |(form, index, value)| {
                let mut bytes = BytesMut::new();
                integer::encode(index, form, &mut bytes);
                integer::encode(value.len(), (0, 7), &mut bytes);
                [&bytes[..], &value].concat()
            }
        ),
        Just(GET.to_vec()),
        Just(vec![0x20, 0x3f, 0xe1, 0x1f]),
    ]
}

fn block() -> impl Strategy<Value = Vec<u8>> {
    let fields = vec(field(), 1..5).prop_map(|fields| fields.concat());
    prop_oneof![9 => fields, 1 => vec(any::<u8>(), 1..20)]
}

#[tokio::test]
async fn what_was_found_once_is_read_by_h2() {
    let mut decoder = Decoder::new();
    let given = [literal(true, b":path", b"\x80"), b"\x7e\x01\n".to_vec()];
    let given = given.map(|block| decoder.read(&block, Part::Head).expect("fields").expect("malformed"));
    assert!(goes_on(&given).await);
}

proptest! {
    /// The parser of HTTP/2 ends no connection for a block that passed here: whatever is wrong with it, its stream alone ends.
    #[test]
    fn what_is_read_here_is_read_by_h2(blocks in vec(block(), 1..6)) {
        let (mut decoder, mut given) = (Decoder::new(), Vec::new());
        for block in &blocks {
            let Ok(instead) = decoder.read(block, Part::Head) else { break };
            given.push(instead.unwrap_or_else(|| BytesMut::from(&block[..])));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        prop_assert!(runtime.block_on(goes_on(&given)), "{:x?} given as {:x?}", blocks, given);
    }
}
