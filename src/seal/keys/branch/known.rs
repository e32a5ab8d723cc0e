//! The records that a process knows, and their state.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::Error;
use crate::seal::cache::IdMaker;
use crate::seal::cache::lru::Id;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::{BranchRecord, BranchRecords};
use crate::seal::format::branch_wrap::BranchForm;
use crate::sys::clock::Moment;

/// The maximal number of records of one branch in memory.
const RECORDS_MAX: usize = 4096;
/// How long a record that the CMK refused is not used.
const REFUSAL: Duration = Duration::from_secs(60);
/// How many records of a branch may be refused before others are tried at an interval only. Otherwise whoever writes forged records
/// to a store could cause any number of requests.
pub(super) const REFUSED_MAX: usize = 16;
const TRY_INTERVAL: Duration = Duration::from_secs(15);

/// A record, with the id of its key in the cache.
pub(super) struct Known {
    pub record: BranchRecord,
    pub id: Id,
    /// Whether the CMK has unwrapped it, or it was generated here.
    works: AtomicBool,
}

impl Known {
    pub fn new(record: BranchRecord) -> Arc<Self> {
        let id = key_id(&record.branch_id, &record.version, record.blob.as_bytes());
        Arc::new(Self { record, id, works: AtomicBool::new(false) })
    }

    pub fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    pub fn set_works(&self) {
        if !self.works() {
            self.works.store(true, Ordering::Relaxed);
        }
    }

    /// A newer record is greater.
    pub fn age_order(&self) -> (i64, [u8; BranchVersion::LEN]) {
        (self.record.created, *self.record.version.bytes())
    }
}

/// The id of a branch key in the cache of its CMK. Another blob is another key.
pub(super) fn key_id(branch_id: &BranchId, version: &BranchVersion, blob: &[u8]) -> Id {
    IdMaker::new("branch").part(branch_id.as_str().as_bytes()).part(version.bytes()).part(blob).finish()
}

/// Whether two records of a CMK are the same. The time does not count, since it is not authenticated.
fn are_same(one: &BranchRecord, other: &BranchRecord) -> bool {
    one.version == other.version && one.blob == other.blob && one.branch_id == other.branch_id
}

struct Entry {
    known: Arc<Known>,
    /// Whether the source had it at the last read.
    is_present: bool,
    /// When its source was last known to have it, if it disappeared.
    gone: Option<Moment>,
    refusal: Option<Refusal>,
}

/// That the CMK refused a record.
struct Refusal {
    until: Moment,
    reason: String,
}

impl Entry {
    fn new(record: &BranchRecord) -> Self {
        Self { known: Known::new(record.clone()), is_present: true, gone: None, refusal: None }
    }

    fn is_refused(&self) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| Moment::now() < refusal.until)
    }

    /// A record without a source comes first, then the oldest one.
    fn order(&self) -> (bool, (i64, [u8; BranchVersion::LEN])) {
        (self.gone.is_none(), self.known.age_order())
    }
}

/// The records of one branch.
#[derive(Default)]
pub(super) struct KnownRecords(Vec<Entry>);

impl KnownRecords {
    /// Adds a record, unless it is known.
    fn add(&mut self, record: &BranchRecord) {
        match self.0.iter_mut().find(|entry| are_same(&entry.known.record, record)) {
            Some(entry) => (entry.is_present, entry.gone) = (true, None),
            None => self.0.push(Entry::new(record)),
        }
    }

    /// Replaces all records, as [`KnownBranches::replace`] does. Without `since`, only adds them.
    pub fn replace(&mut self, records: &[BranchRecord], since: Option<Moment>, age: Duration) -> usize {
        self.0.iter_mut().for_each(|entry| entry.is_present &= since.is_none());
        records.iter().for_each(|record| self.add(record));
        self.drop_absent(since.unwrap_or_else(Moment::now), age)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The record of a version that the CMK did not refuse. A source may have several, of which only one is right.
    pub fn find(&self, version: &BranchVersion) -> Option<Arc<Known>> {
        let mut usable = self.0.iter().filter(|entry| !entry.is_refused());
        usable.find(|entry| entry.known.record.version == *version).map(|entry| Arc::clone(&entry.known))
    }

    /// The newest record that passes the test and that the CMK did not refuse.
    pub fn newest(&self, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        self.newest_entry(&|entry| passes(&entry.known))
    }

    /// The newest one of them to seal with. A message by reference to a record that disappeared could soon not be opened.
    pub fn newest_to_seal(&self, form: BranchForm, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        match form {
            BranchForm::Embedded => self.newest(passes),
            BranchForm::ByReference => self.newest_present(passes),
        }
    }

    /// The newest one of them that its source still has.
    pub fn newest_present(&self, passes: &dyn Fn(&Known) -> bool) -> Option<Arc<Known>> {
        self.newest_entry(&|entry| entry.gone.is_none() && passes(&entry.known))
    }

    /// Whether the source has a record that passes the test, even one that the CMK refused.
    pub fn any_present(&self, passes: &dyn Fn(&Known) -> bool) -> bool {
        self.0.iter().any(|entry| entry.gone.is_none() && passes(&entry.known))
    }

    fn newest_entry(&self, passes: &dyn Fn(&Entry) -> bool) -> Option<Arc<Known>> {
        let may_try = self.may_try();
        let usable = self.0.iter().filter(|entry| passes(entry) && !entry.is_refused());
        let usable = usable.filter(|entry| may_try || entry.known.works());
        usable.map(|entry| &entry.known).max_by_key(|known| known.age_order()).cloned()
    }

    /// Whether a record may be tried of which it is not known that it works.
    fn may_try(&self) -> bool {
        let refused = self.0.iter().filter(|entry| entry.is_refused());
        let last = refused.clone().filter_map(|entry| entry.refusal.as_ref()).map(|refusal| refusal.until).max();
        refused.count() < REFUSED_MAX || last.is_none_or(|last| Moment::now() + (REFUSAL - TRY_INTERVAL) >= last)
    }

    /// Does not use a record for a while.
    pub fn refuse(&mut self, known: &Known, error: &Error) {
        for entry in self.0.iter_mut().filter(|entry| entry.known.id == known.id) {
            entry.refusal = Some(Refusal { until: Moment::now() + REFUSAL, reason: error.message().to_owned() });
        }
    }

    /// Adds to the error of a missing record that there is one that the CMK refused.
    pub fn explain(&self, error: Error, version: &BranchVersion) -> Error {
        let mut refused = self.0.iter().filter(|entry| entry.is_refused() && entry.known.record.version == *version);
        match refused.find_map(|entry| entry.refusal.as_ref()) {
            Some(refusal) => error.with_reason(format_args!("the CMK refused one: {}", refusal.reason)),
            None => error,
        }
    }

    /// Marks the records that are not present as gone `since` then, and drops those that have been gone for `age`, and the oldest
    /// ones of too many. Returns the number of newly marked and of dropped ones, without those that could not be used anyway.
    fn drop_absent(&mut self, since: Moment, age: Duration) -> usize {
        let mut went = 0;
        for entry in self.0.iter_mut().filter(|entry| !entry.is_present) {
            went += usize::from(entry.gone.is_none() && entry.refusal.is_none());
            entry.gone.get_or_insert(since);
        }
        self.drop_gone(age);
        while self.0.len() > RECORDS_MAX
            && let Some((place, _)) = self.0.iter().enumerate().min_by_key(|(_, entry)| entry.order())
        {
            went += usize::from(self.0.swap_remove(place).is_present);
        }
        went
    }

    pub fn drop_gone(&mut self, age: Duration) {
        if self.0.iter().all(|entry| entry.gone.is_none()) {
            return;
        }
        let now = Moment::now();
        self.0.retain(|entry| entry.gone.is_none_or(|gone| now.since(gone) < age));
    }
}

/// The records of all branches under one CMK.
#[derive(Default)]
pub(super) struct KnownBranches(HashMap<BranchId, KnownRecords>);

impl KnownBranches {
    /// The records of one CMK.
    pub fn of_cmk(records: &BranchRecords, cmk: &str) -> Self {
        Self::of(records.iter().filter(|record| record.cmk == cmk))
    }

    fn of<'a>(records: impl Iterator<Item = &'a BranchRecord>) -> Self {
        let mut branches = Self::default();
        branches.add_all(records);
        branches
    }

    pub fn get(&self, branch_id: &BranchId) -> Option<&KnownRecords> {
        self.0.get(branch_id)
    }

    /// The records of a branch, without those that have been gone for `age`.
    pub fn current(&mut self, branch_id: &BranchId, age: Duration) -> Option<&KnownRecords> {
        let records = self.0.get_mut(branch_id)?;
        records.drop_gone(age);
        Some(records)
    }

    pub fn refuse(&mut self, known: &Known, error: &Error) {
        if let Some(records) = self.0.get_mut(&known.record.branch_id) {
            records.refuse(known, error);
        }
    }

    fn add_all<'a>(&mut self, records: impl Iterator<Item = &'a BranchRecord>) {
        for record in records {
            self.0.entry(record.branch_id.clone()).or_default().add(record);
        }
    }

    /// Adds to the error of a missing record that there is one that the CMK refused.
    pub fn explain(&self, error: Error, branch_id: &BranchId, version: &BranchVersion) -> Error {
        match self.get(branch_id) {
            Some(records) => records.explain(error, version),
            None => error,
        }
    }

    /// Replaces all records. A record that is no longer present can be used until `age` after `since`, when the source last had it.
    /// Returns the number of records that disappeared.
    pub fn replace(&mut self, records: &[&BranchRecord], since: Moment, age: Duration) -> usize {
        for entry in self.0.values_mut().flat_map(|branch| &mut branch.0) {
            entry.is_present = false;
        }
        self.add_all(records.iter().copied());
        let went = self.0.values_mut().map(|branch| branch.drop_absent(since, age)).sum();
        self.0.retain(|_, branch| !branch.is_empty());
        went
    }

    /// Drops records that have been gone for `age`.
    pub fn drop_gone(&mut self, age: Duration) {
        self.0.values_mut().for_each(|branch| branch.drop_gone(age));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;

    fn record(version: u8, day: u8) -> BranchRecord {
        BranchRecord::parse(&format!(
            "tbk1 ap-guangzhou/k orders {version:08x}-0000-0000-0000-000000000000 2026-01-{day:02}T00:00:00Z b{version}"
        ))
        .unwrap()
    }

    fn newest(branches: &KnownBranches) -> Option<BranchRecord> {
        branches.get(&BranchId::new("orders").unwrap())?.newest(&|_| true).map(|known| known.record.clone())
    }

    #[test]
    fn a_record_that_disappeared_is_used_until_its_age() {
        let (old, new) = (record(1, 1), record(2, 2));
        let age = Duration::from_millis(40);
        let mut branches = KnownBranches::of([&old, &new].into_iter());
        assert_eq!(branches.replace(&[&old], Moment::now(), age), 1);
        assert_eq!(branches.replace(&[&old], Moment::now(), age), 0);
        assert_eq!(newest(&branches), Some(new.clone()));
        std::thread::sleep(age);
        branches.drop_gone(age);
        assert_eq!(newest(&branches), Some(old.clone()));
        // A record that reappears before its age is used as before.
        assert_eq!(branches.replace(&[&old, &new], Moment::now(), age), 0);
        assert_eq!(branches.replace(&[&old], Moment::now(), age), 1);
        assert_eq!(branches.replace(&[&old, &new], Moment::now(), age), 0);
        std::thread::sleep(age);
        branches.drop_gone(age);
        assert_eq!(newest(&branches), Some(new));
    }

    #[test]
    fn the_age_of_a_record_counts_from_when_its_source_last_had_it() {
        let (old, new) = (record(1, 1), record(2, 2));
        let age = Duration::from_millis(40);
        let mut records = KnownRecords::default();
        let begun = Moment::now();
        assert_eq!(records.replace(&[old.clone(), new.clone()], Some(begun), age), 0);
        std::thread::sleep(age);
        // A source that may have been read incompletely says nothing about other records.
        assert_eq!(records.replace(&[], None, age), 0);
        assert!(records.newest_present(&|_| true).is_some());
        assert_eq!(records.replace(std::slice::from_ref(&old), Some(begun), age), 1);
        assert!(records.find(&new.version).is_none());
        assert_eq!(records.replace(&[], Some(Moment::now()), age), 1);
        assert!(records.newest_to_seal(BranchForm::ByReference, &|_| true).is_none());
        assert_eq!(records.newest_to_seal(BranchForm::Embedded, &|_| true).unwrap().record, old);
    }

    #[test]
    fn the_oldest_ones_of_too_many_records_are_dropped() {
        let numbered = |number: usize| {
            let mut record = record(1, 2);
            let mut version = [0; BranchVersion::LEN];
            version[..8].copy_from_slice(&number.to_be_bytes());
            (record.version, record.created) = (BranchVersion::from_bytes(version), number as i64);
            record
        };
        let many: Vec<_> = (0..=RECORDS_MAX).map(numbered).collect();
        let mut records = KnownRecords::default();
        let age = Duration::from_secs(3600);
        assert_eq!(records.replace(&many, Some(Moment::now()), age), 1);
        assert!(records.find(&many[0].version).is_none() && records.find(&many[1].version).is_some());
        // Those that the source no longer has come first.
        assert_eq!(records.replace(&many[..2], Some(Moment::now()), age), RECORDS_MAX - 1);
        assert!(records.find(&many[0].version).is_some() && records.find(&many[1].version).is_some());
        assert!(records.find(&many[2].version).is_none() && records.find(&many[RECORDS_MAX].version).is_some());
    }

    #[test]
    fn a_refused_record_is_not_used() {
        let refused = Error::new(Status::InvalidCiphertext, "no");
        let (old, new) = (record(1, 1), record(2, 2));
        let mut branches = KnownBranches::of([&old, &new].into_iter());
        let orders = BranchId::new("orders").unwrap();
        let known = branches.get(&orders).unwrap().newest(&|_| true).unwrap();
        branches.refuse(&known, &refused);
        assert_eq!(newest(&branches), Some(old));
        assert!(branches.get(&orders).unwrap().find(&new.version).is_none());
        let missing = Error::new(Status::BranchRecordMissing, "missing");
        assert_eq!(branches.explain(missing, &orders, &new.version).message(), "missing; the CMK refused one: no");
        // Another record of the version is found instead, in any order.
        let right = BranchRecord { blob: "right".to_owned(), ..new.clone() };
        let found = |records: &KnownRecords| records.find(&new.version).map(|known| known.record.clone());
        let mut records = KnownRecords::default();
        records.replace(&[right.clone(), new.clone()], None, Duration::ZERO);
        records.refuse(&known, &refused);
        assert_eq!(found(&records), Some(right.clone()));
        records.replace(&[new.clone(), right.clone()], None, Duration::ZERO);
        assert_eq!(found(&records), Some(right));
    }
}
