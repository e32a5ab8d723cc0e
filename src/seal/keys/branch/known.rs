//! The records that a process knows, and their state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::seal::cache::IdMaker;
use crate::seal::cache::lru::Id;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::BranchRecord;
use crate::sys::clock::Moment;

/// The maximal number of records of one branch, more than a file can have.
const RECORDS_MAX: usize = 4096;
/// How long a record that the CMK refused is not used.
const REFUSAL: Duration = Duration::from_secs(60);

/// A record, with the id of its key in the cache.
pub(super) struct Known {
    pub record: BranchRecord,
    pub id: Id,
}

impl Known {
    pub fn new(record: BranchRecord) -> Arc<Self> {
        let id = key_id(&record.branch_id, &record.version, record.blob.as_bytes());
        Arc::new(Self { record, id })
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
    /// When it disappeared from its source.
    gone: Option<Moment>,
    refused_until: Option<Moment>,
}

impl Entry {
    fn new(record: &BranchRecord) -> Self {
        Self { known: Known::new(record.clone()), is_present: true, gone: None, refused_until: None }
    }
}

/// The records of one branch.
#[derive(Default)]
pub(super) struct KnownRecords(Vec<Entry>);

impl KnownRecords {
    /// Adds a record, unless it is known.
    pub fn add(&mut self, record: &BranchRecord) {
        let is_full = self.0.len() >= RECORDS_MAX;
        match self.0.iter_mut().find(|entry| are_same(&entry.known.record, record)) {
            Some(entry) => (entry.is_present, entry.gone) = (true, None),
            None if is_full => {}
            None => self.0.push(Entry::new(record)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn find(&self, version: &BranchVersion) -> Option<Arc<Known>> {
        self.0.iter().map(|entry| &entry.known).find(|known| known.record.version == *version).cloned()
    }

    /// The newest record that passes the test and that the CMK did not refuse.
    pub fn newest(&self, passes: &dyn Fn(&BranchRecord) -> bool) -> Option<Arc<Known>> {
        let now = Moment::now();
        let usable = self.0.iter().filter(|entry| entry.refused_until.is_none_or(|until| until <= now));
        let passing = usable.map(|entry| &entry.known).filter(|known| passes(&known.record));
        passing.max_by_key(|known| (known.record.created, *known.record.version.bytes())).cloned()
    }

    /// Does not use a record for a while.
    pub fn refuse(&mut self, known: &Known) {
        for entry in self.0.iter_mut().filter(|entry| entry.known.id == known.id) {
            entry.refused_until = Some(Moment::now() + REFUSAL);
        }
    }

    /// Marks the records that are not present as gone, and drops those that have been gone for `age`. Returns the number of newly
    /// marked ones.
    fn drop_absent(&mut self, age: Duration) -> usize {
        let now = Moment::now();
        let mut went = 0;
        for entry in self.0.iter_mut().filter(|entry| !entry.is_present) {
            went += usize::from(entry.gone.is_none());
            entry.gone.get_or_insert(now);
        }
        self.drop_gone(age);
        went
    }

    fn drop_gone(&mut self, age: Duration) {
        let now = Moment::now();
        self.0.retain(|entry| entry.gone.is_none_or(|gone| now.since(gone) < age));
    }
}

/// The records of all branches under one CMK.
#[derive(Default)]
pub(super) struct KnownBranches(HashMap<BranchId, KnownRecords>);

impl KnownBranches {
    pub fn of<'a>(records: impl Iterator<Item = &'a BranchRecord>) -> Self {
        let mut branches = Self::default();
        branches.add_all(records);
        branches
    }

    pub fn get(&self, branch_id: &BranchId) -> Option<&KnownRecords> {
        self.0.get(branch_id)
    }

    pub fn get_mut(&mut self, branch_id: &BranchId) -> Option<&mut KnownRecords> {
        self.0.get_mut(branch_id)
    }

    fn add_all<'a>(&mut self, records: impl Iterator<Item = &'a BranchRecord>) {
        for record in records {
            self.0.entry(record.branch_id.clone()).or_default().add(record);
        }
    }

    /// Replaces all records. A record that is no longer present can be used for `age`. Returns the number of records that
    /// disappeared.
    pub fn replace(&mut self, records: &[&BranchRecord], age: Duration) -> usize {
        for entry in self.0.values_mut().flat_map(|branch| &mut branch.0) {
            entry.is_present = false;
        }
        self.add_all(records.iter().copied());
        let went = self.0.values_mut().map(|branch| branch.drop_absent(age)).sum();
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
        assert_eq!(branches.replace(&[&old], age), 1);
        assert_eq!(branches.replace(&[&old], age), 0);
        assert_eq!(newest(&branches), Some(new.clone()));
        std::thread::sleep(age);
        branches.drop_gone(age);
        assert_eq!(newest(&branches), Some(old.clone()));
        // A record that reappears before its age is used as before.
        assert_eq!(branches.replace(&[&old, &new], age), 0);
        assert_eq!(branches.replace(&[&old], age), 1);
        assert_eq!(branches.replace(&[&old, &new], age), 0);
        std::thread::sleep(age);
        branches.drop_gone(age);
        assert_eq!(newest(&branches), Some(new));
    }

    #[test]
    fn a_refused_record_is_not_used() {
        let (old, new) = (record(1, 1), record(2, 2));
        let mut branches = KnownBranches::of([&old, &new].into_iter());
        let orders = BranchId::new("orders").unwrap();
        let known = branches.get(&orders).unwrap().newest(&|_| true).unwrap();
        branches.get_mut(&orders).unwrap().refuse(&known);
        assert_eq!(newest(&branches), Some(old));
        assert!(branches.get(&orders).unwrap().find(&new.version).is_some());
    }
}
