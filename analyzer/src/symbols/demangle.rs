//! Names: demangled in full for programs, cut short for people.

use cpp_demangle::{DemangleOptions, Symbol};

/// Arguments in angle brackets that are longer than this are cut.
const MOST_ARGUMENTS: usize = 40;
/// Template arguments that only say how, not what; they have defaults.
const DEFAULTS: [&str; 6] = [
    "std::allocator<",
    "std::char_traits<",
    "std::default_delete<",
    "std::less<",
    "std::equal_to<",
    "std::hash<",
];

/// The whole name, without a Rust symbol's hash.
pub fn full(name: &str) -> String {
    demangle(name, &DemangleOptions::default())
}

/// The name as a person would say it: no parameters, no return type, template arguments cut short.
pub fn short(name: &str) -> String {
    let options = DemangleOptions::default().no_params().no_return_type();
    shorten(&demangle(name, &options))
}

fn demangle(name: &str, options: &DemangleOptions) -> String {
    // glibc's own names for what it calls itself.
    let name = name.strip_prefix("__GI_").unwrap_or(name);
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    let cpp = Symbol::new(name).ok();
    cpp.and_then(|symbol| symbol.demangle_with_options(options).ok())
        .unwrap_or_else(|| name.to_owned())
}

/// Cuts what stands in angle brackets down to the last parts of its names.
fn shorten(name: &str) -> String {
    let name = name
        .replace("std::__cxx11::", "std::")
        .replace("std::__1::", "std::");
    let mut out = String::with_capacity(name.len());
    let mut rest = name.as_str();
    while let Some(open) = rest.find('<') {
        let (before, from_open) = rest.split_at(open);
        out.push_str(before);
        if before.ends_with("operator") {
            // operator<, operator<<, operator<=: no brackets; arguments come after a blank.
            let end = from_open
                .find(|c| c != '<' && c != '=')
                .unwrap_or(from_open.len());
            let (operator, after) = from_open.split_at(end);
            out.push_str(operator);
            rest = after;
            continue;
        }
        let Some(length) = closing(from_open) else {
            rest = from_open;
            break;
        };
        let (inside, after) = from_open.split_at(length);
        out.push('<');
        out.push_str(&arguments(inside.get(1..).unwrap_or_default()));
        out.push('>');
        rest = after.strip_prefix('>').unwrap_or(after);
    }
    out.push_str(rest);
    out.replace("std::basic_string<char>", "std::string")
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if previous != '-' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        previous = c;
    }
    None
}

fn arguments(inside: &str) -> String {
    let kept: Vec<String> = split(inside)
        .into_iter()
        .map(str::trim)
        .filter(|argument| !DEFAULTS.iter().any(|default| argument.starts_with(default)))
        .map(|argument| match argument.split_once(" as ") {
            // Rust: <Type as Trait>
            Some((of, what)) => format!("{} as {}", last_part(of), last_part(what)),
            None => last_part(argument),
        })
        .collect();
    let joined = kept.join(", ");
    match joined.chars().count() > MOST_ARGUMENTS {
        true => "…".to_owned(),
        false => joined,
    }
}

/// Splits at the commas that stand in no brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0_i32;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// `alloc::vec::Vec<alloc::string::String>` → `Vec<String>`.
fn last_part(name: &str) -> String {
    let short = shorten(name);
    let mut depth = 0_i32;
    let mut start = 0;
    let mut previous = ' ';
    for (at, c) in short.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth -= 1,
            ':' if previous == ':' && depth == 0 => start = at + 1,
            _ => {}
        }
        previous = c;
    }
    let sigil_end = short
        .find(|c: char| !matches!(c, '&' | '*'))
        .unwrap_or_default();
    let sigil = short.get(..sigil_end.min(start)).unwrap_or_default();
    format!("{sigil}{}", short.get(start..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_names_stay() {
        assert_eq!(full("handle_request"), "handle_request");
        assert_eq!(short("handle_request"), "handle_request");
        assert_eq!(short("_Zwrong"), "_Zwrong");
        assert_eq!(full("__GI___libc_malloc"), "__libc_malloc");
    }

    #[test]
    fn cpp_names() {
        let name = "_ZNSt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESaIS5_EE9push_backEOS5_";
        assert_eq!(short(name), "std::vector<string>::push_back");
        assert!(full(name).contains("push_back(std::"));
        assert_eq!(short("_Znwm"), "operator new");
        assert_eq!(full("_Znwm"), "operator new(unsigned long)");
        assert_eq!(
            short("_ZN3app7Session6handleERKNS_7RequestE"),
            "app::Session::handle"
        );
        assert_eq!(
            short("_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc"),
            "std::operator<< <>"
        );
    }

    #[test]
    fn rust_names() {
        assert_eq!(
            full("_ZN4core3ptr13drop_in_place17h0123456789abcdefE"),
            "core::ptr::drop_in_place"
        );
        assert_eq!(
            short(
                "_ZN70_$LT$alloc..vec..Vec$LT$T$C$A$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE"
            ),
            "<Vec<T, A> as Drop>::drop"
        );
        assert_eq!(short("_RNvNtCs1234_7mycrate3foo3bar"), "mycrate::foo::bar");
    }

    #[test]
    fn long_arguments_are_cut() {
        assert_eq!(shorten("f<a::Long<b::C>, d::E>::g"), "f<Long<C>, E>::g");
        let long = "f<AVeryLongArgumentIndeed, AnotherVeryLongArgument>";
        assert_eq!(shorten(long), "f<…>");
        assert_eq!(shorten("f<fn(int) -> a::B>"), "f<fn(int) -> a::B>");
        assert_eq!(shorten("f<&a::B>"), "f<&B>");
        assert_eq!(shorten("broken<a"), "broken<a");
    }
}
