//! The report's call sites that belong to one function.

use serde_json::Value;

use crate::endpoint::Family;

/// The function whose blocks no request made.
pub(crate) const BACKGROUND: &str = "keep_background";
/// All that keep, where no name tells them apart.
pub(crate) const ALL: &str = "kept";

/// Sizes of the blocks of a Python object that is kept; a list's array is neither.
const OF_OBJECTS: [u64; 2] = [48, 100];

/// The sites of `function`.
pub(crate) fn of<'a>(
    report: &'a Value,
    family: Family,
    function: &'a str,
) -> impl Iterator<Item = &'a Value> {
    let sites = report["sites"].as_array().map_or(&[][..], Vec::as_slice);
    sites.iter().filter(move |site| match family {
        Family::Native => calls(site, function),
        Family::Python => OF_OBJECTS.contains(&size(site)) && calls(site, function),
        // Twice a size of the kept ones is none of theirs; a site of several sizes lies between.
        Family::Managed => (5000..=6700).contains(&size(site)),
    })
}

/// The mean size of the blocks.
fn size(site: &Value) -> u64 {
    let of = |prefix: &str| {
        let number = |kind: &str| {
            site[format!("{prefix}_{kind}")]
                .as_u64()
                .unwrap_or_default()
        };
        number("bytes").checked_div(number("blocks"))
    };
    of("live").or_else(|| of("retained")).unwrap_or_default()
}

fn calls(site: &Value, function: &str) -> bool {
    let frames = ["frames", "python_frames"].map(|name| site[name].as_array());
    let mut frames = frames.into_iter().flatten().flatten();
    frames.any(|frame| is_named(frame["function"].as_str().unwrap_or_default(), function))
}

/// Whether `name`, which may have a path before it and arguments or a compiler's suffix after it, is `function`.
fn is_named(name: &str, function: &str) -> bool {
    let mut words = name.split(|sign: char| !sign.is_alphanumeric() && sign != '_');
    words.any(|word| word == function)
}
