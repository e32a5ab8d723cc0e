//! Listing CMKs, over all pages of ListKeyDetail.

use std::collections::HashSet;

use serde::Deserialize;

use super::Client;
use super::key_info::{KeyInfo, malformed, null_as_default};
use super::parameters::{Parameters, TagFilter};
use crate::error::{Error, Result};
use crate::status::Status;

/// The maximum number of keys in one reply of ListKeyDetail.
const PAGE: usize = 200;
/// The maximum number of keys that are listed. An account has 200 unless its limit was raised.
const LISTED_MAX: usize = 100_000;
/// How often a listing steps back because keys were deleted meanwhile.
const STEPS_BACK_MAX: u32 = 1000;

/// Selects the CMKs to list.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter<'a> {
    /// The service's name of a usage. Without one, keys of all usages.
    pub usage: Option<&'a str>,
    /// `Enabled`, `Disabled`, `PendingDelete`, `PendingImport` or `Archived`. Without one, keys of all states.
    pub state: Option<&'a str>,
    /// A part of the key id or the alias.
    pub search: Option<&'a str>,
    /// A tag's name and value.
    pub tag: Option<(&'a str, &'a str)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default, deserialize_with = "null_as_default")]
    key_metadatas: Vec<KeyInfo>,
    #[serde(default)]
    total_count: Option<usize>,
}

impl Page {
    fn check(self) -> Result<Self> {
        if self.key_metadatas.is_empty() && self.total_count.is_none() {
            return Err(malformed("KeyMetadatas", "and TotalCount are missing"));
        }
        self.key_metadatas.iter().try_for_each(KeyInfo::check)?;
        Ok(self)
    }
}

/// How far a listing is. Keys may be created and deleted between its requests.
#[derive(Default)]
struct Progress {
    offset: usize,
    /// The last `TotalCount`.
    total: Option<usize>,
    seen: HashSet<String>,
    steps_back: u32,
    /// How many keys may come a second time, because the listing stepped back over them.
    overlap: usize,
}

/// What to do with a page.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Its keys are the next ones. Another page follows.
    Continue,
    /// Its keys are the last ones.
    End,
    /// Keys moved to smaller offsets, where the listing has been. The page is requested again from there.
    Rewind,
}

impl Progress {
    /// What to do with a page of `len` keys. `TotalCount` and the keys of a page may differ by keys that are created or
    /// deleted at that moment, so it only decides whether to ask for more. A page without keys ends the listing, and
    /// must not contradict its `TotalCount`: the keys that are missing may be those that the caller looks for.
    fn step(&mut self, len: usize, total: Option<usize>) -> Result<Step> {
        let fewer = self.total.zip(total).map_or(0, |(before, now)| before.saturating_sub(now));
        let total = total.or(self.total);
        self.total = total;
        if fewer > 0 && self.offset > 0 {
            return self.step_back(fewer.min(self.offset));
        }
        self.offset += len;
        match total {
            Some(total) if len == 0 && total > self.offset => {
                Err(unlistable(&format!("there are {total}, of which {} were returned", self.offset)))
            }
            _ if len == 0 => Ok(Step::End),
            Some(total) if total == self.offset || (total < self.offset && len < PAGE) => Ok(Step::End),
            None if len < PAGE => Ok(Step::End),
            _ => Ok(Step::Continue),
        }
    }

    fn step_back(&mut self, keys: usize) -> Result<Step> {
        self.steps_back += 1;
        if self.steps_back > STEPS_BACK_MAX {
            return Err(unlistable("the number of keys fell with nearly every page"));
        }
        self.offset -= keys;
        self.overlap += keys;
        Ok(Step::Rewind)
    }

    /// The keys of a page that were not seen yet. A service that ignores the offset returns the same keys each time.
    fn new_keys(&mut self, keys: Vec<KeyInfo>) -> Result<Vec<KeyInfo>> {
        let len = keys.len();
        let new: Vec<_> = keys.into_iter().filter(|key| self.seen.insert(key.key_id.clone())).collect();
        let repeated = len - new.len();
        if new.is_empty() && repeated > self.overlap {
            return Err(unlistable(&format!("the same {len} keys were returned again")));
        }
        self.overlap = self.overlap.saturating_sub(repeated);
        if self.seen.len() > LISTED_MAX {
            return Err(unlistable(&format!("there are more than {LISTED_MAX}")));
        }
        Ok(new)
    }
}

impl Client {
    /// Calls `visit` once with each CMK, in the order of creation, until it returns `false`.
    pub fn list_keys(&self, filter: &KeyFilter<'_>, mut visit: impl FnMut(KeyInfo) -> bool) -> Result<()> {
        let state = self.checked("ListKeyDetail", None, filter.state.map(state_number).transpose())?;
        let mut progress = Progress::default();
        loop {
            let page = self.key_page(filter, state, progress.offset)?;
            let step = progress.step(page.key_metadatas.len(), page.total_count);
            let step = self.checked("ListKeyDetail", None, step)?;
            if step == Step::Rewind {
                continue;
            }
            let keys = self.checked("ListKeyDetail", None, progress.new_keys(page.key_metadatas))?;
            if !keys.into_iter().all(&mut visit) || step == Step::End {
                return Ok(());
            }
        }
    }

    fn key_page(&self, filter: &KeyFilter<'_>, state: Option<u32>, offset: usize) -> Result<Page> {
        let tag = filter.tag.iter().map(|(key, value)| TagFilter { tag_key: key, tag_value: [value] });
        let parameters = Parameters {
            offset: Some(offset),
            limit: Some(PAGE),
            order_type: Some(1),
            key_state: state,
            search_key_alias: filter.search,
            tag_filters: tag.collect(),
            // Without a usage the service lists symmetric keys only.
            key_usage: Some(filter.usage.unwrap_or("ALL")),
            ..Parameters::default()
        };
        self.manage("ListKeyDetail", None, &parameters, |page: Page, _| page.check())
    }
}

/// The number of a state for ListKeyDetail.
fn state_number(state: &str) -> Result<u32> {
    const STATES: [&str; 5] = ["Enabled", "Disabled", "PendingDelete", "PendingImport", "Archived"];
    let number = STATES.iter().zip(1..).find(|(name, _)| **name == state).map(|(_, number)| number);
    number.ok_or_else(|| {
        let message = format!("the state is not one of {}", STATES.join(", "));
        Error::new(Status::OutOfRange, message)
    })
}

fn unlistable(reason: &str) -> Error {
    Error::new(Status::ResponseMalformed, format!("the service's list of keys makes no sense: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists `keys` from a service that changes them before each request, with the page and the total of `reply`.
    fn listed(mut reply: impl FnMut(usize, u32) -> (Vec<u32>, Option<usize>)) -> Result<Vec<u32>> {
        let (mut progress, mut listed) = (Progress::default(), Vec::new());
        for request in 0.. {
            let (keys, total) = reply(progress.offset, request);
            let step = progress.step(keys.len(), total)?;
            if step == Step::Rewind {
                continue;
            }
            let keys = keys.iter().map(|key| KeyInfo { key_id: key.to_string(), ..KeyInfo::default() }).collect();
            listed.extend(progress.new_keys(keys)?.iter().map(|key| key.key_id.parse::<u32>().unwrap()));
            if step == Step::End {
                break;
            }
            assert!(request < 5000, "the listing does not end");
        }
        Ok(listed)
    }

    fn page(keys: &[u32], offset: usize, len: usize) -> (Vec<u32>, Option<usize>) {
        (keys.iter().copied().skip(offset).take(len).collect(), Some(keys.len()))
    }

    fn refused(reply: impl FnMut(usize, u32) -> (Vec<u32>, Option<usize>)) -> bool {
        listed(reply).is_err_and(|error| error.status() == Status::ResponseMalformed)
    }

    #[test]
    fn every_key_is_listed_once_in_order() {
        for len in [0, 1, 199, 200, 201, 400, 401, 1000] {
            let keys: Vec<_> = (0..len).collect();
            for limit in [1, 7, PAGE] {
                assert_eq!(listed(|offset, _| page(&keys, offset, limit)).unwrap(), keys, "{len} keys, {limit} a page");
            }
            let without_total = listed(|offset, _| (page(&keys, offset, PAGE).0, None));
            assert_eq!(without_total.unwrap(), keys);
            let wrong_total = listed(|offset, _| (page(&keys, offset, PAGE).0, Some(0)));
            assert_eq!(wrong_total.unwrap(), keys);
        }
    }

    #[test]
    fn keys_that_are_created_meanwhile_are_listed() {
        let mut keys: Vec<_> = (0..450).collect();
        let all = listed(|offset, _| {
            keys.extend(keys.len() as u32..keys.len() as u32 + if keys.len() < 900 { 100 } else { 0 });
            page(&keys, offset, PAGE)
        });
        assert_eq!(all.unwrap(), (0..950).collect::<Vec<_>>());
    }

    #[test]
    fn no_key_is_missed_because_others_are_deleted_meanwhile() {
        for deleted in [1, 50, 199, 200, 399] {
            let mut keys: Vec<_> = (0..1000).collect();
            let all = listed(|offset, request| {
                if request == 2 {
                    keys.drain(..deleted);
                }
                page(&keys, offset, PAGE)
            });
            assert_eq!(all.unwrap(), (0..1000).collect::<Vec<_>>(), "{deleted}");
        }
        // Such as a callback that disables each of the enabled keys.
        let mut enabled: Vec<_> = (0..1000).collect();
        let mut last = (usize::MAX, 0);
        let all = listed(|offset, _| {
            if last.0 == offset {
                enabled.drain(..last.1);
            }
            let (keys, total) = page(&enabled, offset, PAGE);
            last = (offset + keys.len(), keys.len());
            (keys, total)
        });
        assert_eq!(all.unwrap(), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn missing_keys_and_repeated_ones_are_refused() {
        let keys: Vec<_> = (0..1000).collect();
        assert!(refused(|_, _| (vec![], Some(3))));
        assert!(refused(|offset, _| (page(&keys[..200], offset, PAGE).0, Some(201))));
        assert!(refused(|offset, _| (page(&keys[..5], offset, PAGE).0, Some(6))));
        assert!(refused(|offset, _| if offset == 0 { page(&keys, 0, PAGE) } else { (vec![7000], None) }));
        assert!(refused(|_, _| page(&keys, 0, PAGE)));
        assert!(refused(|_, request| (vec![1, 2], Some(1000 - request.min(500) as usize))));
        assert!(refused(|offset, request| (vec![request], Some(if request % 2 == 0 { offset + 9 } else { offset }))));
        assert!(refused(|_, request| ((request * 200..request * 200 + 200).collect(), Some(usize::MAX))));
    }
}
