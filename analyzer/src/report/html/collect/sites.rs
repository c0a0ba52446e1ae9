//! The rows of call sites.

use super::super::data;
use super::super::data::Evidence;
use super::super::names::Names;
use super::parts::{Limits, is_stack, live, types};
use crate::analysis::course::Course;
use crate::analysis::{Site, Verdict};
use crate::escape::escaped;
use crate::report::frames::Stacks;
use crate::report::{Input, fingerprint};

pub(super) fn sites(
    input: &Input<'_>,
    listed: &[&Site],
    stacks: &mut Stacks<'_, '_, '_>,
    names: &mut Names,
    limits: Limits,
) -> Vec<data::Site> {
    let none = Course::default();
    let course = input.analysis.course.as_ref().unwrap_or(&none);
    let listed = listed.iter().enumerate();
    listed
        .map(|(at, site)| {
            let stack = stacks.of(site.id);
            let (live_blocks, live_bytes) = live(input, site);
            let detailed = at < limits.details;
            data::Site {
                fingerprint: fingerprint(input.sites, site.id),
                verdict: site.verdict.name(),
                python: input.sites.is_python(site.id),
                stack: is_stack(input, site.id),
                requests: site.requests,
                survivor_blocks: site.survivor_blocks,
                survivor_bytes: site.survivor_bytes,
                retained_blocks: site.retained_blocks,
                retained_bytes: site.retained_bytes,
                associated_bytes: site.associated.bytes,
                live_blocks,
                live_bytes,
                head: stack.head(),
                frames: names.frames(&stack),
                labels: labels(site),
                types: types(names, &site.types),
                kept: if detailed { kept(course, site) } else { vec![] },
                lived: if detailed {
                    lived(course, site)
                } else {
                    vec![]
                },
                evidence: (detailed && site.verdict != Verdict::Clean)
                    .then(|| Box::new(evidence(site))),
            }
        })
        .collect()
}

pub(super) fn labels(site: &Site) -> Vec<data::Label> {
    let labels = site.labels.iter();
    labels
        .map(|part| {
            data::Label(
                part.endpoint,
                part.requests,
                part.retained.blocks,
                part.retained.bytes,
                part.associated.bytes,
                part.leaked.bytes,
            )
        })
        .collect()
}

pub(super) fn kept(course: &Course, site: &Site) -> Vec<data::Kept> {
    let first = course.kept.partition_point(|kept| kept.site < site.id);
    let kept = course.kept.iter().skip(first);
    kept.take_while(|kept| kept.site == site.id)
        .map(|kept| {
            data::Kept(
                kept.endpoint,
                kept.status,
                kept.period,
                kept.retained.blocks,
                kept.retained.bytes,
                kept.associated.bytes,
            )
        })
        .collect()
}

fn lived(course: &Course, site: &Site) -> Vec<data::Lived> {
    let first = course.lived.partition_point(|lived| lived.site < site.id);
    let lived = course.lived.iter().skip(first);
    lived
        .take_while(|lived| lived.site == site.id)
        .map(|lived| {
            let amount = lived.amount;
            data::Lived(lived.born, lived.died, amount.blocks, amount.bytes)
        })
        .collect()
}

fn evidence(site: &Site) -> Evidence {
    let evidence = &site.evidence;
    let lives = evidence.lives.iter();
    let open = site.open.iter();
    Evidence {
        text: escaped(&evidence.text).into_owned(),
        sure: evidence.is_sure,
        whose: escaped(&site.whose).into_owned(),
        judged: evidence.requests_judged,
        retaining: evidence.requests_retaining,
        mature: evidence.mature_requests,
        typical_life: evidence.typical_life_requests,
        trend: evidence.trend,
        needed: evidence.requests_needed,
        lives: lives
            .map(|row| [row.up_to_requests, row.freed, row.alive])
            .collect(),
        live_by_slice: evidence.live_bytes_by_slice.clone(),
        retained_by_slice: evidence.retained_bytes_by_slice.clone(),
        groups: groups(site),
        outside_verdict: site.outside_verdict.name(),
        outside_text: escaped(&site.outside_text).into_owned(),
        outside_bytes: site.outside_bytes,
        open: open
            .map(|open| {
                let text = escaped(&open.text).into_owned();
                let (requests, bytes) = (open.requests, open.live.bytes);
                data::Open(open.endpoint, requests, bytes, open.verdict.name(), text)
            })
            .collect(),
    }
}

fn groups(site: &Site) -> Vec<data::Group> {
    let groups = site.groups.iter();
    groups
        .map(|group| {
            let text = escaped(&group.text).into_owned();
            data::Group(group.endpoint, group.status, group.verdict.name(), text)
        })
        .collect()
}
