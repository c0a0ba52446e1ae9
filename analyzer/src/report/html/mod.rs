//! The report as one page: a file that needs no network and no other file, and that runs nothing but its own scripts.
//! What is said in words is the text report's; the scripts beside this file show its figures.

mod collect;
mod data;
mod names;
mod source;
mod time;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};

use super::frames::Stacks;
use super::text::{Head, Tone, head};
use super::{Input, Options, warnings};
use crate::analysis::Analysis;
use crate::escape::escaped;
use crate::sites::Sites;
use crate::symbols::Symbolizer;
use crate::trace::Facts;
use collect::Limits;

/// Bytes of a page, at most. Of more than a browser opens at once nobody has any use.
const MOST: usize = 5_000_000;
/// Columns of the text report in the page.
const TEXT_WIDTH: usize = 110;

const PAGE: &str = include_str!("page.html");
const STYLE: &[&str] = &[include_str!("vendor/uPlot.css"), include_str!("style.css")];
/// One after the other in one function, so that each sees those before it.
const SCRIPTS: &[&str] = &[
    include_str!("format.js"),
    include_str!("dom.js"),
    include_str!("state.js"),
    include_str!("range.js"),
    include_str!("table.js"),
    include_str!("time.js"),
    include_str!("endpoints.js"),
    include_str!("tree.js"),
    include_str!("icicle.js"),
    include_str!("sites.js"),
    include_str!("evidence.js"),
    include_str!("requests.js"),
    include_str!("main.js"),
];

/// Writes the report as a page.
pub fn html(
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    within(MOST, facts, analysis, sites, symbolizer, options, out)
}

/// The same, in so many bytes at most.
fn within(
    most: usize,
    facts: &Facts,
    analysis: &Analysis,
    sites: &Sites,
    symbolizer: &mut Symbolizer<'_>,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let text_options = Options {
        width: TEXT_WIDTH,
        color: false,
        ..options.clone()
    };
    let mut text = Vec::new();
    super::text(facts, analysis, sites, symbolizer, &text_options, &mut text)?;
    let input = Input::new(facts, analysis, sites, options);
    let mut limits = Limits::FULL;
    loop {
        let mut stacks = Stacks::new(facts, sites, symbolizer);
        let data = collect::data(&input, &mut stacks, limits);
        let warnings = warnings(&input, stacks.symbolizer());
        let head = head(&input, &warnings);
        let page = page(&head, &String::from_utf8_lossy(&text), &pack(&data)?);
        match limits.tighter().filter(|_| page.len() > most) {
            Some(tighter) => limits = tighter,
            None => return out.write_all(page.as_bytes()),
        }
    }
}

/// The data, deflated, in characters that HTML leaves alone.
fn pack(data: &data::Data) -> io::Result<String> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    serde_json::to_writer(&mut packed, data)?;
    Ok(STANDARD.encode(packed.finish()?))
}

/// The whole page.
fn page(head: &Head, text: &str, data: &str) -> String {
    let style = lean(&STYLE.concat(), &["/*"]);
    let script = script();
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(&style)
    );
    let command = head.command.as_deref().unwrap_or("no process");
    let of = |name: &str| match name {
        "policy" => policy.clone(),
        "title" => in_html(command),
        "style" => style.clone(),
        "missing" => missing(&head.missing),
        "result" => result(&head.result),
        "command" => in_html(command),
        "seen" => paragraphs(&head.seen),
        "text" => in_html(text),
        "data" => data.to_owned(),
        "script" => script.clone(),
        _ => String::new(),
    };
    filled(PAGE, of)
}

/// `{{name}}` replaced, once: what stands in its place is not looked at again.
fn filled(template: &str, of: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len());
    let mut parts = template.split("{{");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        out.push_str(&of(name));
        out.push_str(rest);
    }
    out
}

fn script() -> String {
    let plot = include_str!("vendor/uPlot.js");
    let license = include_str!("vendor/uPlot.LICENSE");
    format!(
        "/*! uPlot\n{license}*/\n{plot}\n(() => {{\n\"use strict\";\n{}}})();\n",
        lean(&SCRIPTS.concat(), &["//", "/*", "* ", "*/"])
    )
}

/// A script or a style of ours without its indents, and without the lines that begin a comment or go on with it, a tenth
/// of the page. No text in them has several lines.
fn lean(source: &str, comments: &[&str]) -> String {
    let lines = source.lines().map(str::trim);
    let is_code = |line: &&str| {
        let is_comment = comments.iter().any(|begin| line.starts_with(begin));
        !line.is_empty() && !is_comment
    };
    let lines = lines.filter(is_code);
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// As a policy names what it lets run.
pub(in crate::report) fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// `text` for HTML, between tags and in quotes.
pub(in crate::report) fn in_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // The text report's lines end with it; all else is escaped already.
            '\n' => out.push(c),
            c => out.push_str(&escaped(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

fn paragraphs(texts: &[String]) -> String {
    let texts = texts.iter();
    texts
        .map(|text| format!("<p>{}</p>\n", in_html(text)))
        .collect()
}

fn missing(texts: &[String]) -> String {
    match texts.is_empty() {
        true => String::new(),
        false => {
            let rows = texts.iter();
            let rows: String = rows
                .map(|text| format!("<li>{}</li>\n", in_html(text)))
                .collect();
            format!("<ul class=\"missing\" aria-label=\"What the figures lack\">\n{rows}</ul>\n")
        }
    }
}

/// The sentences of the result: what can't be told first, for all else is said beside it.
fn result(sentences: &[(Tone, String)]) -> String {
    if sentences.is_empty() {
        return "<p class=\"sentence plain\">No requests were seen: what is live is shown by call site.</p>\n".into();
    }
    let mut sentences: Vec<&(Tone, String)> = sentences.iter().collect();
    sentences.sort_by_key(|(tone, _)| *tone != Tone::Warn);
    let rows = sentences.into_iter().map(|(tone, text)| {
        let class = match tone {
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            Tone::Good => "good",
            Tone::Plain => "plain",
        };
        format!("<p class=\"sentence {class}\">{}</p>\n", in_html(text))
    });
    rows.collect()
}
