//! The result of an analysis, as data: what every report prints. Sites stand by id; the report joins
//! them with symbols. Field names and meanings are those of the JSON schema.

pub mod course;
pub mod early;
mod endpoint;
mod growth;
pub mod memory;
mod process;
mod request;
mod site;
mod traffic;
mod unseen;
mod verdict;
pub mod views;

use crate::asked::AskedFor;
pub use endpoint::{Apart, Endpoint, Fact, Figure, Hidden, StatusFigures, Tell};
pub use growth::{Growth, Outlook, Pace};
pub use process::{Collections, Outside, Ownership, ProcessFigures, TimelinePoint, Totals};
pub use request::{Request, Source};
pub use site::{Site, SiteCell, SiteGroup, SiteLabel, SiteOpen, TypeRow};
pub use traffic::{Octets, Traffic};
pub use unseen::{Carved, UnseenConnections, Untraced};
pub use verdict::{Evidence, LifeRow, Verdict};

/// What an analysis found.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    /// When memory runs out, and whether it did.
    pub outlook: Outlook,
    /// What resident memory is made of.
    pub memory: memory::Memory,
    /// By process, in order of their start.
    pub processes: Vec<ProcessFigures>,
    /// Over all processes.
    pub totals: Totals,
    /// What became of the memory while it served.
    pub growth: Growth,
    /// Live bytes and RSS over time, at most a few hundred points for each process.
    pub timeline: Vec<TimelinePoint>,
    /// All requests, in order of their begin.
    pub requests: Vec<Request>,
    /// What each of them asked for, where that was kept.
    pub asked: AskedFor,
    /// By label, the worst first (verdict, then retained bytes).
    pub endpoints: Vec<Endpoint>,
    /// Every site with survivors, retained, live or outside blocks, the worst first.
    pub sites: Vec<Site>,
    /// Which sources gave requests: `http`, `turn`, `mark`, `connection`.
    pub boundaries: Vec<Source>,
    /// Connections whose requests can't be told apart.
    pub unseen: Vec<UnseenConnections>,
    /// Libraries that map memory past what is traced, the most first.
    pub untraced: Vec<Untraced>,
    /// Modules that map memory to give out parts of it, and grow, the most first.
    pub carved: Vec<Carved>,
    /// More to say, found while analysing (for example that labels were folded into `{other}`).
    pub warnings: Vec<crate::trace::Warning>,
    /// What the blocks of all sites are, the most bytes first.
    pub types: Vec<TypeRow>,
    /// Events that were replayed.
    pub events: u64,
    /// What happened when; `None`: nobody asked.
    pub course: Option<course::Course>,
}

impl Analysis {
    /// Bytes that grew outside requests, where that goes on; `None`: nothing does.
    pub fn grown_outside(&self) -> Option<u64> {
        let growing = self.sites.iter();
        let growing = growing.filter(|site| site.outside_verdict.leaks());
        let bytes = growing.map(|site| site.outside_grown.bytes);
        bytes.reduce(|sum, bytes| sum + bytes)
    }
}
