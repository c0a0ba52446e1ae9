//! Bytes that mean harm, or nothing: the framer neither panics nor talks more than it was told.

use std::vec::Vec;

use super::{Random, rounds};
use crate::hostile;

const SEEDS: [&[u8]; 14] = [
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
    b"\x81\xfe\0\x05abcdhello\x89\x80abcd\x88\x82abcd\x03\xe8",
    b"\x02\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
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
    for _ in 0..rounds(60_000) {
        let mut steps = Vec::new();
        for _ in 0..random.below(8) {
            let what = random.below(8) as u8;
            // Most of what is fed comes in few parts.
            for part in junk(&mut random).chunks(255) {
                steps.extend([what, part.len() as u8]);
                steps.extend_from_slice(part);
            }
        }
        hostile(&steps);
    }
}
