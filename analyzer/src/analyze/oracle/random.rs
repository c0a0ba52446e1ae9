//! Random traces: a few threads, connections, blocks and processes, all doing anything at any time.

use super::super::script::Script;

/// A small generator of pseudo-random numbers (xorshift); its seed names the trace.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// A connection as the generator knows it.
struct Open {
    number: u32,
    processes: Vec<u32>,
    unanswered: u64,
}

/// The statements of a random trace of about `length` steps.
pub(super) fn script(seed: u64, length: usize) -> (Script, String) {
    let mut dice = Dice::new(seed);
    let mut text = String::new();
    let mut open: Vec<Open> = Vec::new();
    let mut alive = vec![1u32];
    let (mut accepted, mut processes, mut created) = (0, 1, 10);
    let mut young: Vec<String> = Vec::new();
    let mut ended: Vec<String> = Vec::new();
    for _ in 0..length {
        let process = alive[dice.below(alive.len() as u64) as usize];
        let mut thread = format!("p{process}.t{}", dice.below(3));
        // One that was created lately goes on.
        if dice.below(6) == 0
            && let Some(other) = young.pop()
            && other.starts_with(&format!("p{process}."))
        {
            thread = other;
        }
        if ended.contains(&thread) {
            continue;
        }
        let block = format!("b{}", dice.below(10));
        let (size, site) = (dice.below(100), 1 + dice.below(3));
        let mine: Vec<usize> = (0..open.len())
            .filter(|at| open[*at].processes.contains(&process))
            .collect();
        let connection = match mine.len() {
            0 => None,
            count => Some(mine[dice.below(count as u64) as usize]),
        };
        let line = match (dice.below(44), connection) {
            (0..=6, _) => format!("alloc {block} {size} @{site}"),
            (7..=8, _) => format!("alloc {block} {size} @{site}; {thread} free {block}"),
            (9..=12, _) => format!("free {block}"),
            (13, _) => format!("realloc {block} b{} {size} @{site}", dice.below(10)),
            (14, _) => format!("intent {block}"),
            (15, _) => ["failed", "freed"][dice.below(2) as usize].to_string(),
            (16, _) => format!("outcome {block} {size} @{site}"),
            (17, _) => [
                "lock",
                "queue",
                "wake",
                "lock w1",
                "notify w1",
                "notify-all w1",
            ][dice.below(6) as usize]
                .to_string(),
            (18..=19, _) => "poll".to_string(),
            (20..=21, _) if open.len() < 4 && accepted < 60 => {
                accepted += 1;
                open.push(Open {
                    number: accepted,
                    processes: vec![process],
                    unanswered: 0,
                });
                format!("waits; {thread} accept c{accepted}")
            }
            (22..=27, Some(at)) => {
                let connection = &mut open[at];
                let number = connection.number;
                let count = 1 + dice.below(2);
                connection.unanswered += count;
                let mut heads = format!("GET /c{number}/x x{count}");
                for other in ["y", "z x2", "v"] {
                    if dice.below(3) > 0 {
                        break;
                    }
                    connection.unanswered += 1 + u64::from(other.contains('x'));
                    heads.push_str(&format!(", GET /c{number}/{other}"));
                }
                format!("reads c{number}; {thread} read c{number} {heads}")
            }
            (28..=33, Some(at)) if open[at].unanswered > 0 => {
                let connection = &mut open[at];
                let count = 1 + dice.below(connection.unanswered);
                connection.unanswered -= count;
                let verb = ["answer", "answered"][usize::from(dice.below(4) == 0)];
                let status = [200, 500][usize::from(dice.below(3) == 0)];
                let number = connection.number;
                let mut status = format!("{status} x{count}");
                if connection.unanswered > 0 && dice.below(3) == 0 {
                    connection.unanswered -= 1;
                    status.push_str(", 404");
                }
                match verb {
                    "answered" => {
                        format!("writes c{number}; {thread} answered c{number} {status}")
                    }
                    _ => format!("answer c{number} {status}"),
                }
            }
            (34, Some(at)) => format!("writes c{}", open[at].number),
            (35, Some(at)) => format!("reads c{}", open[at].number),
            (36, Some(at)) => {
                let number = open[at].number;
                open[at].processes.retain(|holder| *holder != process);
                if open[at].processes.is_empty() {
                    open.remove(at);
                }
                format!("close c{number}")
            }
            (37, _) if dice.below(3) == 0 => {
                ended.push(thread.clone());
                "says-end".to_string()
            }
            (40, _) if dice.below(4) == 0 => "exits".to_string(),
            (41, _) => format!("creates {}", dice.below(3)),
            (42, _) => format!("created {}", dice.below(3)),
            // A thread of its own, which ends soon or lives on.
            (43, _) => {
                created += 1;
                let other = format!("p{process}.n{created}");
                let ends = ["", "says-end"][dice.below(2) as usize];
                let mut all = format!("creates {created}; {other} created {created}");
                for verb in [&format!("alloc {block} {size} @{site}"), "poll", ends] {
                    if !verb.is_empty() && dice.below(3) > 0 {
                        all.push_str(&format!("; {other} {verb}"));
                    }
                }
                young.push(other);
                all
            }
            (38, _) if processes < 4 && dice.below(3) == 0 => {
                processes += 1;
                alive.push(processes);
                for connection in &mut open {
                    if connection.processes.contains(&process) {
                        connection.processes.push(processes);
                    }
                }
                text.push_str(&format!("fork p{process} p{processes}\n"));
                continue;
            }
            (39, _) if alive.len() > 1 && dice.below(4) == 0 => {
                alive.retain(|other| *other != process);
                for connection in &mut open {
                    connection.processes.retain(|holder| *holder != process);
                }
                open.retain(|connection| !connection.processes.is_empty());
                text.push_str(&format!("dies p{process}\n"));
                continue;
            }
            _ => continue,
        };
        text.push_str(&format!("{thread} {line}\n"));
    }
    for process in alive {
        text.push_str(&format!("dies p{process}\n"));
    }
    let mut script = Script::default();
    script.process("p1", None);
    script.tell(&text);
    (script, text)
}
