//! What was found, each in one line.

use serde_json::{Value, json};

use crate::escape::escaped;

/// How bad it is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// The program can't be traced.
    Cant,
    /// It can, and something will not be seen, or could be better.
    Note,
    /// As it should be.
    Ok,
}

impl Level {
    /// As it is printed.
    fn word(self) -> &'static str {
        match self {
            Level::Cant => "can't",
            Level::Note => "note",
            Level::Ok => "ok",
        }
    }

    /// As programs read it.
    fn name(self) -> &'static str {
        match self {
            Level::Cant => "cant",
            Level::Note => "note",
            Level::Ok => "ok",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    subject: &'static str,
    text: String,
    /// What to do; empty where all is well.
    todo: String,
}

/// All that was found, in the order in which it was looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// The program can't be traced; `todo` is what to do.
    pub(super) fn cant(
        &mut self,
        subject: &'static str,
        text: impl Into<String>,
        todo: impl Into<String>,
    ) {
        self.add(Level::Cant, subject, text.into(), todo.into());
    }

    /// Something will not be seen, or could be better; `todo` is what to do.
    pub(super) fn note(
        &mut self,
        subject: &'static str,
        text: impl Into<String>,
        todo: impl Into<String>,
    ) {
        self.add(Level::Note, subject, text.into(), todo.into());
    }

    /// All is well.
    pub(super) fn ok(&mut self, subject: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, subject, text.into(), String::new());
    }

    /// All is well, and there is something to do.
    pub(super) fn ready(
        &mut self,
        subject: &'static str,
        text: impl Into<String>,
        todo: impl Into<String>,
    ) {
        self.add(Level::Ok, subject, text.into(), todo.into());
    }

    fn add(&mut self, level: Level, subject: &'static str, text: String, todo: String) {
        self.0.push(Finding {
            level,
            subject,
            text,
            todo,
        });
    }

    /// Whether nothing is in the way.
    pub(super) fn can_be_traced(&self) -> bool {
        self.0.iter().all(|finding| finding.level != Level::Cant)
    }

    /// The worst first.
    fn sorted(&self) -> Vec<&Finding> {
        let mut sorted: Vec<&Finding> = self.0.iter().collect();
        sorted.sort_by_key(|finding| finding.level);
        sorted
    }

    /// For people.
    pub(super) fn lines(&self) -> String {
        let line = |finding: &&Finding| {
            let (level, subject) = (finding.level.word(), finding.subject);
            let rest = match finding.todo.as_str() {
                "" => finding.text.clone(),
                todo => format!("{}; {todo}", finding.text),
            };
            format!("{level:<6} {subject:<11} {}\n", escaped(&rest))
        };
        self.sorted().iter().map(line).collect()
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let one = |finding: &&Finding| {
            json!({
                "level": finding.level.name(),
                "subject": finding.subject,
                "text": finding.text,
                "to_do": (!finding.todo.is_empty()).then_some(&finding.todo),
            })
        };
        let findings: Vec<Value> = self.sorted().iter().map(one).collect();
        json!({
            "can_be_traced": self.can_be_traced(),
            "findings": findings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_a_line_stays_a_line() {
        let mut findings = Findings::default();
        findings.ok("program", "x86_64");
        findings.note("symbols", "none", "build it with -g");
        assert!(findings.can_be_traced());
        findings.cant("program", "a\nb is none", "name another");
        findings.note("python", "none", "go on");
        assert!(!findings.can_be_traced());
        assert_eq!(
            findings.lines(),
            "can't  program     a\\nb is none; name another\n\
             note   symbols     none; build it with -g\n\
             note   python      none; go on\n\
             ok     program     x86_64\n"
        );
        let json = findings.json();
        assert_eq!(json["can_be_traced"], false);
        assert_eq!(json["findings"][3]["to_do"], Value::Null);
    }
}
