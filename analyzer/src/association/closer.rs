//! Which of two requests blocks follow more closely in time.
//!
//! Where traffic has an order, what comes a while after a request's begin comes also a while after another one's end,
//! before or behind it. Only the time since the cause tells all that there is to tell (the data processing
//! inequality): the time since anything else has that one's variance, too, as clients pause, and others take their
//! time. So the cause is the one from which blocks come at the times that are nearest to each other: by their entropy,
//! estimated from the distances of nearest neighbours (Kozachenko and Leonenko, 1987; Kraskov et al., Physical Review E
//! 69, 2004).

/// Neighbour whose distance is taken.
const NEIGHBOUR: usize = 3;
/// So many pairs of times at least tell anything.
const LEAST: usize = 24;
/// Standard errors are so many times those of independent distances: neighbours share theirs.
const SHARED: f64 = 2.0;

/// Whether blocks follow the first of each pair of times more closely than the second, by so many standard errors.
pub(super) fn follows(pairs: &[(u64, u64)], clearly: f64) -> bool {
    if pairs.len() < LEAST {
        return false;
    }
    let own = distances(pairs.iter().map(|pair| pair.0).collect());
    let other = distances(pairs.iter().map(|pair| pair.1).collect());
    let nearer: Vec<f64> = own
        .iter()
        .zip(&other)
        .map(|(own, other)| other - own)
        .collect();
    let count = nearer.len() as f64;
    let mean = nearer.iter().sum::<f64>() / count;
    let squares = nearer.iter().map(|one| (one - mean).powi(2)).sum::<f64>();
    let error = SHARED * (squares / (count - 1.0) / count).sqrt();
    mean > clearly * error
}

/// The logarithm of each time's distance to one of its nearest neighbours.
fn distances(times: Vec<u64>) -> Vec<f64> {
    let mut sorted = times.clone();
    sorted.sort_unstable();
    let distance = |time: &u64| {
        let at = sorted.partition_point(|other| other < time);
        let from = at.saturating_sub(NEIGHBOUR);
        let to = (at + NEIGHBOUR + 1).min(sorted.len());
        let mut near: Vec<u64> = sorted[from..to]
            .iter()
            .map(|other| other.abs_diff(*time))
            .collect();
        near.sort_unstable();
        (near[NEIGHBOUR] as f64 + 1.0).ln()
    };
    times.iter().map(distance).collect()
}

#[cfg(test)]
mod tests {
    use super::super::dice::Dice;
    use super::*;

    /// Times since a cause, and since something that the cause follows after a pause.
    fn pairs(count: usize, pause: f64) -> Vec<(u64, u64)> {
        let mut dice = Dice(1);
        let mut draw = |most: f64| (dice.next() * most) as u64;
        (0..count)
            .map(|_| {
                let since = 500 + draw(100.0);
                (since, since + draw(pause))
            })
            .collect()
    }

    fn swapped(pairs: &[(u64, u64)]) -> Vec<(u64, u64)> {
        pairs.iter().map(|(one, other)| (*other, *one)).collect()
    }

    #[test]
    fn blocks_follow_their_cause() {
        let all = pairs(300, 200.0);
        assert!(follows(&all, 2.5));
        assert!(!follows(&swapped(&all), 0.0));
    }

    #[test]
    fn without_pauses_nothing_tells() {
        let all = pairs(300, 0.0);
        assert!(!follows(&all, 0.0) && !follows(&swapped(&all), 0.0));
        let few = pairs(LEAST - 1, 200.0);
        assert!(!follows(&few, 0.0));
    }
}
