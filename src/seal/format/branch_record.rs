//! Records of branch keys as text, a line each. They are not secret: only the CMK opens the blob, with the branch id
//! and the version as its encryption context.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::calendar::{TIME_END, parse_rfc3339, rfc3339};
use crate::error::{Error, Result};
use crate::sanitize::excerpt;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::status::Status;
use crate::sys::clock::unix_seconds;

/// The prefix of each record: the format and its version.
const FORMAT: &str = "tbk1";
/// The beginning that all versions of the format have.
const FORMAT_FAMILY: &str = "tbk";
/// Longest text of records that is read: about 2500 of them.
pub const BRANCH_RECORDS_MAX: usize = 1 << 20;
/// Longest `<region>/<KeyId>` of a record: 32 and 64 characters.
const CMK_MAX: usize = 97;
/// Longest blob of a record. Those of the service have about 210 characters.
const BLOB_MAX: usize = 4096;

/// The wrapped key of one version of a branch: `tbk1 <region>/<KeyId> <branch id> <version> <created> <blob>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchRecord {
    pub(crate) cmk: String,
    pub(crate) branch_id: BranchId,
    pub(crate) version: BranchVersion,
    /// In seconds since the Unix epoch. It is a claim: nothing authenticates it.
    pub(crate) created: i64,
    pub(crate) blob: String,
}

impl BranchRecord {
    /// Reads a line, without its newline.
    pub fn parse(line: &str) -> Result<Self> {
        let mut parts = line.split(' ');
        match parts.next() {
            Some(FORMAT) => {}
            Some(other) if other.starts_with(FORMAT_FAMILY) => {
                let message = format!("the record has the format {}, this library knows {FORMAT}", excerpt(other));
                return Err(Error::new(Status::InvalidBranchRecord, message));
            }
            _ => return Err(invalid(&format!("does not begin with {FORMAT}"))),
        }
        let mut part = |name: &str| parts.next().ok_or_else(|| invalid(&format!("ends before its {name}")));
        let (cmk, id, version, created, blob) =
            (part("CMK")?, part("branch id")?, part("version")?, part("time")?, part("blob")?);
        if parts.next().is_some() {
            return Err(invalid("has something after its blob"));
        }
        if !is_cmk(cmk) {
            return Err(invalid("does not name its CMK as <region>/<KeyId>"));
        }
        if blob.is_empty() || blob.len() > BLOB_MAX || !blob.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("has no CiphertextBlob"));
        }
        Ok(Self {
            cmk: cmk.to_owned(),
            branch_id: BranchId::new(id).map_err(|error| invalid(&format!("is not valid: {}", error.message())))?,
            version: BranchVersion::parse(version).ok_or_else(|| invalid("has no UUID as its version"))?,
            created: parse_rfc3339(created).ok_or_else(|| invalid("has no time like 2026-01-31T12:00:00Z"))?,
            blob: blob.to_owned(),
        })
    }

    /// `<region>/<KeyId>` of the CMK that wraps the branch key.
    pub fn cmk(&self) -> &str {
        &self.cmk
    }

    /// The branch.
    pub fn branch_id(&self) -> &BranchId {
        &self.branch_id
    }

    /// The version, a UUID as text.
    pub fn version(&self) -> String {
        self.version.to_string()
    }

    /// When the record was created, according to the record. It is not authenticated.
    pub fn created(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.created).unwrap_or(0))
    }

    /// The branch key, wrapped by the CMK.
    pub fn blob(&self) -> &str {
        &self.blob
    }
}

/// The encryption context of a branch key, which is canonical as it is: the names and values need no escapes.
pub(crate) fn kms_context(branch_id: &BranchId, version: &BranchVersion) -> String {
    format!(r#"{{"tckms-branch":"{branch_id}","tckms-version":"{version}"}}"#)
}

impl fmt::Display for BranchRecord {
    /// The line, without a newline.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cmk, branch_id, version, created, blob } = self;
        write!(formatter, "{FORMAT} {cmk} {branch_id} {version} {} {blob}", rfc3339(*created))
    }
}

/// Records in the order of their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchRecords(Vec<BranchRecord>);

impl BranchRecords {
    /// Reads a text of records. Blank lines, and lines that begin with `#`, are ignored. One malformed line makes
    /// the whole text invalid: it is not known which of its records are correct.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > BRANCH_RECORDS_MAX {
            let message = format!("the records have {} bytes, {BRANCH_RECORDS_MAX} are allowed", text.len());
            return Err(Error::new(Status::InvalidBranchRecord, message));
        }
        let mut records = Self::default();
        for (number, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.trim_ascii().is_empty() || line.starts_with('#') {
                continue;
            }
            let record = BranchRecord::parse(line)
                .map_err(|error| invalid(&format!("in line {} is malformed: {}", number + 1, error.message())))?;
            records
                .add(record)
                .map_err(|error| Error::new(error.status(), format!("{}, in line {}", error.message(), number + 1)))?;
        }
        Ok(records)
    }

    /// Adds a record at the end. The same record may exist already, but no other one of its version.
    pub fn add(&mut self, record: BranchRecord) -> Result<()> {
        let same_version = |other: &&BranchRecord| {
            (&other.version, &other.branch_id, &other.cmk) == (&record.version, &record.branch_id, &record.cmk)
        };
        match self.0.iter().find(same_version) {
            Some(other) if *other == record => Ok(()),
            Some(_) => Err(invalid("has the version of another one")),
            None => {
                self.0.push(record);
                Ok(())
            }
        }
    }

    /// The records.
    pub fn iter(&self) -> impl Iterator<Item = &BranchRecord> {
        self.0.iter()
    }

    /// The newest record of a branch under a CMK (`<region>/<KeyId>`): the one that seals.
    pub fn newest(&self, cmk: &str, branch_id: &BranchId) -> Option<&BranchRecord> {
        let records = self.0.iter().filter(|record| record.cmk == cmk && record.branch_id == *branch_id);
        records.max_by_key(|record| record.created)
    }
}

impl fmt::Display for BranchRecords {
    /// A text that [`BranchRecords::parse`] reads.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|record| writeln!(formatter, "{record}"))
    }
}

fn is_cmk(text: &str) -> bool {
    let region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let key_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let parts = text.split_once('/').filter(|(region, key_id)| !region.is_empty() && !key_id.is_empty());
    text.len() <= CMK_MAX && parts.is_some_and(|(left, right)| left.bytes().all(region) && right.bytes().all(key_id))
}

fn invalid(reason: &str) -> Error {
    Error::new(Status::InvalidBranchRecord, format!("a record of a branch key {reason}"))
}

/// The current time in whole seconds, within the range of the text form.
pub(crate) fn now() -> i64 {
    unix_seconds(SystemTime::now()).clamp(0, TIME_END - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "tbk1 ap-guangzhou/93866e69-9755-11ef-8e65-52540089bc41 orders \
                        83eec007-5659-4554-bf11-699b90f41ac6 2026-11-28T18:00:00Z a-k-b==";

    #[test]
    fn a_line_is_read_and_written() {
        let record = BranchRecord::parse(LINE).unwrap();
        assert_eq!(record.to_string(), LINE);
        assert_eq!(record.branch_id().as_str(), "orders");
        assert_eq!(record.blob(), "a-k-b==");
        assert_eq!(
            kms_context(&record.branch_id, &record.version),
            r#"{"tckms-branch":"orders","tckms-version":"83eec007-5659-4554-bf11-699b90f41ac6"}"#
        );
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let changed = |from: &str, to: &str| LINE.replace(from, to);
        for bad in [
            String::new(),
            changed("tbk1", "tbk2"),
            changed("tbk1", "xbk1"),
            changed("ap-guangzhou/", ""),
            changed("ap-guangzhou/", "/"),
            changed("orders", "or/ders"),
            changed("orders", &"x".repeat(65)),
            changed("83eec007", "83EEC007"),
            changed("2026-11-28", "2026-02-30"),
            changed("18:00:00Z", "24:00:00Z"),
            changed("18:00:00Z", "18:00:00"),
            changed(" a-k-b==", ""),
            changed(" a-k-b==", " "),
            changed(" a-k-b==", " a b"),
            changed("a-k-b==", "\u{7f}"),
            changed("a-k-b==", &"x".repeat(4097)),
            changed(" orders", "  orders"),
        ] {
            assert_eq!(BranchRecord::parse(&bad).err().unwrap().status(), Status::InvalidBranchRecord, "{bad}");
        }
    }

    #[test]
    fn the_newest_of_a_branch_and_a_cmk_seals() {
        let other = LINE.replace("83eec007", "00000000");
        let older = other.replace("2026-11-28", "2025-11-28");
        let records = BranchRecords::parse(&format!("# comment\n\n{LINE}\r\n{older}\n{LINE}\n")).unwrap();
        assert_eq!(records.iter().count(), 2);
        let orders = BranchId::new("orders").unwrap();
        let cmk = "ap-guangzhou/93866e69-9755-11ef-8e65-52540089bc41";
        assert_eq!(records.newest(cmk, &orders).unwrap().to_string(), LINE);
        assert!(records.newest("ap-guangzhou/1", &orders).is_none());
        assert!(records.newest(cmk, &BranchId::new("other").unwrap()).is_none());
        assert_eq!(BranchRecords::parse(&records.to_string()).unwrap(), records);
    }

    #[test]
    fn a_malformed_line_or_a_duplicate_version_is_an_error() {
        for bad in [format!("{LINE}\n{}\n", &LINE[..80]), format!("{LINE}\n{LINE}x\n"), "x".repeat((1 << 20) + 1)] {
            assert_eq!(BranchRecords::parse(&bad).err().unwrap().status(), Status::InvalidBranchRecord);
        }
    }
}
