//! How much worse would fit what others had made: any of the requests, as many blocks, or a clock. Simulated on the
//! requests as they were.

use super::super::dice::Dice;
use super::left::{Left, Piece};
use super::requests::Requests;
use super::serve::{Claim, serve};

/// What others make has a deficit so many standard deviations larger (by chance: one in 300,000) ...
const APART: f64 = 4.5;
/// ... of as many worlds in which they do.
pub(super) const WORLDS: u64 = 24;

/// Whether that is so of a deficit among these requests. `lots`: see [`Left::lots`].
pub(super) fn is_apart(
    requests: &Requests<'_>,
    left: &Left,
    (claims, lots): (&[Claim], &[u64]),
    deficit: u64,
) -> bool {
    let must = claims.iter().filter(|claim| claim.must);
    let made: Vec<u64> = must.map(|claim| claim.wants).collect();
    let total: u64 = made.iter().sum();
    if requests.ended.is_empty() {
        return false;
    }
    // What was found is of as many blocks as these.
    let deficit = deficit as f64 * total as f64 / left.blocks.max(1) as f64;
    // The fewer there are, the coarser is what can be seen of the deviation.
    let each = total as f64 / made.len().max(1) as f64;
    let mut dice = Dice(left.blocks);
    let mut is_apart = |world: &dyn Fn(&mut Dice) -> Vec<Piece>| {
        let deficits: Vec<f64> = (0..WORLDS)
            .map(|_| {
                let mut pieces = world(&mut dice);
                pieces.sort_by_key(|piece| (piece.process, piece.born));
                serve(&pieces, (claims, lots), |_, _, _| {}) as f64
            })
            .collect();
        let mean = deficits.iter().sum::<f64>() / WORLDS as f64;
        let squares = deficits.iter().map(|deficit| (deficit - mean).powi(2));
        let deviation = (squares.sum::<f64>() / WORLDS as f64).sqrt();
        mean - deficit >= APART * deviation.max(each)
    };
    let any = |dice: &mut Dice| {
        made.iter()
            .map(|blocks| by_any(requests, *blocks, dice))
            .collect()
    };
    is_apart(&any) && is_apart(&|dice| by_clock(left, &made, dice))
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
