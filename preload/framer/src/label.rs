//! The only text that leaves the framer.

/// The most bytes that a label has.
pub const LABEL_MAX: usize = 256;

/// A label in the making: printable ASCII, cut at [`LABEL_MAX`].
#[derive(Clone, Copy)]
pub(crate) struct Label {
    bytes: [u8; LABEL_MAX],
    len: usize,
}

impl Label {
    pub(crate) const EMPTY: Label = Label {
        bytes: [0; LABEL_MAX],
        len: 0,
    };

    /// A protocol's verb; upper-cased if `upper`, empty where it does not look like one.
    pub(crate) fn verb(verb: &[u8], upper: bool) -> Label {
        let mut label = Label::EMPTY;
        let plausible = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.');
        if verb.len() <= 32 && verb.iter().all(plausible) {
            for byte in verb {
                label.push(&[if upper {
                    byte.to_ascii_uppercase()
                } else {
                    *byte
                }]);
            }
        }
        label
    }

    /// `METHOD /path` of a request line: no query, no fragment, no host, nothing unprintable.
    pub(crate) fn http(method: &[u8], target: &[u8]) -> Label {
        let mut label = Label::EMPTY;
        label.escaped(method);
        if label.push(b" ") {
            label.escaped(path(target));
        }
        label
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Appends all of `bytes` or none of them.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.len + bytes.len();
        match self.bytes.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
                true
            }
            None => false,
        }
    }

    fn escaped(&mut self, bytes: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        for byte in bytes {
            let fits = if byte.is_ascii_graphic() {
                self.push(&[*byte])
            } else {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                self.push(&[b'%', digit(byte >> 4), digit(byte & 15)])
            };
            if !fits {
                return;
            }
        }
    }
}

/// The path of a request target; an authority (CONNECT) and `*` stand for themselves.
fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let target = target.get(..end.unwrap_or(target.len())).unwrap_or(target);
    let Some(scheme) = target.windows(3).position(|three| three == b"://") else {
        return target;
    };
    if target.first() == Some(&b'/') {
        return target;
    }
    let rest = target.get(scheme + 3..).unwrap_or(&[]);
    match rest.iter().position(|byte| *byte == b'/') {
        Some(slash) => rest.get(slash..).unwrap_or(b"/"),
        None => b"/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn http(method: &str, target: &str) -> String {
        let label = Label::http(method.as_bytes(), target.as_bytes());
        String::from_utf8(label.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn of_a_target_only_the_path_is_kept() {
        assert_eq!(http("GET", "/"), "GET /");
        assert_eq!(http("GET", "/a/b?token=secret#x"), "GET /a/b");
        assert_eq!(http("GET", "/a#x?y"), "GET /a");
        assert_eq!(http("GET", "http://user:pw@host:1/a/b?c"), "GET /a/b");
        assert_eq!(http("GET", "http://host?c=/d"), "GET /");
        assert_eq!(http("GET", "/see/http://x/y"), "GET /see/http://x/y");
        assert_eq!(http("OPTIONS", "*"), "OPTIONS *");
        assert_eq!(http("CONNECT", "host:443"), "CONNECT host:443");
    }

    #[test]
    fn what_is_not_printable_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(http("GET", "/\u{1b}[31m\u{e9}"), "GET /%1B[31m%C3%A9");
        let long = String::from_utf8(std::vec![b'a'; 1000]).unwrap();
        assert_eq!(http("GET", &long).len(), LABEL_MAX);
        let tail = String::from_utf8(std::vec![b'a'; LABEL_MAX - 6]).unwrap() + "\u{1}";
        assert_eq!(http("GET", &tail).len(), LABEL_MAX - 2);
    }

    #[test]
    fn a_verb_is_letters() {
        assert_eq!(Label::verb(b"set", true).as_bytes(), b"SET");
        assert_eq!(Label::verb(b"set", false).as_bytes(), b"set");
        assert_eq!(Label::verb(b"json.get", true).as_bytes(), b"JSON.GET");
        assert_eq!(Label::verb(b"hunter2", true).as_bytes(), b"");
        assert_eq!(Label::verb(&[b'a'; 33], true).as_bytes(), b"");
    }
}
