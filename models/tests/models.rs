//! Runs each model.

use tckms_models::ffi::handles;
use tckms_models::{fork_lock, parker, per_process, single_flight};

/// A test for each of these functions.
macro_rules! models {
    ($($module:ident: $($name:ident)*;)*) => {$($(
        #[test]
        fn $name() {
            $module::$name();
        }
    )*)*};
}

models! {
    fork_lock: no_fork_comes_while_another_thread_is_inside two_forks_at_once_wait_for_the_same_thread
        a_thread_that_is_inside_may_fork_and_waits_for_the_others_only a_child_counts_its_own_threads;
    parker: a_reply_and_a_cancellation_both_wake_the_caller one_wait_follows_another;
    per_process: two_first_calls_publish_one_value a_costly_value_is_made_once a_broken_value_is_replaced_once
        a_child_touches_nothing_of_its_parent;
    single_flight: one_caller_works_for_all a_panic_ends_the_flight_and_another_caller_fetches;
    handles: siblings_are_derived_used_and_freed_on_all_threads a_callback_frees_the_last_other_handle;
}
