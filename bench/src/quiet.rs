//! Detects other load on the machine during a measurement, and repeats the rounds that it disturbs.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The share of the processors that other programs may use in a round.
const OTHERS_MAX: f64 = 0.05;
/// The most rounds to repeat, as a multiple of those that count.
const REPEATS_MAX: usize = 2;

/// The rounds of all measurements in this run.
static COUNTS: Mutex<RoundCounts> = Mutex::new(RoundCounts { rounds: 0, repeated: 0, disturbed: 0 });

static KEEPS_DISTURBED: AtomicBool = AtomicBool::new(false);

struct RoundCounts {
    rounds: usize,
    repeated: usize,
    /// Rounds that count although they were disturbed, because no more rounds could be repeated.
    disturbed: usize,
}

/// Lets disturbed rounds count, for a measurement whose duration matters more than its figures.
pub fn keep_disturbed_rounds() {
    KEEPS_DISTURBED.store(true, Ordering::Relaxed);
}

/// Runs `round` until `count` rounds count, and passes it the number of the round. A disturbed round is repeated, as long as
/// [`REPEATS_MAX`] allows it. `processes` are the other processes of the measurement, whose load does not disturb it.
pub fn rounds<T, E>(
    count: usize,
    processes: &[u32],
    mut round: impl FnMut(usize) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    let mut repeats = if KEEPS_DISTURBED.load(Ordering::Relaxed) { 0 } else { REPEATS_MAX * count };
    let mut done = Vec::new();
    while done.len() < count {
        let before = Usage::now(processes);
        let outcome = round(done.len())?;
        let disturbed = before.share_of_others(&Usage::now(processes)) > OTHERS_MAX;
        let mut counts = COUNTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if disturbed && repeats > 0 {
            (repeats, counts.repeated) = (repeats - 1, counts.repeated + 1);
            continue;
        }
        (counts.rounds, counts.disturbed) = (counts.rounds + 1, counts.disturbed + usize::from(disturbed));
        done.push(outcome);
    }
    Ok(done)
}

/// A sentence about the other load during this run, to print below the figures.
pub fn verdict() -> String {
    let counts = COUNTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (rounds, repeated, most) = (counts.rounds, counts.repeated, OTHERS_MAX * 100.0);
    match counts.disturbed {
        0 => format!("Other programs used at most {most:.0} % of the processors; {repeated} rounds were repeated."),
        disturbed => format!(
            "THE MACHINE IS BUSY: other programs used more than {most:.0} % of the processors in {disturbed} of the {rounds} rounds \
             that count, and {repeated} more rounds were repeated. Do not publish these figures."
        ),
    }
}

/// Processor time in the kernel's ticks, 100 per second.
struct Usage {
    at: Instant,
    machine: u64,
    own: u64,
    processors: u64,
}

impl Usage {
    fn now(processes: &[u32]) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let own = processes.iter().map(|process| ticks_of(&process.to_string())).sum::<u64>() + ticks_of("self");
        let processors =
            stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count() as u64;
        Self { at: Instant::now(), machine: busy_ticks(&stat), own, processors }
    }

    fn share_of_others(&self, later: &Self) -> f64 {
        let busy = later.machine.saturating_sub(self.machine);
        let others = busy.saturating_sub(later.own.saturating_sub(self.own));
        let ticks = later.at.duration_since(self.at).as_secs_f64() * 100.0 * later.processors as f64;
        // In a short round a single tick is a large share, and may be an error of the kernel's accounting.
        if ticks > 0.0 && others > 1 { others as f64 / ticks } else { 0.0 }
    }
}

/// User, nice, system, and both kinds of interrupts (proc_stat(5)).
fn busy_ticks(stat: &str) -> u64 {
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    [0, 1, 2, 5, 6].iter().filter_map(|at| fields.get(*at)).sum()
}

/// User and system time of a process with all its threads.
fn ticks_of(process: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_excludes_idle_time() {
        assert_eq!(busy_ticks("cpu  10 1 20 5000 300 2 3 0 0 0\ncpu0 1 1 1 1 1 1 1\n"), 36);
    }

    #[test]
    fn the_load_of_this_process_is_not_other_load() {
        let usage = |machine, own, seconds| Usage {
            at: Instant::now() + std::time::Duration::from_secs(seconds),
            machine,
            own,
            processors: 2,
        };
        let alone = usage(0, 0, 0).share_of_others(&usage(100, 100, 1));
        assert!(alone < 0.001, "{alone}");
        let disturbed = usage(0, 0, 0).share_of_others(&usage(150, 100, 1));
        assert!((0.2..0.3).contains(&disturbed), "{disturbed}");
    }

    #[test]
    fn every_round_is_counted_once() {
        let done = rounds(5, &[], Ok::<_, ()>).unwrap();
        assert_eq!(done, [0, 1, 2, 3, 4]);
        assert_eq!(rounds(5, &[], |_| Err::<(), _>("broken")), Err("broken"));
    }
}
