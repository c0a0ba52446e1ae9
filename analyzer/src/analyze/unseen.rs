//! Connections that were not cut into requests: why, and what to do.

use leak_wire::Unseen;
use rustc_hash::FxHashMap;

use crate::analysis::UnseenConnections;

/// A list of them, from how many there are by local end and code of the reason.
pub(super) fn unseen(connections: &FxHashMap<(String, u8), u64>) -> Vec<UnseenConnections> {
    let mut list: Vec<UnseenConnections> = connections
        .iter()
        .map(|((port, code), connections)| UnseenConnections {
            port: port.clone(),
            connections: *connections,
            reason: Unseen::from_code(*code)
                .map_or("unknown", reason)
                .to_string(),
        })
        .collect();
    list.sort_by(|a, b| (&a.port, &a.reason).cmp(&(&b.port, &b.reason)));
    list
}

fn reason(unseen: Unseen) -> &'static str {
    match unseen {
        Unseen::Tls => {
            "ciphertext, and the program does not read it by a shared libssl; set marks with leak.h, or \
             end TLS before it"
        }
        Unseen::Http2 => "HTTP/2, which is not cut into requests; let the client speak HTTP/1.1",
        Unseen::Unframed => {
            "bytes that are not the protocol they seemed to be, or a head that is too long; try \
             --boundary turn, or set marks with leak.h"
        }
        Unseen::Concurrent => {
            "two threads read or wrote a connection at once; set marks with leak.h"
        }
        Unseen::Bypassed => {
            "it is read or written by calls that can't be seen (stdio, io_uring, raw system calls); set \
             marks with leak.h"
        }
    }
}
