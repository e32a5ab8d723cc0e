//! Managing CMKs: creating, describing, enabling, disabling, rotating and deleting them, and importing their
//! material.

use std::future::ready;
use std::pin::pin;

use serde::Deserialize;

use super::key_info::{KeyInfo, check_new_key_id, check_time, malformed, null_as_default};
use super::parameters::{Parameters, Tag, for_key};
use super::{Client, check_about_key, check_key_id, check_key_if_named, check_named_key};
use crate::api::request::{Fields, Request};
use crate::api::response::Response;
use crate::block_on::block_on;
use crate::encoding::base64_decode;
use crate::error::{Error, Result};
use crate::sign::{KeyType, PublicKey, RsaPadding};
use crate::status::Status;

/// Bounds of ScheduleKeyDeletion.
const DELETION_DAYS: std::ops::RangeInclusive<u32> = 7..=30;
/// Bounds of EnableKeyRotation.
const ROTATION_DAYS: std::ops::RangeInclusive<u32> = 7..=365;
/// The material of a symmetric CMK: 16 bytes for SM4, 32 for AES-256.
const MATERIAL_LENS: [usize; 2] = [16, 32];
/// Longest token of GetParametersForImport that is sent back.
const IMPORT_TOKEN_MAX: usize = 64 * 1024;
/// Longest reason for tags that could not be set, in characters.
const TAG_MESSAGE_MAX: usize = 512;
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
        self.manage("CreateKey", None, &parameters, |fields: CreateKeyFields, response| {
            check_new_key_id(&fields.key_id)?;
            Ok(CreatedKey {
                key_id: fields.key_id,
                tag_failure: (fields.tag_code != 0).then(|| tag_failure(fields.tag_code, &fields.tag_msg)),
                request_id: response.request_id().map(str::to_owned),
            })
        })
    }

    /// Gets the metadata of a CMK.
    pub fn describe_key(&self, key_id: &str) -> Result<KeyInfo> {
        block_on(pin!(self.counted("DescribeKey", Some(key_id), pin!(self.fetch_key_info(key_id)))))
    }

    /// As [`Client::describe_key`], for a call that is counted under its own name.
    pub(super) async fn fetch_key_info(&self, key_id: &str) -> Result<KeyInfo> {
        self.request_management("DescribeKey", Some(key_id), &for_key(key_id), |fields: DescribeKeyFields, response| {
            fields.key_metadata.check()?;
            check_about_key(key_id, &fields.key_metadata.key_id, response)?;
            Ok(fields.key_metadata)
        })
        .await
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
        self.manage("ScheduleKeyDeletion", Some(key_id), &parameters, |fields: DeletionFields, response| {
            check_named_key(key_id, response)?;
            check_time("DeletionDate", fields.deletion_date)?;
            Ok(fields.deletion_date)
        })
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
            let (token, wrapping_key) = self.manage(
                "GetParametersForImport",
                Some(key_id),
                &parameters,
                |fields: ImportParameters, response| {
                    check_named_key(key_id, response)?;
                    Ok((import_token(fields.import_token)?, wrapping_key(&fields.public_key)?))
                },
            )?;
            block_on(pin!(self.counted(
                "ImportKeyMaterial",
                Some(key_id),
                pin!(async {
                    let wrapped = wrapping_key.rsa_encrypt(RsaPadding::OaepSha256, material)?;
                    let parameters = Parameters { import_token: Some(&token), valid_to, ..for_key(key_id) };
                    let fields = Fields::from_json(&parameters)?.base64("EncryptedKeyMaterial", &wrapped)?;
                    let request = Request::new("ImportKeyMaterial", fields)?;
                    self.execute(&request, |response| check_key_if_named(key_id, response)).await
                }),
            )))
        })
    }

    /// An action on one key whose reply has no fields.
    fn act_on_key(&self, action: &'static str, key_id: &str, parameters: &Parameters<'_>) -> Result<()> {
        self.manage(action, Some(key_id), parameters, |_: serde::de::IgnoredAny, _| Ok(()))
    }

    /// Counts a call that is refused because of its arguments, and names it in the error.
    pub(super) fn checked<T>(&self, action: &str, key_id: Option<&str>, arguments: Result<T>) -> Result<T> {
        arguments.or_else(|error| block_on(pin!(self.counted(action, key_id, ready(Err(error))))))
    }

    pub(super) fn manage<F: for<'de> Deserialize<'de>, T: Send>(
        &self,
        action: &str,
        key_id: Option<&str>,
        parameters: &Parameters<'_>,
        extract: impl Fn(F, &Response<'_>) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        let request = self.request_management(action, key_id, parameters, extract);
        block_on(pin!(self.counted(action, key_id, pin!(request))))
    }

    /// A reply that names another CMK than the request does not belong to it, whatever the action.
    async fn request_management<F: for<'de> Deserialize<'de>, T: Send>(
        &self,
        action: &str,
        key_id: Option<&str>,
        parameters: &Parameters<'_>,
        extract: impl Fn(F, &Response<'_>) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        key_id.map_or(Ok(()), check_key_id)?;
        let json = serde_json::to_string(parameters)
            .map_err(|_| Error::new(Status::Internal, "the parameters cannot be written as JSON"))?;
        let mut request = Request::raw(action, &json)?;
        request.repeatable |= self.limits.retry_unsafe.unwrap_or(false);
        self.send(&request, |response, reply| {
            key_id.map_or(Ok(()), |key_id| check_key_if_named(key_id, response))?;
            extract(reply.fields()?, response)
        })
        .await
    }
}

/// Never empty, so that it is not taken for success.
fn tag_failure(code: i64, message: &str) -> String {
    match message.trim() {
        "" => format!("the service returned tag code {code} without a reason"),
        reason => reason.chars().take(TAG_MESSAGE_MAX).collect(),
    }
}

fn import_token(token: String) -> Result<String> {
    let is_token = (1..=IMPORT_TOKEN_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(token) } else { Err(malformed("ImportToken", "is empty, too long or not printable")) }
}

fn wrapping_key(public_key: &str) -> Result<PublicKey> {
    let spki = base64_decode(public_key).map_err(|_| malformed("PublicKey", "is not base64"))?;
    let key = PublicKey::from_spki(&spki)?;
    match key.key_type() {
        KeyType::Rsa2048 => Ok(key),
        other => Err(malformed("PublicKey", &format!("is a {} key, RSA-2048 was requested", other.name()))),
    }
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
