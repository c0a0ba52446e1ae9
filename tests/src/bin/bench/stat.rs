//! What many runs said: the median, and how far the middle half of them lies apart.

use serde_json::{Value, json};

/// A figure from several runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stat {
    sorted: Vec<f64>,
}

impl Stat {
    /// The figures of all runs.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Stat {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Stat { sorted }
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The lower end of the middle half.
    pub(crate) fn low(&self) -> f64 {
        self.quantile(0.25)
    }

    /// Its upper end.
    pub(crate) fn high(&self) -> f64 {
        self.quantile(0.75)
    }

    /// How wide the middle half is, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        match self.median() {
            0.0 => 0.0,
            median => (self.high() - self.low()) / median,
        }
    }

    /// For the JSON file.
    pub(crate) fn json(&self) -> Value {
        json!({ "median": self.median(), "q1": self.low(), "q3": self.high(), "runs": self.sorted.len() })
    }

    fn quantile(&self, part: f64) -> f64 {
        let Some(last) = self.sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        let place = part * last as f64;
        let (below, above) = (
            self.sorted[place.floor() as usize],
            self.sorted[place.ceil() as usize],
        );
        below + (above - below) * place.fract()
    }
}
