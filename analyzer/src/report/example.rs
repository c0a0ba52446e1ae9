//! Hand-made results for the tests of the reports: a server with endpoints of every kind, a program
//! without requests, a clean server. Modules are paths that no machine has, so that frames show as
//! `module+0xaddress` everywhere.
//!
//! A long file: whole results, field by field.

use crate::analysis::Growth;
use crate::analysis::*;
use crate::asked::AskedFor;
use crate::ledger::BeforeExit;
use crate::sample::Amount;
use crate::sites::{Frame, Module, NO_SITE, SiteId, Sites};
use crate::symbols::{Files, SymbolOptions, Symbolizer};
use crate::trace::*;

/// Everything that a report takes.
pub(super) struct Example {
    pub(super) facts: Facts,
    pub(super) analysis: Analysis,
    pub(super) sites: Sites,
}

impl Example {
    pub(super) fn print(
        &self,
        options: &super::Options,
        report: impl Fn(
            &Facts,
            &Analysis,
            &Sites,
            &mut Symbolizer<'_>,
            &super::Options,
            &mut dyn std::io::Write,
        ) -> std::io::Result<()>,
    ) -> String {
        let files = Files::default();
        let mut symbolizer =
            Symbolizer::new(&files, self.sites.modules(), SymbolOptions::default());
        let mut out = Vec::new();
        report(
            &self.facts,
            &self.analysis,
            &self.sites,
            &mut symbolizer,
            options,
            &mut out,
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }
}

/// Interns a backtrace given from the innermost frame outwards.
fn backtrace(sites: &mut Sites, frames: &[(&str, u64)]) -> SiteId {
    frames.iter().rev().fold(NO_SITE, |outer, (path, address)| {
        let module = sites.module(Module {
            path: (*path).into(),
            build_id: None,
        });
        let file_address = *address;
        sites.child(
            outer,
            Frame {
                module,
                file_address,
            },
        )
    })
}

fn facts() -> Facts {
    let first = Process {
        pid: 4711,
        executable: "/opt/shop/server".into(),
        arguments: ["./server", "--name", "corner shop"]
            .map(String::from)
            .into(),
        start: 1,
        end: Some(2),
        outcome: Outcome::Exit(Some(0)),
        ..Process::default()
    };
    Facts {
        tool_version: "0.1.0".into(),
        host: "db1".into(),
        started_at_ns: 1_700_000_000_000_000_000,
        duration_ns: 72_000_000_000,
        processes: vec![first],
        ..Facts::default()
    }
}

fn request(endpoint: u32, at: u64, status: u32, retained: (u64, u64)) -> Request {
    Request {
        thread: 4712,
        endpoint,
        status: Some(status),
        allocations: 10,
        allocated_bytes: 20_000,
        live_blocks: retained.0,
        live_bytes: retained.1,
        survivor_blocks: retained.0,
        survivor_bytes: retained.1,
        retained_blocks: retained.0,
        retained_bytes: retained.1,
        leaking_blocks: retained.0,
        ..Request::between(at, at + 500)
    }
}

fn endpoint(label: &str, verdict: Verdict, requests: u64) -> Endpoint {
    Endpoint {
        label: label.into(),
        verdict,
        is_sure: verdict == Verdict::Leak,
        requests,
        leaking_requests: 0,
        leaking_requests_range: [0, 0],
        hidden: None,
        survivor_blocks: 0,
        survivor_bytes: 0,
        retained_blocks: 0,
        retained_bytes: 0,
        untold: Amount::default(),
        open_requests: 0,
        open: Amount::default(),
        open_leaked: Amount::default(),
        before_exit: Amount::default(),
        associated: Amount::default(),
        retained_bytes_per_leaking_request: None,
        site_ids: Vec::new(),
        statuses: vec![status(200, requests, 0, 0)],
        apart: None,
        apart_unproved: false,
        types: Vec::new(),
    }
}

fn status(status: u32, requests: u64, leaking_requests: u64, retained_bytes: u64) -> StatusFigures {
    StatusFigures {
        status: Some(status),
        requests,
        leaking_requests,
        retained_blocks: leaking_requests,
        retained_bytes,
    }
}

fn site(id: SiteId, verdict: Verdict, retained: (u64, u64)) -> Site {
    Site {
        id,
        verdict,
        of_requests: verdict,
        outside_text: String::new(),
        evidence: Evidence::default(),
        requests: 0,
        survivor_blocks: retained.0,
        survivor_bytes: retained.1,
        retained_blocks: retained.0,
        retained_bytes: retained.1,
        associated: Amount::default(),
        whose: String::new(),
        discarded_bytes: 0,
        unjoined_threads: 0,
        live_blocks: retained.0,
        live_bytes: retained.1,
        before_exit: Amount::default(),
        outside_verdict: Verdict::Clean,
        outside_blocks: 0,
        outside_bytes: 0,
        outside_before_exit: Amount::default(),
        outside_grown: Amount::default(),
        open: Vec::new(),
        labels: Vec::new(),
        groups: Vec::new(),
        cells: Vec::new(),
        types: Vec::new(),
    }
}

fn outside(id: SiteId, verdict: Verdict, live: (u64, u64)) -> Site {
    Site {
        live_blocks: live.0,
        live_bytes: live.1,
        of_requests: Verdict::Clean,
        outside_verdict: verdict,
        outside_blocks: live.0,
        outside_bytes: live.1,
        outside_grown: Amount::default(),
        ..site(id, verdict, (0, 0))
    }
}

fn reached(site: Site, endpoint: u32, requests: u64, evidence: &str) -> Site {
    Site {
        requests,
        evidence: Evidence {
            text: evidence.into(),
            requests_judged: requests,
            requests_retaining: requests,
            live_bytes_by_slice: vec![1, 2, 3, 4, 5, 6, 7, 8],
            ..Evidence::default()
        },
        labels: vec![SiteLabel {
            endpoint,
            requests,
            told_requests: requests,
            retained: site.retained(),
            associated: site.associated,
            leaked: match site.verdict.leaks() {
                true => site.retained(),
                false => Amount::default(),
            },
        }],
        groups: vec![SiteGroup {
            endpoint,
            status: Some(200),
            verdict: site.of_requests,
            text: evidence.into(),
        }],
        ..site
    }
}

fn timeline(points: [(u64, u64, Option<u64>, u64); 4]) -> Vec<TimelinePoint> {
    points
        .map(|(t_ns, live_bytes, rss_bytes, requests)| TimelinePoint {
            t_ns,
            process: 0,
            live_bytes,
            rss_bytes,
            requests,
        })
        .into()
}

/// More types than the report shows by itself.
fn order_types() -> Vec<TypeRow> {
    let row = |(name, blocks, bytes): (&str, u64, u64)| TypeRow {
        name: name.into(),
        blocks,
        bytes,
    };
    let rows = [
        ("shop::Order", 500, 12_000_000),
        ("unknown", 200, 2_000_000),
        ("shop.models.Line", 150, 1_384_000),
        (
            "std::_Sp_counted_ptr_inplace<shop::Customer, std::allocator<void>>",
            100,
            900_000,
        ),
        ("dict", 40, 90_000),
        ("city::\u{1b}[2J", 10, 10_000),
    ];
    rows.map(row).into()
}

const SERVER: &str = "/opt/shop/server";
const LIBC: &str = "/nowhere/lib/libc.so.6";

/// `POST /orders` leaks on 500 alone, `GET /log` grows a buffer, a background thread grows, and the
/// rest is no leak.
pub(super) fn leaking() -> Example {
    let mut sites = Sites::default();
    let mut stack = |frames: &[(&str, u64)]| backtrace(&mut sites, frames);
    let leak = stack(&[
        (LIBC, 0x9_9000),
        (SERVER, 0x1234),
        (SERVER, 0x1300),
        ("/usr/lib/libglib.so.0", 0x77),
        (LIBC, 0x8_9000),
        (LIBC, 0x10_0000),
    ]);
    let deep: Vec<(&str, u64)> = (0..20).map(|n| (SERVER, 0x2000 + n)).collect();
    let grow = stack(&deep);
    let cache = stack(&[(SERVER, 0x3000)]);
    let thread = stack(&[(SERVER, 0x4000), (LIBC, 0x8_9000)]);
    let pool = stack(&[
        ("/nowhere/libstdc++.so.6", 0x500),
        ("/nowhere/ld-linux-x86-64.so.2", 0x60),
    ]);
    let table = stack(&[(SERVER, 0x5000)]);
    let orders = Endpoint {
        leaking_requests: 1000,
        survivor_blocks: 1000,
        survivor_bytes: 16_384_000,
        retained_blocks: 1000,
        retained_bytes: 16_384_000,
        retained_bytes_per_leaking_request: Some(16_384),
        site_ids: vec![leak],
        statuses: vec![status(200, 1000, 0, 0), status(500, 1000, 1000, 16_384_000)],
        types: order_types(),
        ..endpoint("POST /orders/{id}", Verdict::Leak, 2000)
    };
    let log = Endpoint {
        leaking_requests: 1,
        retained_blocks: 1,
        retained_bytes: 1_048_576,
        retained_bytes_per_leaking_request: Some(1_048_576),
        site_ids: vec![grow],
        statuses: vec![status(200, 900, 1, 1_048_576)],
        ..endpoint("GET /log", Verdict::GrowingBuffer, 900)
    };
    let why = "1,000 of 2,000 requests retained blocks, in 8 of 8 slices, and 100 % of the bytes \
               that outlived their request by a slice are retained (at least 50 %).";
    let analysis = Analysis {
        outlook: crate::analysis::Outlook::default(),
        memory: crate::analysis::memory::Memory::default(),
        asked: AskedFor::default(),
        untraced: Vec::new(),
        carved: Vec::new(),
        course: None,
        growth: Growth {
            from_bytes: 1_000_000,
            to_bytes: 21_000_000,
            by_verdict: vec![
                (
                    Verdict::Leak,
                    Amount {
                        blocks: 1_901,
                        bytes: 19_800_000,
                    },
                ),
                (
                    Verdict::TooFewRequests,
                    Amount {
                        blocks: 2,
                        bytes: 200_000,
                    },
                ),
            ],
        },
        processes: vec![ProcessFigures {
            requests: 3903,
            allocations: 40_000,
            frees: 38_000,
            ..ProcessFigures::default()
        }],
        totals: Totals {
            allocations: 40_000,
            frees: 38_000,
            live_blocks: 2000,
            live_bytes: 20_000_000,
            outside: Outside {
                allocations: 1200,
                live_blocks: 999,
                live_bytes: 2_567_424,
                before_exit: Amount::default(),
            },
            ..Totals::default()
        },
        timeline: timeline([
            (0, 100_000, Some(6_000_000), 0),
            (35_000_000_000, 10_000_000, Some(16_000_000), 2000),
            (70_000_000_000, 20_000_000, Some(27_000_000), 3903),
            (72_000_000_000, 100, Some(27_000_000), 3903),
        ]),
        requests: vec![
            request(0, 1000, 500, (1, 16_384)),
            request(2, 2000, 200, (0, 0)),
            Request {
                count: 3901,
                ..request(1, 3000, 200, (1, 1_048_576))
            },
        ],
        endpoints: vec![
            orders,
            log,
            endpoint("GET /", Verdict::Clean, 1000),
            endpoint("GET /item\x1b[2J", Verdict::Bounded, 1),
            endpoint("DELETE /all", Verdict::TooFewRequests, 2),
        ],
        sites: vec![
            Site {
                types: order_types(),
                ..reached(site(leak, Verdict::Leak, (1000, 16_384_000)), 0, 1000, why)
            },
            reached(
                site(grow, Verdict::GrowingBuffer, (1, 1_048_576)),
                1,
                1,
                "Its live bytes rise from the middle to the end.",
            ),
            reached(site(cache, Verdict::Bounded, (64, 65_536)), 3, 64, ""),
            Site {
                outside_text: "Its live bytes rise in 8 of 8 slices.".into(),
                ..outside(thread, Verdict::Leak, (900, 2_457_600))
            },
            outside(table, Verdict::WarmUp, (98, 37_120)),
            outside(pool, Verdict::WarmUp, (1, 72_704)),
        ],
        boundaries: vec![Source::Http],
        unseen: vec![UnseenConnections {
            port: "tcp:8443".into(),
            connections: 14,
            reason: "TLS whose plain text can't be seen; link libssl dynamically.".into(),
        }],
        warnings: Vec::new(),
        types: Vec::new(),
        events: 81_234,
    };
    Example {
        facts: facts(),
        analysis,
        sites,
    }
}

/// So many endpoints that leak, whose labels differ amid much that they share, with types as a Python program has them.
pub(super) fn many_endpoints(number: u32) -> Example {
    let mut sites = Sites::default();
    let mut analysis = Analysis {
        boundaries: vec![Source::Http],
        growth: Growth {
            from_bytes: 1_000_000,
            to_bytes: 1_000_000 + 1_000 * u64::from(number),
            by_verdict: vec![(
                Verdict::Leak,
                Amount {
                    blocks: 5 * u64::from(number),
                    bytes: 1_000 * u64::from(number),
                },
            )],
        },
        ..Analysis::default()
    };
    for at in 0..number {
        let id = backtrace(&mut sites, &[(SERVER, 0x1000 + u64::from(at))]);
        let types = (0..8).map(|kind| TypeRow {
            name: format!("shop.models.kind{kind}.Item{at}"),
            blocks: 8 - kind,
            bytes: 100 * (8 - kind),
        });
        let label = format!(
            "GET /api/v1/organizations/departments/of/this/company/resource{at:02}/{{id}}/details/of/the/thing"
        );
        analysis.endpoints.push(Endpoint {
            leaking_requests: 5,
            leaking_requests_range: [5, 5],
            retained_blocks: 5,
            retained_bytes: 1_000,
            retained_bytes_per_leaking_request: Some(200),
            site_ids: vec![id],
            types: types.collect(),
            ..endpoint(&label, Verdict::Leak, 5)
        });
        let site = site(id, Verdict::Leak, (5, 1_000));
        analysis
            .sites
            .push(reached(site, at, 5, "5 of 5 requests kept blocks."));
        let begins = (0..5).map(|turn| (turn * u64::from(number) + u64::from(at)) * 1_000);
        let requests = begins.map(|begin| request(at, begin, 200, (1, 200)));
        analysis.requests.extend(requests);
    }
    Example {
        facts: facts(),
        analysis,
        sites,
    }
}

/// Five requests, nothing left behind.
pub(super) fn clean() -> Example {
    let analysis = Analysis {
        requests: (0..5).map(|n| request(0, n * 1000, 200, (0, 0))).collect(),
        endpoints: vec![endpoint("GET /", Verdict::Clean, 5)],
        boundaries: vec![Source::Http],
        totals: Totals {
            allocations: 50,
            frees: 50,
            ..Totals::default()
        },
        events: 120,
        ..Analysis::default()
    };
    Example {
        facts: facts(),
        analysis,
        sites: Sites::default(),
    }
}

/// A program without requests that was killed, in a trace that was cut short.
pub(super) fn plain() -> Example {
    let mut sites = Sites::default();
    let own = backtrace(
        &mut sites,
        &[(SERVER, 0x1000), (SERVER, 0x1100), (LIBC, 0x2_7000)],
    );
    let pool = backtrace(&mut sites, &[("/nowhere/libstdc++.so.6", 0x500)]);
    let mut facts = facts();
    facts.ended = Ended::Truncated;
    facts.dropped.frees = 7;
    facts.processes[0].outcome = Outcome::Killed(Some(9));
    facts.processes.push(Process {
        pid: 4800,
        ..Process::default()
    });
    let analysis = Analysis {
        totals: Totals {
            allocations: 1001,
            frees: 900,
            live_blocks: 101,
            live_bytes: 10_100 + 72_704,
            peak_live_bytes: 5_000_000,
            ..Totals::default()
        },
        timeline: timeline([
            (0, 0, Some(3_000_000), 0),
            (1, 4_000_000, Some(4_000_000), 0),
            (2, 4_000_000, None, 0),
            (4, 4_000_000, Some(9_000_000), 0),
        ]),
        sites: vec![
            outside(pool, Verdict::WarmUp, (1, 72_704)),
            outside(own, Verdict::WarmUp, (100, 10_100)),
        ],
        events: 1901,
        ..Analysis::default()
    };
    Example {
        facts,
        analysis,
        sites,
    }
}

/// A program without requests whose tear-down frees nearly all that it made.
pub(super) fn torn_down() -> Example {
    let mut sites = Sites::default();
    let mut stack = |address| backtrace(&mut sites, &[(SERVER, address), (LIBC, 0x2_7000)]);
    let (freed, partly, made) = (stack(0x1000), stack(0x1100), stack(0x1200));
    let row = |name: &str, blocks, bytes| TypeRow {
        name: name.into(),
        blocks,
        bytes,
    };
    let types = vec![
        row("shop.Order", 9_000, 1_200_000),
        row("dict", 200, 28_291),
    ];
    let before = |site: Site, blocks, bytes| Site {
        before_exit: Amount { blocks, bytes },
        outside_before_exit: Amount { blocks, bytes },
        ..site
    };
    let exit = BeforeExit {
        live: Amount {
            blocks: 9_500,
            bytes: 1_258_291,
        },
        freed: Amount {
            blocks: 9_300,
            bytes: 1_238_291,
        },
    };
    let analysis = Analysis {
        processes: vec![ProcessFigures {
            live_blocks: 201,
            live_bytes: 20_064,
            before_exit: Some(exit),
            ..ProcessFigures::default()
        }],
        totals: Totals {
            allocations: 30_001,
            frees: 29_800,
            live_blocks: 201,
            live_bytes: 20_064,
            before_exit: Some(exit),
            peak_live_bytes: 1_300_000,
            ..Totals::default()
        },
        sites: vec![
            before(outside(partly, Verdict::WarmUp, (200, 20_000)), 300, 30_000),
            outside(made, Verdict::WarmUp, (1, 64)),
            Site {
                types: types.clone(),
                ..before(outside(freed, Verdict::Clean, (0, 0)), 9_200, 1_228_291)
            },
        ],
        types,
        events: 59_801,
        ..Analysis::default()
    };
    Example {
        facts: facts(),
        analysis,
        sites,
    }
}
