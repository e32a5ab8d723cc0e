//! Whether the machine does other work while something is measured. Rounds during which it does are repeated.

use std::fs;
use std::sync::Mutex;
use std::time::Instant;

/// The share of the processors that other programs may use in a round.
const OTHERS_MAX: f64 = 0.05;
/// How many rounds are repeated at most, as a multiple of those that count.
const REPEATS_MAX: usize = 2;

/// What all measurements of this run met.
static MET: Mutex<Met> = Mutex::new(Met { rounds: 0, repeated: 0, disturbed: 0 });

struct Met {
    rounds: usize,
    repeated: usize,
    /// Rounds that count although other programs worked: there were too many of them to repeat all.
    disturbed: usize,
}

/// Runs a round as often as it takes until `count` of them were left alone, within bounds. `round` is given its number.
/// `parts` are the processes whose work belongs to the measurement, beside this one.
pub fn rounds<T, E>(count: usize, parts: &[u32], mut round: impl FnMut(usize) -> Result<T, E>) -> Result<Vec<T>, E> {
    let (mut done, mut repeats) = (Vec::new(), REPEATS_MAX * count);
    while done.len() < count {
        let before = Usage::now(parts);
        let outcome = round(done.len())?;
        let disturbed = before.share_of_others(&Usage::now(parts)) > OTHERS_MAX;
        let mut met = MET.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if disturbed && repeats > 0 {
            (repeats, met.repeated) = (repeats - 1, met.repeated + 1);
            continue;
        }
        (met.rounds, met.disturbed) = (met.rounds + 1, met.disturbed + usize::from(disturbed));
        done.push(outcome);
    }
    Ok(done)
}

/// What to say about the figures of this run.
pub fn verdict() -> String {
    let met = MET.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (rounds, repeated, most) = (met.rounds, met.repeated, OTHERS_MAX * 100.0);
    match met.disturbed {
        0 => format!("Other programs used at most {most:.0} % of the processors; {repeated} rounds were repeated."),
        disturbed => format!(
            "THE MACHINE IS BUSY: other programs used more than {most:.0} % of the processors in {disturbed} of the {rounds} rounds \
             that count, and {repeated} more were repeated. Do not publish these figures."
        ),
    }
}

/// Processor time in the kernel's ticks, of which a second has 100.
struct Usage {
    at: Instant,
    whole_machine: u64,
    own: u64,
    processors: u64,
}

impl Usage {
    fn now(parts: &[u32]) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let own = parts.iter().map(|part| ticks_of(&part.to_string())).sum::<u64>() + ticks_of("self");
        let processors =
            stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count() as u64;
        Self { at: Instant::now(), whole_machine: busy_ticks(&stat), own, processors }
    }

    fn share_of_others(&self, later: &Self) -> f64 {
        let busy = later.whole_machine.saturating_sub(self.whole_machine);
        let others = busy.saturating_sub(later.own.saturating_sub(self.own));
        let ticks = later.at.duration_since(self.at).as_secs_f64() * 100.0 * later.processors as f64;
        // A round may be shorter than what the kernel's ticks can tell: one of them is no evidence.
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
    fn busy_time_has_no_idle_in_it() {
        assert_eq!(busy_ticks("cpu  10 1 20 5000 300 2 3 0 0 0\ncpu0 1 1 1 1 1 1 1\n"), 36);
    }

    #[test]
    fn what_this_process_does_is_not_that_of_others() {
        let usage = |whole_machine, own, seconds| Usage {
            at: Instant::now() + std::time::Duration::from_secs(seconds),
            whole_machine,
            own,
            processors: 2,
        };
        let alone = usage(0, 0, 0).share_of_others(&usage(100, 100, 1));
        assert!(alone < 0.001, "{alone}");
        let beside = usage(0, 0, 0).share_of_others(&usage(150, 100, 1));
        assert!((0.2..0.3).contains(&beside), "{beside}");
    }

    #[test]
    fn every_round_is_counted_once_whatever_happens() {
        let done = rounds(5, &[], Ok::<_, ()>).unwrap();
        assert_eq!(done, [0, 1, 2, 3, 4]);
        assert_eq!(rounds(5, &[], |_| Err::<(), _>("broken")), Err("broken"));
    }
}
