//! Remembers the ids of the last message, because computing an id takes a tenth of the time to open a short message, and the
//! messages under one cached data key have the same ids.

use std::sync::Mutex;

use crate::seal::cache::lru::Id;
use crate::seal::format::context::Context;
use crate::seal::format::wrapped_key::WrappedKey;

/// A memo without its content when it is cloned: clones can have other settings, and no need to share a lock.
#[derive(Default)]
pub(crate) struct IdMemo(Mutex<State>);

#[derive(Default)]
struct State {
    /// The ids of the last message that was not the known one.
    last: Vec<Id>,
    known: Option<Known>,
}

/// What the ids depend on.
struct Known {
    settings: Settings,
    context: Context,
    wrapped_keys: Vec<WrappedKey>,
    ids: Vec<Id>,
}

/// The keyring's keys, its policy, and the suite of the message.
pub(crate) type Settings = (Id, u8, u16);

impl IdMemo {
    /// The ids of a message, from the memo or from `compute`. A memo in use by another thread is not waited for, so a
    /// forked child may inherit it locked.
    pub fn get(
        &self,
        settings: Settings,
        context: &Context,
        wrapped_keys: &[WrappedKey],
        compute: impl FnOnce() -> Vec<Id>,
    ) -> Vec<Id> {
        let Ok(mut state) = self.0.try_lock() else { return compute() };
        let is_known = |known: &&Known| {
            known.settings == settings && known.wrapped_keys == wrapped_keys && known.context == *context
        };
        if let Some(known) = state.known.as_ref().filter(is_known) {
            return known.ids.clone();
        }
        let ids = compute();
        // Messages that differ from each other cost no copy.
        if state.last == ids {
            let (context, wrapped_keys) = (context.clone(), wrapped_keys.to_vec());
            state.known = Some(Known { settings, context, wrapped_keys, ids: ids.clone() });
        } else {
            state.last.clone_from(&ids);
        }
        ids
    }
}

impl Clone for IdMemo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = ([1; 32], 0, 0x0478);

    fn wrapped(blob: u8) -> Vec<WrappedKey> {
        vec![WrappedKey { provider_id: "p".to_owned(), provider_info: b"i".to_vec(), blob: vec![blob] }]
    }

    #[test]
    fn a_message_that_repeats_costs_no_more_ids() {
        let (memo, context) = (IdMemo::default(), Context::from_pairs([("key", "value")]));
        let mut computed = 0;
        for _ in 0..5 {
            let ids = memo.get(SETTINGS, &context, &wrapped(7), || {
                computed += 1;
                vec![[7; 32]]
            });
            assert_eq!(ids, [[7; 32]]);
        }
        assert_eq!(computed, 2);
    }

    #[test]
    fn whatever_differs_has_ids_of_its_own() {
        let (memo, context, other) = (IdMemo::default(), Context::default(), Context::from_pairs([("key", "value")]));
        for _ in 0..3 {
            memo.get(SETTINGS, &context, &wrapped(7), || vec![[7; 32]]);
        }
        let differs = [
            (([2; 32], 0, 0x0478), &context, wrapped(7)),
            (([1; 32], 1, 0x0478), &context, wrapped(7)),
            (([1; 32], 0, 0x0578), &context, wrapped(7)),
            (SETTINGS, &other, wrapped(7)),
            (SETTINGS, &context, wrapped(8)),
            (SETTINGS, &context, [wrapped(7), wrapped(7)].concat()),
        ];
        for (settings, context, wrapped_keys) in differs {
            assert_eq!(memo.get(settings, context, &wrapped_keys, || vec![[9; 32]]), [[9; 32]]);
        }
    }
}
