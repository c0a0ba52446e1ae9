//! The results as markdown and as JSON.

use std::fmt::Write;

use leak_tests::stated::Sum;
use serde_json::{Value, json};

use crate::goals;
use crate::group::Group;
use crate::judge::{Judged, Leaking};
use crate::row::Row;
use crate::shape::Shape;

/// For a reader.
pub(crate) fn markdown(rows: &[Row], shapes: &[Shape], head: &str) -> String {
    let reached = rows.iter().filter(|row| row.reached()).count();
    let mut text = format!(
        "# Whose blocks: reports against the truth\n\nMade by `scripts/truth`; don't edit.\n\n{head}\n\n\
         Each row is a server of known behaviour under a random mix of endpoints, stopped with its last answer. \
         *Right* and *wrong* are parts of what a function kept, by blocks and by bytes the worse, of the worst \
         function (`keep_bounded` and `keep_warm` keep too few to be judged so). *Exact*: leaking requests that \
         are given just what they kept; 100 % is to be reached by the shapes marked `proof`. *Proved wrong*: \
         blocks called proved that are at a label which did not keep them. *Range*: leaking endpoints whose range \
         of leaking requests contains the truth. *Shared*: how far the parts of two labels at one call site are \
         from the truth. *Whose*: bytes proved, associated, unknown.\n\n\
         Goals: right {:.0} %, wrong at most {:.0} % ({:.0} % at the shared site), nothing that does not leak \
         called a leak, nothing proved wrong, every range containing the truth.\n\n\
         ## {reached} of {} rows reach all\n\n\
         | shape | connections | right | wrong | exact | false leaks | proved wrong | range | shared | whose | time | misses |\n\
         | --- |{}\n",
        goals::RIGHT * 100.0,
        goals::WRONG * 100.0,
        goals::WRONG_SHARED * 100.0,
        rows.len(),
        " ---: |".repeat(10) + " --- |",
    );
    for row in rows {
        let _ = writeln!(text, "{}", line(row));
    }
    text += "\n## Shapes\n\n| shape | how it works | |\n| --- | --- | --- |\n";
    for shape in shapes {
        let proof = if shape.proof { "proof" } else { "" };
        let _ = writeln!(text, "| {} | {} | {proof} |", shape.name, shape.what);
    }
    text
}

/// A row as a line of the table.
pub(crate) fn line(row: &Row) -> String {
    let judged = match &row.judged {
        Ok(judged) => judged,
        Err(error) => {
            let error = error.replace(['\n', '|'], " ");
            return format!("| {} | {} | failed: {error} |", row.shape, row.connections);
        }
    };
    let cells = [
        percent(worst(judged, Group::right_part, f64::min)),
        percent(worst(judged, Group::wrong_part, f64::max)),
        percent(Some(judged.exact.part()).filter(|_| judged.exact.of > 0)),
        judged.false_leaks.len().to_string(),
        proved_wrong(judged).map_or_else(dash, |blocks| blocks.to_string()),
        ranges(&judged.leaking),
        percent(judged.shared_error),
        judged.ownership.map_or_else(dash, whose),
        format!(
            "{:.1} + {:.1} s",
            row.served.as_secs_f64(),
            row.reported.as_secs_f64()
        ),
        row.missed.join("; "),
    ];
    format!(
        "| {} | {} | {} |",
        row.shape,
        row.connections,
        cells.join(" | ")
    )
}

fn dash() -> String {
    "–".to_owned()
}

fn percent(part: Option<f64>) -> String {
    part.map_or_else(dash, |part| format!("{:.1} %", part * 100.0))
}

fn whose(parts: [f64; 3]) -> String {
    parts.map(|part| format!("{:.0}", part * 100.0)).join(" · ") + " %"
}

fn worst(judged: &Judged, part: fn(&Group) -> f64, worse: fn(f64, f64) -> f64) -> Option<f64> {
    let groups = judged.groups.iter().filter(|group| goals::is_judged(group));
    groups.map(part).reduce(worse)
}

fn proved_wrong(judged: &Judged) -> Option<u64> {
    judged.groups.iter().map(|group| group.proved_wrong).sum()
}

fn ranges(leaking: &[Leaking]) -> String {
    let said: Option<Vec<(u64, u64)>> = leaking.iter().map(|one| one.said).collect();
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        return dash();
    };
    let contains =
        |(one, said): &(&Leaking, (u64, u64))| said.0 <= one.truth.1 && said.1 >= one.truth.0;
    let right = leaking.iter().zip(said).filter(contains).count();
    format!("{right} of {}", leaking.len())
}

/// For a program.
pub(crate) fn json(rows: &[Row], head: &str) -> Value {
    json!({ "head": head, "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

fn row(row: &Row) -> Value {
    let judged = row.judged.as_ref();
    json!({
        "shape": row.shape,
        "connections": row.connections,
        "proof": row.proof,
        "failed": judged.err(),
        "missed": row.missed,
        "served_s": row.served.as_secs_f64(),
        "report_s": row.reported.as_secs_f64(),
        "judged": judged.ok().map(figures),
    })
}

fn figures(judged: &Judged) -> Value {
    let sum = |sum: Sum| json!({ "blocks": sum.blocks, "bytes": sum.bytes });
    let group = |group: &Group| {
        json!({
            "function": group.function,
            "kept": sum(group.kept),
            "right": sum(group.right),
            "wrong": sum(group.wrong),
            "proved_wrong_blocks": group.proved_wrong,
        })
    };
    let leaking = |one: &Leaking| {
        json!({
            "label": one.label,
            "truth": [one.truth.0, one.truth.1],
            "said": one.said.map(|(low, high)| [low, high]),
        })
    };
    json!({
        "functions": judged.groups.iter().map(group).collect::<Vec<_>>(),
        "exact_requests": judged.exact.told,
        "leaking_requests": judged.exact.of,
        "false_leaks": judged.false_leaks,
        "miscounted": judged.miscounted,
        "ranges": judged.leaking.iter().map(leaking).collect::<Vec<_>>(),
        "shared_error": judged.shared_error,
        "ownership": judged.ownership,
    })
}
