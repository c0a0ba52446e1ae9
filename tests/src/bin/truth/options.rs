//! The command line.

/// How it is used.
pub(crate) const USAGE: &str = "usage: truth [--quick] [--only TEXT] [--connections N] [--seed N] [--in-turn] [--keep] [--shapes]
  --quick          some shapes, within a minute, into target/truth; else into tests/truth, where results are kept
  --only TEXT      the shape of that name, or else those with TEXT in their names, into target/truth
  --connections N  with so many connections; else with 1, 2, 8 and 32
  --seed N         another order of the requests; 1 if not given
  --in-turn        asks for the endpoints one after the other, again and again, as simple drivers do; else in a random
                   order
  --keep           keeps each row's trace and report in target/truth
  --shapes         lists the shapes
Exits with 1 where a row misses its goals. LEAK_TESTS_PROFILE names the directory with the libleak.so and the
leak-analyze to judge; else they are those of the build that this program belongs to.";

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Less of everything.
    pub(crate) quick: bool,
    /// Part of the shapes' names.
    pub(crate) only: Option<String>,
    /// Instead of the usual numbers of connections.
    pub(crate) connections: Option<usize>,
    /// Decides the order of the requests.
    pub(crate) seed: u64,
    /// The endpoints in turn, instead of in a random order.
    pub(crate) in_turn: bool,
    /// Whether traces and reports stay.
    pub(crate) keep: bool,
    /// Only list the shapes.
    pub(crate) shapes: bool,
}

impl Options {
    /// Those of this process; `None` where they can't be used.
    pub(crate) fn read() -> Option<Options> {
        let mut options = Options {
            seed: 1,
            ..Options::default()
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--in-turn" => options.in_turn = true,
                "--keep" => options.keep = true,
                "--shapes" => options.shapes = true,
                "--only" => options.only = Some(arguments.next()?),
                "--seed" => options.seed = arguments.next()?.parse().ok()?,
                "--connections" => {
                    let number = arguments.next()?.parse().ok();
                    options.connections = Some(number.filter(|number| *number > 0)?);
                }
                _ => return None,
            }
        }
        Some(options)
    }

    /// Whether everything is run, so that the results are worth keeping.
    pub(crate) fn is_whole(&self) -> bool {
        !self.quick && self.only.is_none() && self.connections.is_none() && !self.in_turn
    }
}
