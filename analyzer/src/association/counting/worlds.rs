//! How much worse would fit what others had made: any of the requests, as many blocks, or a clock, or those of another
//! label, later or sooner. Simulated on the requests as they were.
//!
//! Where traffic has an order, another label's requests come in step with those that fit, and what they leave after their
//! answer comes when the others are in flight. The first of them then made the first blocks, and so on; that they came
//! just so long after each is chance. With these times in another order the blocks fit no better or worse, if they are the
//! other label's; and far worse, if they are not, as they then follow the other requests only by their number.

use super::super::dice::Dice;
use super::left::{Left, Piece};
use super::requests::Requests;
use super::serve::{Claim, serve};

/// What others make has a deficit so many standard deviations larger (by chance: one in 300,000) ...
const APART: f64 = 4.5;
/// ... of as many worlds in which they do.
pub(super) const WORLDS: u64 = 24;

/// A deficit that was found, and what it was found among.
pub(super) struct Found<'f> {
    pub(super) requests: &'f Requests<'f>,
    pub(super) left: &'f Left,
    /// The requests that fit.
    pub(super) claims: &'f [Claim],
    /// See [`Left::lots`].
    pub(super) lots: &'f [u64],
    pub(super) deficit: u64,
}

impl Found<'_> {
    /// Whether what any requests make, or a clock, would fit far worse.
    pub(super) fn is_apart(&self) -> bool {
        let wanted = self.claims.iter().filter(|claim| claim.must);
        let made: Vec<u64> = wanted.map(|claim| claim.wants).collect();
        if self.requests.ended.is_empty() {
            return false;
        }
        let any = |dice: &mut Dice| {
            made.iter()
                .map(|blocks| by_any(self.requests, *blocks, dice))
                .collect()
        };
        self.is_apart_from(&any) && self.is_apart_from(&|dice| by_clock(self.left, &made, dice))
    }

    /// Whether what another label's requests make, as long after their begin as these blocks would have come if they had
    /// made them, would fit far worse.
    pub(super) fn is_apart_from_others(&self, others: &[Claim]) -> bool {
        let lags = lags(self.left, others);
        self.is_apart_from(&|dice| by_others(&lags, dice))
    }

    fn is_apart_from(&self, world: &dyn Fn(&mut Dice) -> Vec<Piece>) -> bool {
        let wanted = self.claims.iter().filter(|claim| claim.must);
        let (mut total, mut count) = (0, 0_u64);
        for claim in wanted {
            (total, count) = (total + claim.wants, count + 1);
        }
        // What was found is of as many blocks as these.
        let deficit = self.deficit as f64 * total as f64 / self.left.blocks.max(1) as f64;
        // The fewer there are, the coarser is what can be seen of the deviation.
        let each = total as f64 / count.max(1) as f64;
        let mut dice = Dice(self.left.blocks);
        let deficits: Vec<f64> = (0..WORLDS)
            .map(|_| {
                let mut pieces = world(&mut dice);
                pieces.sort_by_key(|piece| (piece.process, piece.born));
                serve(&pieces, (self.claims, self.lots), |_, _, _| {}) as f64
            })
            .collect();
        let mean = deficits.iter().sum::<f64>() / WORLDS as f64;
        let squares = deficits.iter().map(|deficit| (deficit - mean).powi(2));
        let deviation = (squares.sum::<f64>() / WORLDS as f64).sqrt();
        mean - deficit >= APART * deviation.max(each)
    }
}

/// How long after a request's begin blocks came.
struct Late {
    process: u32,
    from: u64,
    blocks: u64,
    late: i64,
}

/// The requests, each with the blocks that come next in their order: the first of them has the first.
fn lags(left: &Left, requests: &[Claim]) -> Vec<Late> {
    let mut lags = Vec::new();
    for claims in requests.chunk_by(|one, other| one.process == other.process) {
        let process = claims[0].process;
        let first = left.pieces.partition_point(|piece| piece.process < process);
        let from_here = left.pieces[first..].iter();
        let mut pieces = from_here.take_while(|piece| piece.process == process);
        let (mut born, mut rest) = (0, 0);
        for claim in claims {
            while rest < claim.wants
                && let Some(piece) = pieces.next()
            {
                (born, rest) = (piece.born, rest + piece.blocks);
            }
            let blocks = rest.min(claim.wants);
            if blocks == 0 {
                break;
            }
            rest -= blocks;
            lags.push(Late {
                process: claim.process,
                from: claim.from,
                blocks,
                late: born as i64 - claim.from as i64,
            });
        }
    }
    lags
}

/// The same blocks, each as late as another one of its process was.
fn by_others(lags: &[Late], dice: &mut Dice) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for of_process in lags.chunk_by(|one, other| one.process == other.process) {
        let mut late: Vec<i64> = of_process.iter().map(|one| one.late).collect();
        for at in (1..late.len()).rev() {
            late.swap(at, (dice.next() * (at + 1) as f64) as usize % (at + 1));
        }
        pieces.extend(of_process.iter().zip(late).map(|(one, late)| Piece {
            process: one.process,
            born: one.from.saturating_add_signed(late),
            blocks: one.blocks,
        }));
    }
    pieces
}

/// Blocks that some request made, some time.
fn by_any(requests: &Requests<'_>, blocks: u64, dice: &mut Dice) -> Piece {
    let ended = &requests.ended;
    let at = (dice.next() * ended.len() as f64) as usize;
    let record = &requests.records[ended[at.min(ended.len() - 1)] as usize];
    let lasted = record.end.unwrap_or(record.start) - record.start;
    Piece {
        process: record.process,
        born: record.start + (dice.next() * lasted as f64) as u64,
        blocks,
    }
}

/// As many blocks as a clock would have made, in each process, from the first that is left to the last.
fn by_clock(left: &Left, made: &[u64], dice: &mut Dice) -> Vec<Piece> {
    let mut made = made.iter();
    let total = left.pieces.len().max(1);
    let all = made.len();
    let mut pieces = Vec::new();
    for of_process in left
        .pieces
        .chunk_by(|one, other| one.process == other.process)
    {
        let (first, last) = (of_process[0], of_process[of_process.len() - 1]);
        let count = (all * of_process.len()).div_ceil(total);
        let step = (last.born - first.born) as f64 / count.saturating_sub(1).max(1) as f64;
        let phase = dice.next() - 0.5;
        let ticks = (0..count).zip(made.by_ref());
        pieces.extend(ticks.map(|(at, blocks)| Piece {
            process: first.process,
            born: (first.born as f64 + (at as f64 + phase) * step).max(0.0) as u64,
            blocks: *blocks,
        }));
    }
    pieces
}
