//! Models of state that threads share. `tests/models.rs` runs them; each name states what the model proves.
//!
//! A model is a small program of two or three threads. loom runs it in every order of their steps, and with every value
//! that a load may return, up to a bound on preemptions. A model fails on an assertion, a deadlock, an access to a cell
//! while another thread has it, and an `Arc` that is never freed.
//!
//! Time does not pass in a model, so no timeout expires. Each wait has to end by the step that it waits for.

pub mod ffi;
pub mod fork_lock;

pub mod parker;
pub mod per_process;
pub mod single_flight;
pub mod sys;

/// Runs a model in every order with at most this many preemptions. Few mistakes need more than two.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
