//! The turns of candidates that alternate, and their cost.

use std::time::Instant;

use crate::error::Result;
use crate::quiet;

/// Seconds.
#[derive(Clone, Copy)]
pub struct Cost {
    pub cpu: f64,
    pub wall: f64,
}

/// One candidate's turns, in the order of the rounds.
pub struct Series {
    pub name: &'static str,
    pub costs: Vec<Cost>,
}

/// Gives each of `names` a turn in each round, after one turn that does not count. The candidate that begins changes from round to
/// round.
pub fn alternate(
    names: &[&'static str],
    rounds: usize,
    mut turn: impl FnMut(&'static str) -> Result<Cost>,
) -> Result<Vec<Series>> {
    for name in names {
        turn(name)?;
    }
    let rounds = quiet::rounds(rounds, &[], |round| -> Result<Vec<Cost>> {
        let mut costs = vec![Cost { cpu: 0.0, wall: 0.0 }; names.len()];
        for position in 0..names.len() {
            let index = (round + position) % names.len();
            costs[index] = turn(names[index])?;
        }
        Ok(costs)
    })?;
    let costs_of = |index: usize| rounds.iter().map(|costs| costs[index]).collect();
    Ok(names.iter().enumerate().map(|(index, name)| Series { name, costs: costs_of(index) }).collect())
}

/// The cost of `work`. Its CPU time is that of the process, so no thread may do other work meanwhile.
pub fn cost_of<T>(work: impl FnOnce() -> Result<T>) -> Result<(Cost, T)> {
    let (began, cpu_before) = (Instant::now(), cpu_seconds());
    let done = work()?;
    Ok((Cost { cpu: cpu_seconds() - cpu_before, wall: began.elapsed().as_secs_f64() }, done))
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the timespec, and every system has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
