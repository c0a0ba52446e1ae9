//! A trace that is followed: what was read of it, replayed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::analyze::{self, Boundary};
use crate::sites::Sites;
use crate::trace::{Error, Facts, Follow, Grown};
use crate::watch::replay::Replay;
use crate::watch::standing::Standing;

/// How far a trace was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// There is more to be read at once.
    More,
    /// All that is whole was read.
    Now,
    /// Nothing more will come.
    End,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Live {
    path: PathBuf,
    options: analyze::Options,
    mark: Option<String>,
    follow: Follow,
    pub(super) sites: Sites,
    pub(super) replay: Replay,
}

impl Live {
    /// Begins to follow the trace at `path`; marks called `mark` are no requests.
    ///
    /// # Errors
    /// [`Error`]: what the file is instead.
    pub(super) fn open(
        path: &Path,
        options: &analyze::Options,
        mark: Option<String>,
    ) -> Result<Live, Error> {
        let mut follow = Follow::open(path)?;
        // The first chunk says how blocks are counted.
        follow.read()?;
        let replay = Replay::new(follow.facts(), options, mark.clone());
        Ok(Live {
            path: path.to_path_buf(),
            options: options.clone(),
            mark,
            follow,
            sites: Sites::default(),
            replay,
        })
    }

    pub(super) fn facts(&self) -> &Facts {
        self.follow.facts()
    }

    /// The part of the file that was read, from 0 to 1.
    pub(super) fn part(&self) -> f64 {
        let (read, all) = self.follow.progress();
        read as f64 / all.max(1) as f64
    }

    /// Whether all up to so many nanoseconds since the trace's start is here.
    pub(super) fn is_whole(&self, ns: u64) -> bool {
        self.follow.whole_ns().is_none_or(|whole| whole >= ns)
    }

    /// How things stand.
    pub(super) fn standing(&mut self) -> Standing {
        self.replay.standing(self.follow.facts())
    }

    /// Reads on, until `deadline` at the latest.
    ///
    /// # Errors
    /// [`Error`]: the file can't be read.
    pub(super) fn read_on(&mut self, deadline: Instant) -> Result<Reached, Error> {
        loop {
            let (replay, sites) = (&mut self.replay, &mut self.sites);
            self.follow
                .merge(sites, |steps, facts| replay.take(steps, facts))?;
            if self.replay.wants_marks() {
                self.begin_with_marks()?;
                continue;
            }
            match self.follow.read()? {
                Grown::More if Instant::now() < deadline => {}
                Grown::More => return Ok(Reached::More),
                Grown::Waits => return Ok(Reached::Now),
                Grown::Ended => {
                    let (replay, sites) = (&mut self.replay, &mut self.sites);
                    self.follow
                        .merge(sites, |steps, facts| replay.take(steps, facts))?;
                    return Ok(Reached::End);
                }
            }
        }
    }

    /// There are marks: they alone are the requests, from the beginning. What was seen before is not compared with.
    fn begin_with_marks(&mut self) -> Result<(), Error> {
        self.options.boundary = Boundary::Mark;
        *self = Live::open(&self.path, &self.options, self.mark.take())?;
        Ok(())
    }
}
