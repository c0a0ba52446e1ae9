//! The page as a file: what is in it, what can't get out of its place, and how large it gets. What it does in a
//! browser is tested in `tests/tests/page/`.

use std::io::Read;

use flate2::read::DeflateDecoder;
use serde_json::{Value, json};

use super::*;
use crate::analysis::course::{Course, Kept, Lived, OUTLIVED};
use crate::analysis::{Site, Verdict};
use crate::report::example::{self, Example};
use crate::sample::Amount;
use crate::sites::Memory;
use crate::trace::LimitKind;

fn printed(example: &Example) -> String {
    example.print(&Options::default(), html)
}

/// The text between two others.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split_once(before).expect(before).1;
    rest.split_once(after).expect(after).0
}

fn unpacked(page: &str) -> Value {
    let packed = STANDARD
        .decode(between(page, "id=\"data\">", "</script>"))
        .unwrap();
    let mut data = String::new();
    DeflateDecoder::new(packed.as_slice())
        .read_to_string(&mut data)
        .unwrap();
    serde_json::from_str(&data).unwrap()
}

/// The example, with a course of its first two sites.
fn with_course() -> Example {
    let mut example = example::leaking();
    let site = example.analysis.sites[0].id;
    let kept = |period, bytes| Kept {
        site,
        endpoint: 0,
        status: Some(500),
        period,
        retained: Amount { blocks: 1, bytes },
        associated: Amount::default(),
        leaked: Amount { blocks: 1, bytes },
    };
    let lived = |born, died, bytes| Lived {
        site,
        born,
        died,
        amount: Amount { blocks: 1, bytes },
    };
    example.analysis.course = Some(Course {
        lived: vec![lived(1, 3, 64), lived(2, OUTLIVED + 47, 100)],
        kept: vec![kept(2, 100), kept(5, 28)],
    });
    example
}

#[test]
fn the_limit_is_that_of_resident_memory() {
    let mut example = with_course();
    let limit = |example: &Example| unpacked(&printed(example))["time"]["limit"].clone();
    assert_eq!(limit(&example), Value::Null);
    example.analysis.outlook.limit = Some((LimitKind::Cgroup, 1 << 30));
    assert_eq!(limit(&example), json!([1 << 30, "cgroup"]));
    example.analysis.outlook.limit = Some((LimitKind::AddressSpace, 1 << 30));
    assert_eq!(limit(&example), Value::Null);
}

#[test]
fn it_begins_with_what_the_text_says() {
    let example = with_course();
    let page = printed(&example);
    let band = between(&page, "aria-label=\"Verdict\">", "</section>");
    let text = example.print(
        &Options {
            width: 1000,
            ..Options::default()
        },
        super::super::text,
    );
    let head = text.split("ENDPOINT").next().unwrap();
    let lines = head
        .lines()
        .map(|line| line.trim_start_matches("! ").trim());
    let shown = band
        .replace("&#39;", "'")
        .replace("&gt;", ">")
        .replace("&lt;", "<");
    let command = between(&page, "<code>", "</code>");
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("./server")) {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert_eq!(command, "./server --name &#39;corner shop&#39;");
    // What can't be told comes first.
    if let (Some(warn), Some(bad)) = (band.find("sentence warn"), band.find("sentence bad")) {
        assert!(warn < bad);
    }
}

#[test]
fn its_policy_lets_its_own_scripts_run_and_nothing_else() {
    let page = printed(&with_course());
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\">");
    let style = between(&page, "<style>", "</style>");
    let script = between(
        page.rsplit_once("<script>").map(|s| s.1).unwrap(),
        "",
        "</script>",
    );
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
            hash(script),
            hash(style)
        )
    );
    assert_eq!(page.matches("<script").count(), 2);
    for loaded in [
        " src=",
        "url(",
        "@import",
        "fetch(",
        "XMLHttpRequest",
        "innerHTML",
    ] {
        assert!(!page.contains(loaded), "{loaded}");
    }
    assert!(page.contains("Permission is hereby granted"));
}

#[test]
fn hostile_names_stay_in_their_place() {
    let mut example = with_course();
    let evil =
        "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{data}}&\u{202e}\u{1b}";
    example.analysis.endpoints[0].label = evil.into();
    example.analysis.sites[0].evidence.text = evil.into();
    example.facts.processes[0].executable = format!("/opt/{evil}");
    example.facts.processes[0].arguments = vec![evil.into()];
    example.facts.warnings.push(crate::trace::Warning {
        code: "evil".into(),
        text: evil.into(),
    });
    let page = printed(&example);
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert_eq!(page.matches("<img").count(), 0);
    assert!(!page.contains(['\u{202e}', '\u{1b}']));
    assert!(page.contains("{{data}}&amp;\\u{202e}"));
    let data = unpacked(&page);
    let label = data["endpoints"][0]["label"].as_str().unwrap();
    assert!(label.starts_with("</script>") && label.ends_with("\\u{202e}\\u{1b}"));
}

#[test]
fn its_data_is_the_analysis() {
    let example = with_course();
    let data = unpacked(&printed(&example));
    let site = &example.analysis.sites[0];
    let row = &data["sites"][0];
    assert_eq!(row["verdict"], site.verdict.name());
    assert_eq!(row["retained_bytes"], site.retained_bytes);
    assert_eq!(row["evidence"]["text"], site.evidence.text);
    assert_eq!(
        row["kept"],
        json!([[0, 500, 2, 1, 100, 0], [0, 500, 5, 1, 28, 0]])
    );
    assert_eq!(row["lived"], json!([[1, 3, 1, 64], [2, 95, 1, 100]]));
    let endpoint = &data["endpoints"][0];
    assert_eq!(endpoint["label"], example.analysis.endpoints[0].label);
    let course = endpoint["course"].as_array().unwrap();
    let sum = |at: usize| -> u64 { course.iter().filter_map(|row| row[at].as_u64()).sum() };
    let requests = example.analysis.requests.iter();
    let of_first: u64 = requests
        .filter(|request| request.endpoint == 0)
        .map(|request| u64::from(request.count))
        .sum();
    assert_eq!((sum(2), sum(4)), (of_first, 128));
    let levels = data["time"]["levels"][0][2].as_array().unwrap();
    let bytes: Vec<u64> = levels.iter().filter_map(Value::as_u64).collect();
    assert_eq!(bytes[..6], [0, 0, 64, 164, 100, 100]);
    assert_eq!(bytes[48], 100);
    assert_eq!(data["left_out"]["sites"], 0);
}

/// Stacks of threads are shown, and in no sum: not in an endpoint's course either.
#[test]
fn stacks_of_threads_are_apart() {
    let mut example = with_course();
    let mut site: Site = example.analysis.sites[0].clone();
    let place = Memory::APART.iter().position(|at| *at == Memory::Stack);
    site.id = example.sites.mapped(site.id) + place.unwrap() as u32;
    let course = example.analysis.course.as_mut().unwrap();
    course.kept.push(Kept {
        site: site.id,
        ..course.kept[0]
    });
    example.analysis.sites.push(site);
    let data = unpacked(&printed(&example));
    let rows = data["sites"].as_array().unwrap();
    let stacks: Vec<bool> = rows
        .iter()
        .filter_map(|row| row["stack"].as_bool())
        .collect();
    assert_eq!(stacks.len(), rows.len());
    assert_eq!(stacks.iter().filter(|is_stack| **is_stack).count(), 1);
    let course = data["endpoints"][0]["course"].as_array().unwrap();
    let kept: u64 = course.iter().filter_map(|row| row[4].as_u64()).sum();
    assert_eq!(kept, 128);
}

/// As the text report says it.
#[test]
fn what_is_not_sure_is_told_as_such() {
    let mut example = with_course();
    let endpoint = &mut example.analysis.endpoints[0];
    (endpoint.is_sure, endpoint.apart_unproved) = (false, true);
    let told = |example: &Example| {
        let data = unpacked(&printed(example));
        ["unsure", "apart_unproved"].map(|name| data["endpoints"][0][name].clone())
    };
    assert_eq!(told(&example), [json!(true), json!(true)]);
    let endpoint = &mut example.analysis.endpoints[0];
    (endpoint.is_sure, endpoint.apart_unproved) = (true, false);
    assert_eq!(told(&example), [json!(false), json!(false)]);
    // Only of a leak it is said how sure it is.
    example.analysis.endpoints[0].verdict = Verdict::Bounded;
    example.analysis.endpoints[0].is_sure = false;
    assert_eq!(told(&example), [json!(false), json!(false)]);
}

/// The example with so many call sites, each with its own words.
fn with_sites(number: u32, words: usize) -> Example {
    let mut example = with_course();
    let first: Site = example.analysis.sites[0].clone();
    for at in 0..number {
        let mut site = first.clone();
        let mut state = u64::from(at) + 1;
        let word = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            format!("{state:016x} ")
        };
        site.evidence.text = (0..words).map(word).collect();
        example.analysis.sites.push(site);
    }
    example
}

#[test]
fn five_thousand_call_sites_fit() {
    let page = printed(&with_sites(5_000, 8));
    assert!(page.len() < MOST, "{}", page.len());
    let data = unpacked(&page);
    assert_eq!(data["sites"].as_array().unwrap().len(), 5_000);
}

#[test]
fn what_does_not_fit_is_said() {
    let most = script().len() + 500_000;
    let example = with_sites(800, 100);
    let page = example.print(
        &Options::default(),
        |facts, analysis, sites, symbolizer, options, out| {
            within(most, facts, analysis, sites, symbolizer, options, out)
        },
    );
    assert!(page.len() < most, "{}", page.len());
    let data = unpacked(&page);
    let rows = data["sites"].as_array().unwrap();
    let without = rows.iter().filter(|row| row["evidence"].is_null()).count();
    let left = &data["left_out"];
    assert!(without >= 400 && left["sites"] == 0, "{left}");
    assert!(left["details"].as_u64().unwrap() >= 400, "{left}");
}

#[test]
fn a_million_requests_take_little_room() {
    let mut example = with_course();
    let first = example.analysis.requests[0].clone();
    let duration = example.facts.duration_ns;
    example.analysis.requests = (0..1_200_000)
        .map(|at| {
            let mut request = first.clone();
            request.start_ns = duration * at / 1_200_000;
            request.retained_bytes = at;
            request
        })
        .collect();
    let page = printed(&example);
    assert!(page.len() < 1_000_000, "{}", page.len());
    let data = unpacked(&page);
    assert_eq!(data["leaking_requests"].as_array().unwrap().len(), 4_000);
    assert_eq!(data["left_out"]["leaking_requests"], 1_196_000);
}

#[test]
fn a_program_without_requests_has_a_page() {
    let page = printed(&example::plain());
    let data = unpacked(&page);
    assert_eq!(data["endpoints"], json!([]));
    assert!(!data["sites"].as_array().unwrap().is_empty());
    assert!(page.contains("No requests were seen"));
}
