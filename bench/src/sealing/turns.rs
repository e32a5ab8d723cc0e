//! Taking turns, and what each turn costs.

use std::time::Instant;

use crate::error::Result;
use crate::quiet;

/// Seconds.
#[derive(Clone, Copy)]
pub struct Cost {
    pub cpu: f64,
    pub wall: f64,
}

/// One competitor's turns, in the order of the rounds.
pub struct Series {
    pub name: &'static str,
    pub costs: Vec<Cost>,
}

/// Lets each of `names` have a turn in each round, after one that does not count. Who begins changes from round to round.
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
        for place in 0..names.len() {
            let index = (round + place) % names.len();
            costs[index] = turn(names[index])?;
        }
        Ok(costs)
    })?;
    let costs_of = |index: usize| rounds.iter().map(|costs| costs[index]).collect();
    Ok(names.iter().enumerate().map(|(index, name)| Series { name, costs: costs_of(index) }).collect())
}

/// What `work` costs this process. It is the only one of its threads that does anything, or they all work for it.
pub fn cost_of<T>(work: impl FnOnce() -> Result<T>) -> Result<(Cost, T)> {
    let (began, cpu_before) = (Instant::now(), cpu_seconds());
    let done = work()?;
    Ok((Cost { cpu: cpu_seconds() - cpu_before, wall: began.elapsed().as_secs_f64() }, done))
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills a timespec of our own; this clock is everywhere.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
