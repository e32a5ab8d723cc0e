//! `src/sys/single_flight.rs`: one thread fetches for all, and no wait is forgotten.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::sys::single_flight::SingleFlight;

#[derive(Default)]
struct State {
    value: Option<u32>,
    in_flight: bool,
    fetched: u32,
}

/// The same use as in the credentials and in the caches of data keys.
fn get(flight: &SingleFlight<State>, work: impl FnOnce() -> u32) -> Option<u32> {
    let mut state = flight.lock();
    while state.in_flight {
        state = flight.wait(state, Duration::MAX);
    }
    if state.value.is_some() {
        return state.value;
    }
    state.in_flight = true;
    flight.run(state, work, |state, outcome| {
        state.in_flight = false;
        state.fetched += 1;
        state.value = outcome;
        outcome
    })
}

pub fn one_caller_works_for_all() {
    crate::check(3, || {
        let flight = Arc::new(SingleFlight::new(State::default()));
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let flight = Arc::clone(&flight);
                thread::spawn(move || assert_eq!(get(&flight, || 7), Some(7)))
            })
            .collect();
        assert_eq!(get(&flight, || 7), Some(7));
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(flight.lock().fetched, 1);
    });
}

/// The thread that fetches panics: the others do not wait for it, and one of them fetches instead.
pub fn a_panic_ends_the_flight_and_another_caller_fetches() {
    crate::check(3, || {
        let flight = Arc::new(SingleFlight::new(State::default()));
        let other = {
            let flight = Arc::clone(&flight);
            thread::spawn(move || assert_eq!(get(&flight, || 8), Some(8)))
        };
        let work = || get(&flight, || resume_unwind(Box::new("on purpose")));
        let outcome = catch_unwind(AssertUnwindSafe(work));
        assert!(outcome.is_err() || outcome.is_ok_and(|value| value == Some(8)));
        other.join().unwrap();
        assert_eq!(flight.lock().value, Some(8));
    });
}
