//! What can become of a leak.

/// What became of it, the news first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It leaks, and did not.
    New,
    /// It leaks more.
    Worse,
    /// It leaked, and does not.
    Fixed,
    /// It leaks less.
    Better,
    /// It can't be told.
    NotComparable,
    /// As it was.
    Same,
}

impl State {
    /// All, in order.
    pub const ALL: [State; 6] = [
        State::New,
        State::Worse,
        State::Fixed,
        State::Better,
        State::NotComparable,
        State::Same,
    ];

    /// Its name in the JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            State::New => "new",
            State::Worse => "worse",
            State::NotComparable => "not_comparable",
            State::Fixed => "fixed",
            State::Better => "better",
            State::Same => "same",
        }
    }

    /// The same in words.
    pub fn words(self) -> &'static str {
        match self {
            State::NotComparable => "not comparable",
            other => other.name(),
        }
    }
}
