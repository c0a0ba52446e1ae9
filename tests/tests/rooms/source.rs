//! A file of Rust as tokens, as far as imports need them: without comments, literals and what is compiled for tests
//! alone.

use std::iter::Peekable;
use std::str::Chars;

/// Names, `::`, and single other letters.
pub(crate) type Token = String;

/// What a file consists of, and the modules that it declares for tests alone.
pub(crate) struct Source {
    pub(crate) tokens: Vec<Token>,
    pub(crate) test_modules: Vec<String>,
}

impl Source {
    pub(crate) fn of(text: &str) -> Source {
        let mut source = Source {
            tokens: Vec::new(),
            test_modules: Vec::new(),
        };
        let tokens = tokens(text);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match after_test_attribute(&tokens[at..]) {
                Some(item) => {
                    let item = at + item;
                    let end = item + length_of_item(&tokens[item..]);
                    let mut words = tokens[item..end].iter();
                    if words.any(|word| word == "mod") && tokens[end - 1] == ";" {
                        source.test_modules.extend(words.next().cloned());
                    }
                    at = end;
                }
                None => {
                    source.tokens.push(token.clone());
                    at += 1;
                }
            }
        }
        source
    }
}

/// Where the item begins whose attributes these tokens begin with, if one of them is `cfg(test)` or `cfg(all(test, ..))`.
fn after_test_attribute(tokens: &[Token]) -> Option<usize> {
    let (mut at, mut is_for_tests) = (0, false);
    while let [hash, open, ..] = &tokens[at..]
        && hash == "#"
        && open == "["
    {
        let end = at + 1 + length_of_group(&tokens[at + 1..]);
        let inner: String = tokens[at + 2..end - 1].concat();
        is_for_tests |= inner == "cfg(test)" || inner.starts_with("cfg(all(test,");
        at = end;
    }
    is_for_tests.then_some(at)
}

/// An item ends with its first block, or with a semicolon before.
fn length_of_item(tokens: &[Token]) -> usize {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            ";" => return at + 1,
            "{" => return at + length_of_group(&tokens[at..]),
            "(" | "[" => at += length_of_group(&tokens[at..]),
            _ => at += 1,
        }
    }
    tokens.len()
}

/// Tokens from an opening bracket to its closing one.
pub(crate) fn length_of_group(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        match (letter, next) {
            ('/', Some('/')) => while letters.next_if(|letter| *letter != '\n').is_some() {},
            ('/', Some('*')) => skip_comment(&mut letters),
            ('"', _) => skip_string(&mut letters),
            ('r', Some('"' | '#')) => skip_raw_string(&mut letters),
            ('\'', _) => skip_letter(&mut letters),
            (':', Some(':')) => {
                letters.next();
                tokens.push("::".into());
            }
            _ if is_of_name(letter) => {
                let mut name = Token::from(letter);
                while let Some(more) = letters.next_if(|letter| is_of_name(*letter)) {
                    name.push(more);
                }
                match letters.peek() {
                    // A string with a prefix: `b"`, `c"`.
                    Some('"') if name.len() == 1 => {}
                    Some('"' | '#') if name == "br" || name == "cr" => {
                        skip_raw_string(&mut letters);
                    }
                    _ => tokens.push(name),
                }
            }
            _ if letter.is_whitespace() => {}
            _ => tokens.push(letter.into()),
        }
    }
    tokens
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn skip_comment(letters: &mut Peekable<Chars<'_>>) {
    let (mut depth, mut before) = (0, '/');
    for letter in letters.by_ref() {
        match (before, letter) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                before = letter;
                continue;
            }
        }
        if depth == 0 {
            return;
        }
        before = ' ';
    }
}

fn skip_string(letters: &mut Peekable<Chars<'_>>) {
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// What comes after the `r` of `r"..."`, `r#"..."#` or `r#name`.
fn skip_raw_string(letters: &mut Peekable<Chars<'_>>) {
    let mut hashes = 0;
    while letters.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if letters.next_if_eq(&'"').is_none() {
        return;
    }
    let mut found = None;
    for letter in letters.by_ref() {
        found = match (letter, found) {
            ('"', _) => Some(0),
            ('#', Some(number)) => Some(number + 1),
            _ => None,
        };
        if found == Some(hashes) {
            return;
        }
    }
}

/// What comes after the `'` of `'x'`, `'\n'`, or a lifetime.
fn skip_letter(letters: &mut Peekable<Chars<'_>>) {
    match letters.next() {
        Some('\\') => {
            letters.next();
            while letters.next().is_some_and(|letter| letter != '\'') {}
        }
        Some(_) if letters.next_if_eq(&'\'').is_some() => {}
        _ => while letters.next_if(|letter| is_of_name(*letter)).is_some() {},
    }
}

#[test]
fn tokens_leave_out_what_is_no_code() {
    let text = r##"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        use crate::e::{f, g as h}; // "
        const TEXT: &str = "crate::i \" crate::j";
        const RAW: &[u8] = br#"crate::k "quoted" crate::l"#;
        fn m<'n>(o: &'n str) -> char { '"' }
        #[cfg(test)]
        use crate::p;
        #[cfg(test)]
        #[path = "q.rs"]
        mod tests;
        #[cfg(all(test, not(loom)))]
        fn r() { crate::s() }
        #[cfg(not(test))]
        mod t;
    "##;
    let source = Source::of(text);
    assert_eq!(source.test_modules, ["tests"]);
    let expected = "use crate :: e :: { f , g as h } ; const TEXT : & str = ; const RAW : & [ u8 ] = ; \
                    fn m < > ( o : & str ) - > char { } # [ cfg ( not ( test ) ) ] mod t ;";
    assert_eq!(source.tokens.join(" "), expected);
}
