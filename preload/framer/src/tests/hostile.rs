//! Bytes that mean harm, or nothing: the framer neither panics nor talks more than it was told.

use std::boxed::Box;
use std::vec::Vec;

use super::Random;
use crate::{Buffers, Connection, Fact, LABEL_MAX};

const SEEDS: [&[u8]; 12] = [
    b"GET /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"HTTP/1.1 101 Up\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n",
    b"PING\r\n*1048576\r\n$0\r\n\r\n",
    b"set k 0 0 18446744073709551615\r\n",
    b"\x80\x01\0\x03\x08\0\0\0\0\0\0\x0e\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x09\0\x03\0\0\0P\xff\xff\xff\xffQ\0\0\0\x05\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    b"PROXY TCP4 \r\n\x16\x03\x01",
];

fn junk(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(5) {
        bytes.extend_from_slice(SEEDS[random.below(SEEDS.len())]);
    }
    for _ in 0..random.below(4) {
        if !bytes.is_empty() {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
    }
    bytes.truncate(random.below(bytes.len() + 40));
    for _ in 0..random.below(3) * random.below(60) {
        bytes.push(random.below(256) as u8);
    }
    bytes
}

#[test]
fn hostile_bytes_do_no_harm() {
    let mut random = Random(7);
    let mut buffers = Box::new(Buffers::new());
    for _ in 0..60_000 {
        let mut connection = Connection::new();
        let mut fed = 0;
        let mut told = 0;
        let mut unseen = 0;
        for _ in 0..random.below(8) {
            let mut emit = |fact: Fact<'_>| {
                told += 1;
                match fact {
                    Fact::Request { label, count, .. } => {
                        assert!(count > 0 && label.len() <= LABEL_MAX);
                        assert!(label.iter().all(|byte| (b' '..0x7f).contains(byte)));
                    }
                    Fact::Answer { count, .. } => assert!(count > 0),
                    Fact::Unseen(_) => unseen += 1,
                    _ => {}
                }
            };
            let bytes = junk(&mut random);
            fed += bytes.len();
            let half = bytes.len() / 2;
            match random.below(8) {
                0..=3 => {
                    let parts = [&bytes[..half], &bytes[half..]];
                    connection.read(&mut buffers, parts.into_iter(), &mut emit);
                }
                4..=5 => connection.wrote(&mut buffers, [bytes.as_slice()].into_iter(), &mut emit),
                6 => {
                    connection.wrote_opaque(random.below(40) as u64, &mut emit);
                    connection.read_opaque(random.below(40) as u64, &mut emit);
                }
                _ => {
                    connection.wrote_last(&mut emit);
                    connection.secured();
                }
            }
        }
        assert!(told <= fed + 16, "{told} facts of {fed} bytes");
        assert!(unseen <= 8);
    }
}
