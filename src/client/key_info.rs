//! The metadata of a CMK, as DescribeKey and ListKeyDetail return it.

use serde::{Deserialize, Deserializer};

use crate::api::response::is_key_id;
use crate::error::{Error, Result};
use crate::sanitize::is_printable;
use crate::status::Status;

/// Longest name in bytes: an alias has at most 60 characters, the names of states and usages fewer.
const NAME_MAX: usize = 256;
/// Longest description in bytes. The service allows 1024.
const DESCRIPTION_MAX: usize = 4096;
/// The latest time, at the end of the year 9999.
const TIME_MAX: i64 = 253_402_300_799;
/// The longest interval between rotations. The service allows 365 days.
const ROTATE_DAYS_MAX: i64 = 36_500;

/// The metadata of a CMK. Times are seconds since the Unix epoch, 0 if there is none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct KeyInfo {
    pub key_id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub alias: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub description: String,
    /// `Enabled`, `Disabled`, `PendingDelete`, `PendingImport` or `Archived`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub key_state: String,
    /// Such as `ENCRYPT_DECRYPT`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub key_usage: String,
    /// `TENCENT_KMS`, or `EXTERNAL` for imported material.
    #[serde(default, deserialize_with = "null_as_default")]
    pub origin: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub owner: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub key_rotation_enabled: bool,
    #[serde(default, deserialize_with = "null_as_default")]
    pub rotate_days: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub create_time: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub next_rotate_time: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub last_rotate_time: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub deletion_date: i64,
    /// When imported material expires.
    #[serde(default, deserialize_with = "null_as_default")]
    pub valid_to: i64,
}

impl KeyInfo {
    /// Refuses what no CMK has. Programs print these texts and compute with these numbers.
    pub(crate) fn check(&self) -> Result<()> {
        check_new_key_id(&self.key_id)?;
        let names = [
            ("Alias", &self.alias),
            ("KeyState", &self.key_state),
            ("KeyUsage", &self.key_usage),
            ("Origin", &self.origin),
            ("Owner", &self.owner),
        ];
        names.into_iter().try_for_each(|(field, name)| check_name(field, name))?;
        if self.description.len() > DESCRIPTION_MAX {
            return Err(malformed("Description", "is too long"));
        }
        let times = [
            ("CreateTime", self.create_time),
            ("NextRotateTime", self.next_rotate_time),
            ("LastRotateTime", self.last_rotate_time),
            ("DeletionDate", self.deletion_date),
            ("ValidTo", self.valid_to),
        ];
        times.into_iter().try_for_each(|(field, time)| check_number(field, time, TIME_MAX))?;
        check_number("RotateDays", self.rotate_days, ROTATE_DAYS_MAX)
    }
}

/// The service writes null for fields without a value.
pub(super) fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Checks an id that only the reply has.
pub(super) fn check_new_key_id(key_id: &str) -> Result<()> {
    if is_key_id(key_id) { Ok(()) } else { Err(malformed("KeyId", "is not a key id")) }
}

/// Checks a time that a reply must have.
pub(super) fn check_time(field: &str, time: i64) -> Result<()> {
    if time == 0 { Err(malformed(field, "is 0")) } else { check_number(field, time, TIME_MAX) }
}

fn check_name(field: &str, name: &str) -> Result<()> {
    if name.len() <= NAME_MAX && is_printable(name) {
        return Ok(());
    }
    Err(malformed(field, "is too long or not printable"))
}

fn check_number(field: &str, number: i64, max: i64) -> Result<()> {
    if (0..=max).contains(&number) {
        return Ok(());
    }
    Err(malformed(field, &format!("is {number}, 0 to {max} are possible")))
}

pub(super) fn malformed(field: &str, what: &str) -> Error {
    Error::new(Status::ResponseMalformed, format!("the reply is not what the API promises: {field} {what}"))
}
