//! How what leaking requests left came to be: a little curve for each endpoint.

use crate::analysis::{Analysis, Endpoint};

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The curves of all endpoints, by their index: blocks that requests left at call sites that leak, up to each of so
/// many moments.
pub(super) struct Curves {
    from: u64,
    to: u64,
    curves: Vec<Vec<u64>>,
}

impl Curves {
    /// `None` where no time went by.
    pub(super) fn new(analysis: &Analysis, columns: usize) -> Option<Curves> {
        let requests = || analysis.requests.iter();
        let from = requests().map(|request| request.start_ns).min()?;
        let to = requests().filter_map(|request| request.end_ns).max()?;
        if to <= from || columns == 0 {
            return None;
        }
        let mut curves = vec![Vec::new(); analysis.endpoints.len()];
        for request in requests().filter(|request| request.leaking_blocks > 0) {
            let Some(curve) = curves.get_mut(request.endpoint as usize) else {
                continue;
            };
            curve.resize(columns, 0);
            let end = request.end_ns.unwrap_or(to).clamp(from, to);
            let place = u128::from(end - from) * columns as u128 / (u128::from(to - from) + 1);
            curve[place as usize] += request.leaking_blocks;
        }
        for curve in &mut curves {
            let mut sum = 0;
            for value in curve {
                sum += *value;
                *value = sum;
            }
        }
        Some(Curves { from, to, curves })
    }

    /// How long requests were served.
    pub(super) fn span_ns(&self) -> u64 {
        self.to - self.from
    }

    /// An endpoint's, drawn; empty where it is not known which of its requests leak.
    pub(super) fn of(&self, analysis: &Analysis, endpoint: &Endpoint) -> String {
        let mut endpoints = analysis.endpoints.iter();
        let at = endpoints.position(|one| std::ptr::eq(one, endpoint));
        let curve = at.and_then(|at| self.curves.get(at));
        curve.map_or_else(String::new, |curve| drawn(curve))
    }
}

fn drawn(curve: &[u64]) -> String {
    let most = curve.last().copied().unwrap_or(0).max(1);
    let level = |value: &u64| {
        let level = u128::from(*value) * (LEVELS.len() as u128 - 1) / u128::from(most);
        LEVELS[level as usize]
    };
    curve.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::drawn;

    #[test]
    fn a_curve_ends_at_its_highest() {
        assert_eq!(drawn(&[0, 1, 2, 3, 4, 5, 6, 7]), "▁▂▃▄▅▆▇█");
        assert_eq!(drawn(&[0, 0, 9]), "▁▁█");
        assert_eq!(drawn(&[u64::MAX]), "█");
    }
}
