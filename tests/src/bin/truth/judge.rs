//! Compares a report with what is known to be true.

use leak_tests::stated::Sum;
use serde_json::Value;

use crate::endpoint::{Endpoint, Family};
use crate::exact::{self, Exact};
use crate::group::{self, Group};
use crate::read::{self, add, list, number, sum, text};
use crate::shape::Shape;
use crate::sites;
use crate::traffic::Traffic;

/// How many of an endpoint's requests leak.
#[derive(Clone, Debug)]
pub(crate) struct Leaking {
    /// The endpoint's label.
    pub(crate) label: String,
    /// In truth, at least and at most.
    pub(crate) truth: (u64, u64),
    /// What the report says, at least and at most; `None`: it doesn't.
    pub(crate) said: Option<(u64, u64)>,
}

/// The whole comparison.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// One for each function.
    pub(crate) groups: Vec<Group>,
    /// Request by request.
    pub(crate) exact: Exact,
    /// Endpoints that are called leaking and are not.
    pub(crate) false_leaks: Vec<String>,
    /// Endpoints with another number of requests than was sent: that number.
    pub(crate) miscounted: Vec<(String, u64)>,
    /// One for each leaking endpoint.
    pub(crate) leaking: Vec<Leaking>,
    /// How far the part of `/shared-a` in what both of its kind were given is from the truth; `None`: nothing was.
    pub(crate) shared_error: Option<f64>,
    /// The parts of the bytes that are proved, associated and unknown.
    pub(crate) ownership: Option<[f64; 3]>,
}

/// Judges the report of one run.
pub(crate) fn judge(
    report: &Value,
    shape: &Shape,
    traffic: &Traffic,
    connections: usize,
) -> Judged {
    let endpoints = |wanted: &dyn Fn(Endpoint) -> bool| -> Vec<Endpoint> {
        let all = traffic.endpoints.iter().copied();
        all.filter(|endpoint| wanted(*endpoint)).collect()
    };
    let leaking = endpoints(&|endpoint| shape.keeps && endpoint.leaks());
    let label = |endpoint: Endpoint| (endpoint, read::endpoint(report, &endpoint.label()));
    Judged {
        groups: group::all(report, shape, traffic),
        exact: exact::count(report, shape, traffic, &leaking, connections),
        false_leaks: false_leaks(report, shape, &leaking),
        miscounted: endpoints(&|_| true)
            .into_iter()
            .map(label)
            .map(|(endpoint, row)| (endpoint.label(), number(row, "requests")))
            .filter(|(_, requests)| *requests != traffic.each())
            .collect(),
        leaking: leaking
            .iter()
            .map(|endpoint| told(report, *endpoint, shape, traffic))
            .collect(),
        shared_error: shape
            .keeps
            .then(|| shared_error(report, shape.family, traffic))
            .flatten(),
        ownership: ownership(report),
    }
}

fn false_leaks(report: &Value, shape: &Shape, leaking: &[Endpoint]) -> Vec<String> {
    let leaks = |row: &&Value| matches!(text(row, "verdict"), "leak" | "growing_buffer");
    let excused = [Endpoint::Bounded];
    let excused = excused.iter().filter(|_| shape.keeps && !shape.bounded);
    let known = leaking.iter().chain(excused);
    let known: Vec<String> = known.map(|endpoint| endpoint.label()).collect();
    list(report, "endpoints")
        .iter()
        .filter(leaks)
        .map(|row| text(row, "label").to_owned())
        .filter(|label| !known.contains(label))
        .collect()
}

fn told(report: &Value, endpoint: Endpoint, shape: &Shape, traffic: &Traffic) -> Leaking {
    let label = endpoint.label();
    let said = &read::endpoint(report, &label)["leaking_requests_range"];
    let truth = traffic.keeping(endpoint);
    Leaking {
        truth: (truth.saturating_sub(shape.cut_off), truth),
        said: said[0].as_u64().zip(said[1].as_u64()),
        label,
    }
}

fn shared_error(report: &Value, family: Family, traffic: &Traffic) -> Option<f64> {
    let both = [Endpoint::SharedA, Endpoint::SharedB];
    let part = |bytes: [u64; 2]| bytes[0] as f64 / (bytes[0] + bytes[1]).max(1) as f64;
    let truth = both.map(|endpoint| traffic.kept(endpoint, family).bytes);
    // Where no call site is theirs alone, the endpoints' own sums are all there is.
    let given = both.map(|endpoint| match family {
        Family::Managed => sum(read::endpoint(report, &endpoint.label()), "retained").bytes,
        _ => given_to(report, family, endpoint).bytes,
    });
    (given != [0, 0]).then(|| (part(given) - part(truth)).abs())
}

fn given_to(report: &Value, family: Family, endpoint: Endpoint) -> Sum {
    let wanted = endpoint.label();
    let sites = sites::of(report, family, endpoint.function());
    let labels = sites.flat_map(|site| list(site, "labels"));
    let own = labels.filter(|label| text(label, "label") == wanted);
    add(own.map(|label| sum(label, "retained")))
}

fn ownership(report: &Value) -> Option<[f64; 3]> {
    let totals = &report["totals"]["ownership"];
    let bytes = |name: &str| totals[name].as_u64();
    let parts = [
        bytes("proved_bytes")?,
        bytes("associated_bytes")?,
        bytes("unknown_bytes")?,
    ];
    let all = parts.iter().sum::<u64>().max(1) as f64;
    Some(parts.map(|bytes| bytes as f64 / all))
}
