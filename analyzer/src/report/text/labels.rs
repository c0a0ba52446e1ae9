//! Labels in few columns: those that differ in full differ shortened, too, in whatever part of the report.

use std::collections::BTreeMap;

use unicode_width::UnicodeWidthStr;

use super::table::{cut, fitting};
use crate::analysis::Endpoint;
use crate::escape::escaped;
use crate::report::Input;

/// Columns of a label, and what stands beside it: a curve.
const NAME: std::ops::RangeInclusive<usize> = 20..=110;
const BESIDE: usize = 28;
/// A method is not longer, its blank included.
const MOST_METHOD: usize = 9;
/// How often labels that came out the same are cut elsewhere.
const ROUNDS: usize = 16;

/// What an endpoint is called.
pub(super) fn name<'i>(input: &'i Input<'_>, endpoint: &Endpoint) -> &'i str {
    let mut endpoints = input.analysis.endpoints.iter();
    let at = endpoints.position(|one| std::ptr::eq(one, endpoint));
    name_at(input, at.unwrap_or(usize::MAX))
}

/// The same by its index.
pub(super) fn name_at<'i>(input: &'i Input<'_>, at: usize) -> &'i str {
    let names = input.short_labels.get_or_init(|| {
        let endpoints = input.analysis.endpoints.iter();
        let labels: Vec<String> = endpoints
            .map(|endpoint| escaped(&endpoint.label).into_owned())
            .collect();
        let width = input.options.width.saturating_sub(BESIDE);
        distinct(&labels, width.clamp(*NAME.start(), *NAME.end()))
    });
    names.get(at).map_or("", String::as_str)
}

/// Each of `labels` in at most `width` columns.
fn distinct(labels: &[String], width: usize) -> Vec<String> {
    let mut names: Vec<String> = labels.iter().map(|label| cut(label, width)).collect();
    for _ in 0..ROUNDS {
        let groups = same(&names);
        if groups.is_empty() {
            return names;
        }
        for group in groups {
            let differ = common(labels, &group);
            for at in group {
                names[at] = around(&labels[at], differ, width);
            }
        }
    }
    for (number, at) in (1..).zip(same(&names).into_iter().flatten()) {
        let number = format!(" #{number}");
        names[at] = cut(&names[at], width.saturating_sub(number.width())) + &number;
    }
    names
}

/// The indexes of names that several have.
fn same(names: &[String]) -> Vec<Vec<usize>> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        by_name.entry(name).or_default().push(at);
    }
    let groups = by_name.into_values();
    groups.filter(|group| group.len() > 1).collect()
}

/// How many characters these begin with in common.
fn common(labels: &[String], group: &[usize]) -> usize {
    let mut labels = group.iter().filter_map(|at| labels.get(*at));
    let Some(first) = labels.next() else {
        return 0;
    };
    let with_first = |label: &String| {
        let pairs = first.chars().zip(label.chars());
        pairs.take_while(|(one, other)| one == other).count()
    };
    labels.map(with_first).min().unwrap_or(0)
}

/// `label` cut so that the character at `differ` and what follows is seen: `GET …/resource10/{id}`.
fn around(label: &str, differ: usize, width: usize) -> String {
    let chars: Vec<char> = label.chars().collect();
    let method = chars.iter().take(MOST_METHOD).position(|c| *c == ' ');
    let method = method.map_or(0, |blank| blank + 1);
    let room = width.saturating_sub(method + 1);
    let columns = |from: usize| String::from_iter(chars.get(from..).unwrap_or_default()).width();
    // From a part of the path on, where one begins near; earlier, where the end leaves room.
    let near = differ.saturating_sub(room / 3);
    let is_begin = |at: &usize| chars.get(*at) == Some(&'/');
    let mut begin = (near..differ).rev().find(is_begin).unwrap_or(near);
    let earlier = (0..begin).find(|at| is_begin(at) && columns(*at) <= room);
    begin = earlier.unwrap_or(begin);
    let (before, from) = match begin <= method + 1 {
        true => (String::new(), 0),
        false => (String::from_iter(chars.iter().take(method)) + "…", begin),
    };
    let rest = chars.get(from..).unwrap_or_default();
    let room = width.saturating_sub(before.width());
    match columns(from) <= room {
        true => before + &String::from_iter(rest),
        false => before + &fitting(rest.iter().copied(), room.saturating_sub(1)) + "…",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(labels: &[&str], width: usize) -> Vec<String> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        distinct(&labels, width)
    }

    #[test]
    fn what_fits_stays() {
        assert_eq!(short(&["GET /a", "GET /b"], 20), ["GET /a", "GET /b"]);
    }

    #[test]
    fn the_part_that_differs_is_seen() {
        let label = |number| {
            format!("GET /api/v1/organizations/departments/resource{number}/{{id}}/of/the/thing")
        };
        let labels = [label("10"), label("11"), "GET /".to_owned()];
        assert_eq!(
            distinct(&labels, 40),
            [
                "GET …/resource10/{id}/of/the/thing",
                "GET …/resource11/{id}/of/the/thing",
                "GET /"
            ]
        );
    }

    #[test]
    fn labels_stay_different_wherever_they_differ() {
        let long: String = (0..30).map(|at| format!("segment{at}/")).collect();
        let mut labels: Vec<String> = Vec::new();
        for at in [0, 3, 10, 50, 100, 120, 200, 239, 240] {
            for letter in ["X", "Y", "/"] {
                let mut label = format!("DELETE /{long}");
                label.insert_str(at + 8, letter);
                labels.push(label);
            }
        }
        labels.push(format!("POST /{long}"));
        labels.push(format!("DELETE /{long}{long}"));
        labels.sort();
        labels.dedup();
        for width in [20, 32, 52, 110] {
            let names = distinct(&labels, width);
            assert!(same(&names).is_empty(), "{width}: {names:#?}");
            let numbered = names.iter().filter(|name| name.contains('#')).count();
            assert_eq!(numbered, 0, "{width}: {names:#?}");
            for name in &names {
                assert!(name.width() <= width, "{width}: {name}");
            }
        }
    }

    #[test]
    fn where_nothing_helps_they_are_numbered() {
        let label = |at: usize| format!("GET /{}x{}", "a".repeat(at), "a".repeat(90 - at));
        let labels: Vec<String> = (0..90).map(label).collect();
        let names = distinct(&labels, 20);
        assert!(same(&names).is_empty(), "{names:#?}");
        assert!(names.iter().all(|name| name.width() <= 20), "{names:#?}");
    }

    #[test]
    fn wide_characters_are_counted_as_what_they_take() {
        let labels: Vec<String> = ["一", "二"]
            .map(|word| format!("GET /{}{word}{}", "日本".repeat(30), "語".repeat(40)))
            .into();
        let names = distinct(&labels, 30);
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.width() <= 30), "{names:?}");
    }
}
