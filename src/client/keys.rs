//! Managing CMKs: creating, describing, listing, enabling, disabling, rotating and deleting them, and importing their
//! material.

use std::future::ready;
use std::pin::pin;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Client, check_key_id};
use crate::api::request::{Fields, Request};
use crate::block_on::block_on;
use crate::encoding::base64_decode;
use crate::error::{Error, Result};
use crate::sign::{PublicKey, RsaPadding};
use crate::status::Status;

/// The maximum number of keys in one reply of ListKeyDetail.
const PAGE: usize = 200;
/// Bounds of ScheduleKeyDeletion.
const DELETION_DAYS: std::ops::RangeInclusive<u32> = 7..=30;
/// Bounds of EnableKeyRotation.
const ROTATION_DAYS: std::ops::RangeInclusive<u32> = 7..=365;
/// The material of a symmetric CMK: 16 bytes for SM4, 32 for AES-256.
const MATERIAL_LENS: [usize; 2] = [16, 32];
/// The latest `ValidTo` of ImportKeyMaterial.
const VALID_TO_MAX: i64 = 2_147_443_200;

/// The options of a new CMK.
#[derive(Clone, Debug, Default)]
pub struct NewKey<'a> {
    /// 1 to 60 letters, digits, `-` and `_`, beginning with a letter or digit; unique in an account and region.
    pub alias: &'a str,
    /// The service's name, such as `ASYMMETRIC_SIGN_VERIFY_ECC`. Without one, `ENCRYPT_DECRYPT`.
    pub usage: Option<&'a str>,
    /// At most 1024 bytes.
    pub description: Option<&'a str>,
    /// Whether the material is to be imported, see [`Client::import_key_material`].
    pub external: bool,
    /// Names and values.
    pub tags: &'a [(&'a str, &'a str)],
}

/// The result of CreateKey.
pub struct CreatedKey {
    /// The new key.
    pub key_id: String,
    /// The reason if the key was created but its tags could not be set.
    pub tag_failure: Option<String>,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// The metadata of a CMK. Times are seconds since the Unix epoch, 0 if there is none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct KeyInfo {
    #[serde(deserialize_with = "key_id_of_a_key")]
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

/// The fields of a request, as the API spells them.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_usage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_type: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_state: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_key_alias: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tag_filters: Vec<TagFilter<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_window_in_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotate_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapping_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapping_key_spec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    import_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag<'a> {
    tag_key: &'a str,
    tag_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TagFilter<'a> {
    tag_key: &'a str,
    tag_value: [&'a str; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateKeyFields {
    key_id: String,
    #[serde(default, deserialize_with = "null_as_default")]
    tag_code: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    tag_msg: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeKeyFields {
    key_metadata: KeyInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListKeyDetailFields {
    #[serde(default, deserialize_with = "null_as_default")]
    key_metadatas: Vec<KeyInfo>,
    #[serde(default)]
    total_count: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeletionFields {
    deletion_date: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImportParameters {
    import_token: String,
    public_key: String,
}

impl Client {
    /// Creates a CMK. The request is not sent again if it may have been executed, see
    /// [`Config::set_retry_unsafe_actions`].
    ///
    /// [`Config::set_retry_unsafe_actions`]: crate::Config::set_retry_unsafe_actions
    pub fn create_key(&self, new: &NewKey<'_>) -> Result<CreatedKey> {
        let tags = new.tags.iter().map(|(key, value)| Tag { tag_key: key, tag_value: value }).collect();
        let parameters = Parameters {
            alias: Some(new.alias),
            description: new.description,
            key_usage: new.usage,
            r#type: new.external.then_some(2),
            tags,
            ..Parameters::default()
        };
        self.manage("CreateKey", None, &parameters, |fields: CreateKeyFields, request_id| CreatedKey {
            key_id: fields.key_id,
            tag_failure: (fields.tag_code != 0).then(|| tag_failure(fields.tag_code, fields.tag_msg)),
            request_id,
        })
    }

    /// Gets the metadata of a CMK.
    pub fn describe_key(&self, key_id: &str) -> Result<KeyInfo> {
        self.manage("DescribeKey", Some(key_id), &for_key(key_id), |fields: DescribeKeyFields, _| fields.key_metadata)
    }

    /// Calls `visit` with each CMK, in the order of creation, until it returns `false`.
    pub fn list_keys(&self, filter: &KeyFilter<'_>, mut visit: impl FnMut(KeyInfo) -> bool) -> Result<()> {
        let state = self.checked("ListKeyDetail", None, filter.state.map(state_number).transpose())?;
        let (mut offset, mut first_key) = (0, None);
        loop {
            let parameters = Parameters {
                offset: Some(offset),
                limit: Some(PAGE),
                order_type: Some(1),
                key_state: state,
                search_key_alias: filter.search,
                tag_filters: filter
                    .tag
                    .iter()
                    .map(|(key, value)| TagFilter { tag_key: key, tag_value: [value] })
                    .collect(),
                // Without a usage the service lists symmetric keys only.
                key_usage: Some(filter.usage.unwrap_or("ALL")),
                ..Parameters::default()
            };
            let page = self.manage("ListKeyDetail", None, &parameters, |fields: ListKeyDetailFields, _| fields)?;
            let (keys, is_last) =
                (page.key_metadatas, |seen| page.total_count.map_or(seen % PAGE != 0, |total| seen >= total));
            let Some(first) = keys.first() else { return Ok(()) };
            if first_key.as_ref() == Some(&first.key_id) {
                return self.checked("ListKeyDetail", None, Err(same_page_again(offset)));
            }
            first_key = Some(first.key_id.clone());
            offset += keys.len();
            if !keys.into_iter().all(&mut visit) || is_last(offset) {
                return Ok(());
            }
        }
    }

    /// Enables a CMK.
    pub fn enable_key(&self, key_id: &str) -> Result<()> {
        self.act_on_key("EnableKey", key_id, &for_key(key_id))
    }

    /// Disables a CMK.
    pub fn disable_key(&self, key_id: &str) -> Result<()> {
        self.act_on_key("DisableKey", key_id, &for_key(key_id))
    }

    /// Schedules a disabled CMK for deletion in 7 to 30 days, and returns the time in seconds since the Unix
    /// epoch. Data that was encrypted under it is lost then.
    pub fn schedule_key_deletion(&self, key_id: &str, days: u32) -> Result<i64> {
        self.checked("ScheduleKeyDeletion", Some(key_id), check_days("days until deletion", days, DELETION_DAYS))?;
        let parameters = Parameters { pending_window_in_days: Some(days), ..for_key(key_id) };
        self.manage("ScheduleKeyDeletion", Some(key_id), &parameters, |fields: DeletionFields, _| fields.deletion_date)
    }

    /// Cancels the deletion of a CMK. The CMK is disabled afterwards.
    pub fn cancel_key_deletion(&self, key_id: &str) -> Result<()> {
        self.act_on_key("CancelKeyDeletion", key_id, &for_key(key_id))
    }

    /// Turns the automatic rotation of a symmetric CMK on, every 7 to 365 days, or off without a number of days.
    pub fn set_key_rotation(&self, key_id: &str, days: Option<u32>) -> Result<()> {
        let Some(days) = days else { return self.act_on_key("DisableKeyRotation", key_id, &for_key(key_id)) };
        let checked = check_days("days between rotations", days, ROTATION_DAYS);
        self.checked("EnableKeyRotation", Some(key_id), checked)?;
        self.act_on_key("EnableKeyRotation", key_id, &Parameters { rotate_days: Some(days), ..for_key(key_id) })
    }

    /// Starts a rotation of a symmetric CMK, which the service allows once in 24 hours and completes later: poll
    /// [`KeyInfo::last_rotate_time`].
    pub fn rotate_key(&self, key_id: &str) -> Result<()> {
        self.act_on_key("RotateKey", key_id, &for_key(key_id))
    }

    /// Imports the material of an external CMK, 16 or 32 bytes. It is sent encrypted under a key of the service.
    /// `valid_to` is when it expires, in seconds since the Unix epoch; without it, never.
    pub fn import_key_material(&self, key_id: &str, material: &[u8], valid_to: Option<i64>) -> Result<()> {
        self.checked("ImportKeyMaterial", Some(key_id), check_material(material).and(check_valid_to(valid_to)))?;
        let parameters = Parameters {
            wrapping_algorithm: Some(RsaPadding::OaepSha256.service_name()),
            wrapping_key_spec: Some("RSA_2048"),
            ..for_key(key_id)
        };
        self.as_one_call(|| {
            let fetched =
                self.manage("GetParametersForImport", Some(key_id), &parameters, |fields: ImportParameters, _| fields)?;
            block_on(pin!(self.counted(
                "ImportKeyMaterial",
                Some(key_id),
                pin!(async {
                    let wrapped = wrap(material, &fetched.public_key)?;
                    let parameters =
                        Parameters { import_token: Some(&fetched.import_token), valid_to, ..for_key(key_id) };
                    let fields = Fields::from_json(&parameters)?.base64("EncryptedKeyMaterial", &wrapped)?;
                    self.execute(&Request::new("ImportKeyMaterial", fields)?, |_| Ok(())).await
                }),
            )))
        })
    }

    /// An action on one key whose reply has no fields.
    fn act_on_key(&self, action: &'static str, key_id: &str, parameters: &Parameters<'_>) -> Result<()> {
        self.manage(action, Some(key_id), parameters, |_: serde::de::IgnoredAny, _| ())
    }

    /// Counts a call that is refused because of its arguments, and names it in the error.
    fn checked<T>(&self, action: &str, key_id: Option<&str>, arguments: Result<T>) -> Result<T> {
        arguments.or_else(|error| block_on(pin!(self.counted(action, key_id, ready(Err(error))))))
    }

    fn manage<F: for<'de> Deserialize<'de>, T: Send>(
        &self,
        action: &str,
        key_id: Option<&str>,
        parameters: &Parameters<'_>,
        extract: impl Fn(F, Option<String>) -> T + Send + Sync,
    ) -> Result<T> {
        block_on(pin!(self.counted(
            action,
            key_id,
            pin!(async {
                key_id.map_or(Ok(()), check_key_id)?;
                let json = serde_json::to_string(parameters)
                    .map_err(|_| Error::new(Status::Internal, "the parameters cannot be written as JSON"))?;
                let mut request = Request::raw(action, &json)?;
                request.repeatable |= self.limits.retry_unsafe.unwrap_or(false);
                self.send(&request, |response, reply| {
                    Ok(extract(reply.fields()?, response.request_id().map(str::to_owned)))
                })
                .await
            }),
        )))
    }
}

/// The service writes null for fields without a value.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Never empty, so that it is not taken for success.
fn tag_failure(code: i64, message: String) -> String {
    if message.trim().is_empty() { format!("the service returned tag code {code} without a reason") } else { message }
}

/// A description without a key id is malformed, whatever else the service omits.
fn key_id_of_a_key<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    let key_id = String::deserialize(deserializer)?;
    if key_id.is_empty() { Err(D::Error::custom("a key without its id")) } else { Ok(key_id) }
}

fn same_page_again(offset: usize) -> Error {
    let message = format!("the service returned the same keys again for offset {offset}");
    Error::new(Status::ResponseMalformed, message)
}

fn for_key(key_id: &str) -> Parameters<'_> {
    Parameters { key_id: Some(key_id), ..Parameters::default() }
}

fn wrap(material: &[u8], public_key: &str) -> Result<Vec<u8>> {
    let malformed = || Error::new(Status::ResponseMalformed, "the public key for the import is not base64");
    PublicKey::from_spki(&base64_decode(public_key).map_err(|_| malformed())?)?
        .rsa_encrypt(RsaPadding::OaepSha256, material)
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

fn check_days(what: &str, days: u32, allowed: std::ops::RangeInclusive<u32>) -> Result<()> {
    if allowed.contains(&days) {
        return Ok(());
    }
    let message = format!("the {what} are {days}, {} to {} are allowed", allowed.start(), allowed.end());
    Err(Error::new(Status::OutOfRange, message))
}

fn check_material(material: &[u8]) -> Result<()> {
    if MATERIAL_LENS.contains(&material.len()) {
        return Ok(());
    }
    let message = format!("the key material has {} bytes, 16 or 32 are allowed", material.len());
    Err(Error::new(Status::InvalidLength, message))
}

fn check_valid_to(valid_to: Option<i64>) -> Result<()> {
    match valid_to {
        Some(time) if !(1..=VALID_TO_MAX).contains(&time) => {
            let message =
                format!("the time until which the material is valid is {time}, 1 to {VALID_TO_MAX} are allowed");
            Err(Error::new(Status::OutOfRange, message))
        }
        _ => Ok(()),
    }
}
