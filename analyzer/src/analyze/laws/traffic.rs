//! Which requests come, in which order, to which process.

use super::dice::Dice;

/// Where the requests that the law is about lie among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    All,
    Mixed,
    Start,
    Middle,
    End,
    Strewn,
    Burst,
    /// One in each process.
    Once,
}

/// The processes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Processes {
    One,
    /// Forked before they serve.
    Four,
    Sixteen,
    /// Two at a time, replaced after so many requests.
    Recycled(usize),
}

const LIES: [Lie; 7] = [
    Lie::All,
    Lie::Mixed,
    Lie::Start,
    Lie::Middle,
    Lie::End,
    Lie::Strewn,
    Lie::Burst,
];
const PROCESSES: [Processes; 4] = [
    Processes::One,
    Processes::Four,
    Processes::Recycled(50),
    Processes::Recycled(100),
];

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) lie: Lie,
    pub(super) processes: Processes,
}

/// A request: the process that serves it, and whether the law is about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) process: usize,
    pub(super) subject: bool,
}

/// All kinds.
pub(super) fn kinds() -> Vec<Traffic> {
    let lies = LIES.iter().flat_map(|lie| {
        PROCESSES.map(|processes| Traffic {
            lie: *lie,
            processes,
        })
    });
    let once = Traffic {
        lie: Lie::Once,
        processes: Processes::Sixteen,
    };
    lies.chain([once]).collect()
}

/// 40 to 2,000 requests.
pub(super) fn requests(traffic: Traffic, dice: &mut Dice) -> Vec<Request> {
    let count = dice.magnitude(40.0, 2_000.0) as usize;
    let count = count.max(if traffic.lie == Lie::Once { 64 } else { 0 });
    let part = ((count as f64 * dice.between(0.1, 0.4)) as usize).max(6);
    let from = match traffic.lie {
        Lie::End => count - part,
        Lie::Middle => (count - part) / 2,
        Lie::Burst => dice.count(0, count - part),
        Lie::All | Lie::Mixed | Lie::Start | Lie::Strewn | Lie::Once => 0,
    };
    let share = part as f64 / count as f64;
    let step = (count / dice.count(6, 20)).max(2);
    let (mut left, mut serving, mut next) = ([0, 0], [0, 1], 2);
    let request = |at: usize| {
        let subject = match traffic.lie {
            Lie::All => true,
            Lie::Mixed => dice.falls(share),
            Lie::Strewn => at % step == step / 2,
            Lie::Once => at / 16 == (5 * at) % 16 % 3,
            Lie::Start | Lie::Middle | Lie::End | Lie::Burst => (from..from + part).contains(&at),
        };
        let process = match traffic.processes {
            Processes::One => 0,
            Processes::Four => dice.count(0, 4),
            Processes::Sixteen => at % 16,
            Processes::Recycled(each) => {
                let slot = dice.count(0, 2);
                if left[slot] == each {
                    (left[slot], serving[slot], next) = (0, next, next + 1);
                }
                left[slot] += 1;
                serving[slot]
            }
        };
        Request { process, subject }
    };
    (0..count).map(request).collect()
}

impl std::fmt::Display for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lie = match self.lie {
            Lie::All => "all",
            Lie::Mixed => "mixed",
            Lie::Start => "at the start",
            Lie::Middle => "in the middle",
            Lie::End => "at the end",
            Lie::Strewn => "strewn",
            Lie::Burst => "in a burst",
            Lie::Once => "once",
        };
        match self.processes {
            Processes::One => write!(f, "{lie}, one process"),
            Processes::Four => write!(f, "{lie}, 4 processes"),
            Processes::Sixteen => write!(f, "{lie}, 16 processes"),
            Processes::Recycled(each) => write!(f, "{lie}, replaced after {each}"),
        }
    }
}
