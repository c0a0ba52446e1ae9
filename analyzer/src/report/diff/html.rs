//! The comparison as one page: no script, no network, no other file.

use std::io::{self, Write};

use super::markdown::headline;
use super::side::{each, range};
use super::{Diff, Row, SiteRow, State};
use crate::escape::escaped;
use crate::figures::{bytes, count, counted, duration};
use crate::report::Options;
use crate::report::html::{hash, in_html};
use crate::report::outline::{Outline, Part};

/// Rows of endpoints, and of call sites. Of more a person has no use, and a browser some trouble.
const MOST_ROWS: usize = 500;
/// Columns of the comparison as text.
const TEXT_WIDTH: usize = 110;
const STYLE: &str = include_str!("page.css");
/// What stands for a side without such requests.
const NONE: &str = "–";

/// Writes the comparison as a page.
///
/// # Errors
/// Of the writing.
pub fn html(diff: &Diff<'_>, out: &mut dyn Write) -> io::Result<()> {
    let options = Options {
        width: TEXT_WIDTH,
        ..Options::default()
    };
    let mut text = Vec::new();
    crate::report::diff_text(diff, &options, &mut text)?;
    let title = headline(diff);
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    );
    let parts = [
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n".to_owned(),
        format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n"),
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n".to_owned(),
        "<meta name=\"color-scheme\" content=\"light dark\">\n".to_owned(),
        "<meta name=\"generator\" content=\"leak-analyze\">\n".to_owned(),
        format!("<title>libleak: {}</title>\n<style>{STYLE}</style>\n</head>\n", in_html(&title)),
        format!("<body>\n<header>\n<h1>libleak: before and after</h1>\n<p class=\"result\">{}</p>\n", in_html(&title)),
        sides(diff),
        doubts(diff),
        differences(diff),
        "</header>\n<main>\n".to_owned(),
        endpoints(diff),
        sites(diff),
        format!(
            "<h2>The comparison as text</h2>\n<details><summary>as <code>leak-analyze diff</code> prints it</summary>\n\
             <pre tabindex=\"0\">{}</pre>\n</details>\n",
            in_html(&String::from_utf8_lossy(&text))
        ),
        "</main>\n<footer><p>Made by leak-analyze. One file, no network. Compared is what each request leaves behind, not \
         what traffic of unequal size adds up to.</p></footer>\n</body>\n</html>\n"
            .to_owned(),
    ];
    parts
        .iter()
        .try_for_each(|part| out.write_all(part.as_bytes()))
}

fn both_sides<'d>(diff: &'d Diff<'_>) -> [(&'static str, &'d Outline); 2] {
    [("before", diff.before), ("after", diff.after)]
}

fn sides(diff: &Diff<'_>) -> String {
    let rows = both_sides(diff).map(|(side, outline)| {
        format!(
            "<tr><th scope=\"row\">{side}</th><td class=\"name\">{}</td><td class=\"number\">{}</td><td class=\"number\">in {}</td></tr>\n",
            in_html(&outline.path),
            counted(outline.requests, "request"),
            duration(outline.duration_ns)
        )
    });
    format!(
        "<div class=\"scroll\"><table aria-label=\"The two recordings\"><tbody>\n{}</tbody></table></div>\n",
        rows.concat()
    )
}

/// What the figures lack.
fn doubts(diff: &Diff<'_>) -> String {
    let mut texts = Vec::new();
    for (side, outline) in both_sides(diff) {
        if !outline.complete {
            let events = counted(outline.dropped_events, "event");
            texts.push(format!(
                "the trace {side} is incomplete: {events} not recorded"
            ));
        }
        if outline.sample_bytes > 0 {
            let mean = bytes(outline.sample_bytes);
            texts.push(format!(
                "{side} is a sample, of {mean} on average: figures are estimates"
            ));
        }
    }
    if diff.before.boundaries != diff.after.boundaries {
        texts.push("requests were told apart by other boundaries: give --boundary".into());
    }
    list("missing", "What the figures lack", texts.into_iter())
}

fn differences(diff: &Diff<'_>) -> String {
    let texts = diff.differences.iter().map(|row| {
        let side = |text: &str| match text {
            "" => NONE.to_owned(),
            text => escaped(text).into_owned(),
        };
        format!(
            "other {}: {} → {}",
            row.what,
            side(&row.before),
            side(&row.after)
        )
    });
    list("differences", "In what the recordings differ", texts)
}

fn list(class: &str, label: &str, texts: impl Iterator<Item = String>) -> String {
    let rows: String = texts
        .map(|text| format!("<li>{}</li>\n", in_html(&text)))
        .collect();
    match rows.is_empty() {
        true => rows,
        false => format!("<ul class=\"{class}\" aria-label=\"{label}\">\n{rows}</ul>\n"),
    }
}

fn badge(state: State) -> String {
    format!(
        "<span class=\"badge {}\">{}</span>",
        state.name(),
        state.words()
    )
}

fn endpoints(diff: &Diff<'_>) -> String {
    if diff.endpoints.is_empty() {
        return String::new();
    }
    let rows: String = diff
        .endpoints
        .iter()
        .take(MOST_ROWS)
        .map(endpoint)
        .collect();
    format!(
        "<h2>Endpoints</h2>\n<div class=\"scroll\"><table class=\"endpoints\" aria-label=\"Endpoints\">\n<thead><tr>\
         <th scope=\"col\">State</th><th scope=\"col\">Endpoint</th><th scope=\"col\" class=\"number\">Requests</th>\
         <th scope=\"col\" class=\"number\">Leaking</th><th scope=\"col\" class=\"number\">Each</th></tr></thead>\n\
         <tbody>\n{rows}</tbody></table></div>\n{}",
        more(diff.endpoints.len(), "endpoint")
    )
}

fn endpoint(row: &Row<'_>) -> String {
    let leaks = |part: &Part| match part.leaking_range() {
        [_, 0] => "none".to_owned(),
        leaking => range(leaking),
    };
    let size = |part: &Part| match part.each_range() {
        None => NONE.to_owned(),
        Some(_) => each(part),
    };
    format!(
        "<tr class=\"{}\"><td>{}</td><th scope=\"row\" class=\"name\">{}<p class=\"reason\">{}</p></th>\
         <td class=\"number\" data-head=\"requests\">{}</td><td class=\"number\" data-head=\"leaking\">{}</td>\
         <td class=\"number\" data-head=\"each\">{}</td></tr>\n",
        row.state.name(),
        badge(row.state),
        in_html(row.label),
        in_html(&row.reason),
        both(row, &|part| count(part.requests)),
        both(row, &leaks),
        both(row, &size),
    )
}

fn both(row: &Row<'_>, of: &dyn Fn(&Part) -> String) -> String {
    let side = |part: Option<&Part>| part.map_or(NONE.to_owned(), of);
    let (before, after) = (side(row.before), side(row.after));
    match before == after {
        true => in_html(&after),
        false => format!(
            "{} <span class=\"to\">→</span> {}",
            in_html(&before),
            in_html(&after)
        ),
    }
}

fn sites(diff: &Diff<'_>) -> String {
    if diff.sites.is_empty() {
        return String::new();
    }
    let rows: String = diff.sites.iter().take(MOST_ROWS).map(site).collect();
    format!(
        "<h2>Call sites</h2>\n<ul class=\"sites\">\n{rows}</ul>\n{}",
        more(diff.sites.len(), "call site")
    )
}

fn site(row: &SiteRow<'_>) -> String {
    let Some(shown) = row.site() else {
        return String::new();
    };
    let likeness = row.likeness.map_or(String::new(), |(common, all)| {
        format!("<p class=\"reason\">taken for one site by likeness: {common} of {all} functions are the same</p>")
    });
    let names: String = shown
        .functions
        .names
        .iter()
        .map(|name| format!("<li>{}</li>", in_html(name)))
        .collect();
    format!(
        "<li class=\"{}\"><p>{} <b class=\"name\">{}</b> <span class=\"place\">{}</span></p>\n\
         <p class=\"label\">{}</p><p class=\"reason\">{}</p>{likeness}\n\
         <details><summary>functions, the innermost first</summary><ol>{names}</ol>\
         <p class=\"fingerprint\">{}</p></details></li>\n",
        row.state.name(),
        badge(row.state),
        in_html(&shown.head.name),
        in_html(&shown.head.place),
        in_html(row.label.unwrap_or("(in no request)")),
        in_html(&row.reason),
        in_html(&shown.functions.fingerprint),
    )
}

fn more(all: usize, what: &str) -> String {
    match all.checked_sub(MOST_ROWS) {
        None | Some(0) => String::new(),
        Some(more) => format!(
            "<p class=\"reason\">… and {} more: --format json has all</p>\n",
            counted(more as u64, what)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::diff::compare;
    use crate::report::{example_outline, leaking_part};

    #[test]
    fn names_are_text_and_nothing_comes_from_outside() {
        let label = "GET /<script>alert(1)</script>\u{1b}[31m";
        let before = example_outline("keep<b>", vec![]);
        let after = example_outline("keep<b>", vec![leaking_part(label, 100, 20)]);
        let mut page = Vec::new();
        html(&compare(&before, &after), &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(
            !page.contains("<script") && !page.contains("<b>keep"),
            "{page}"
        );
        assert!(!page.contains('\u{1b}'));
        assert!(page.contains("GET /&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.contains("keep&lt;b&gt;"));
        assert!(page.contains("default-src 'none'"));
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(page.contains("not comparable"));
    }
}
