//! The actions of the KMS API (docs/kms-service.md), each a function from parameters to a result.

mod asymmetric;
mod binding;
mod ciphertext;
mod crypt;
mod data_keys;
mod hosting;
mod import;
mod lifecycle;
mod listing;
mod post_quantum;
mod service;
mod white_box;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::error::ApiError;

type Action = fn(&Emulator, Params) -> Answer;

/// How an action is run.
enum Handler {
    /// Works in memory and returns at once.
    Inline(Action),
    /// Waits for the disk or makes key material, so it must not delay other calls.
    Blocking(Action),
}

fn handler(action: &str) -> Option<Handler> {
    use Handler::{Blocking, Inline};
    Some(match action {
        "Encrypt" => Inline(crypt::encrypt),
        "Decrypt" => Inline(crypt::decrypt),
        "ReEncrypt" => Inline(crypt::re_encrypt),
        "GenerateDataKey" => Inline(crypt::generate_data_key),
        "GenerateRandom" => Inline(crypt::generate_random),

        "CreateKey" => Blocking(lifecycle::create_key),
        "EnableKey" => Blocking(lifecycle::enable_key),
        "EnableKeys" => Blocking(lifecycle::enable_keys),
        "DisableKey" => Blocking(lifecycle::disable_key),
        "DisableKeys" => Blocking(lifecycle::disable_keys),
        "ArchiveKey" => Blocking(lifecycle::archive_key),
        "CancelKeyArchive" => Blocking(lifecycle::cancel_key_archive),
        "ScheduleKeyDeletion" => Blocking(lifecycle::schedule_key_deletion),
        "CancelKeyDeletion" => Blocking(lifecycle::cancel_key_deletion),
        "EnableKeyRotation" => Blocking(lifecycle::enable_key_rotation),
        "DisableKeyRotation" => Blocking(lifecycle::disable_key_rotation),
        "UpdateAlias" => Blocking(lifecycle::update_alias),
        "UpdateKeyDescription" => Blocking(lifecycle::update_key_description),

        "DescribeKey" => Inline(listing::describe_key),
        "DescribeKeys" => Inline(listing::describe_keys),
        "ListKeys" => Inline(listing::list_keys),
        "ListKeyDetail" => Inline(listing::list_key_detail),
        "GetKeyRotationStatus" => Inline(listing::get_key_rotation_status),

        "GetPublicKey" => Inline(asymmetric::get_public_key),
        "SignByAsymmetricKey" => Blocking(asymmetric::sign),
        "VerifyByAsymmetricKey" => Inline(asymmetric::verify),
        "AsymmetricRsaDecrypt" => Blocking(asymmetric::rsa_decrypt),
        "AsymmetricSm2Decrypt" => Blocking(asymmetric::sm2_decrypt),

        "RotateKey" => Blocking(lifecycle::rotate_key),
        "GetParametersForImport" => Blocking(import::get_parameters),
        "ImportKeyMaterial" => Blocking(import::import_key_material),
        "DeleteImportedKeyMaterial" => Blocking(import::delete_imported_key_material),
        "BindCloudResource" => Blocking(binding::bind_cloud_resource),
        "UnbindCloudResource" => Blocking(binding::unbind_cloud_resource),

        "ImportDataKey" => Blocking(data_keys::import_data_key),
        "DescribeDataKey" => Inline(data_keys::describe_data_key),
        "DescribeDataKeys" => Inline(data_keys::describe_data_keys),
        "ListDataKeys" => Inline(data_keys::list_data_keys),
        "ListDataKeyDetail" => Inline(data_keys::list_data_key_detail),
        "EnableDataKey" => Blocking(data_keys::enable_data_key),
        "EnableDataKeys" => Blocking(data_keys::enable_data_keys),
        "DisableDataKey" => Blocking(data_keys::disable_data_key),
        "DisableDataKeys" => Blocking(data_keys::disable_data_keys),
        "ScheduleDataKeyDeletion" => Blocking(data_keys::schedule_data_key_deletion),
        "CancelDataKeyDeletion" => Blocking(data_keys::cancel_data_key_deletion),
        "UpdateDataKeyName" => Blocking(data_keys::update_data_key_name),
        "UpdateDataKeyDescription" => Blocking(data_keys::update_data_key_description),
        "GetDataKeyPlaintext" => Inline(data_keys::get_data_key_plaintext),
        "GetDataKeyCiphertextBlob" => Inline(data_keys::get_data_key_ciphertext_blob),

        "PostQuantumCryptoEncrypt" => Inline(post_quantum::encrypt),
        "PostQuantumCryptoDecrypt" => Inline(post_quantum::decrypt),
        "PostQuantumCryptoSign" => Inline(post_quantum::sign),
        "PostQuantumCryptoVerify" => Inline(post_quantum::verify),

        "DescribeWhiteBoxServiceStatus" => Inline(white_box::describe_service_status),
        white_box if WHITE_BOX.contains(&white_box) => Inline(white_box::not_purchased),

        "ListAlgorithms" => Inline(service::list_algorithms),
        "GetServiceStatus" => Inline(service::get_service_status),
        "GetRegions" => Inline(service::get_regions),

        _ => return None,
    })
}

/// The other actions of the white-box product (docs/kms-service.md, "Other actions").
const WHITE_BOX: [&str; 12] = [
    "CreateWhiteBoxKey",
    "EncryptByWhiteBox",
    "DescribeWhiteBoxKey",
    "DescribeWhiteBoxKeyDetails",
    "DescribeWhiteBoxDecryptKey",
    "DescribeWhiteBoxDeviceFingerprints",
    "EnableWhiteBoxKey",
    "DisableWhiteBoxKey",
    "EnableWhiteBoxKeys",
    "DisableWhiteBoxKeys",
    "DeleteWhiteBoxKey",
    "OverwriteWhiteBoxDeviceFingerprints",
];

/// Runs one KMS action.
pub async fn run(emulator: &Arc<Emulator>, action: &str, params: Params) -> Answer {
    match handler(action) {
        // A hosted data key is written to disk.
        Some(Handler::Inline(act)) if params.has("IsHostedByKms") => run_blocking(emulator, act, params).await,
        Some(Handler::Inline(act)) => {
            // A panic leaves no partial change, because inline actions change no state.
            let result = panic::catch_unwind(AssertUnwindSafe(|| act(emulator, params)));
            result.unwrap_or_else(|_| Err(ApiError::internal(format!("a panic in {action}"))))
        }
        Some(Handler::Blocking(act)) => run_blocking(emulator, act, params).await,
        None => Err(ApiError::new("InvalidAction", format!("The action `{action}` does not exist."))),
    }
}

async fn run_blocking(emulator: &Arc<Emulator>, act: Action, params: Params) -> Answer {
    let emulator = Arc::clone(emulator);
    let result = tokio::task::spawn_blocking(move || act(&emulator, params)).await;
    result.unwrap_or_else(|panic| Err(ApiError::internal(panic)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_of_the_69_actions_is_emulated() {
        const NAMES: &str = "
            Encrypt Decrypt ReEncrypt GenerateDataKey GenerateRandom CreateKey EnableKey EnableKeys DisableKey
            DisableKeys ArchiveKey CancelKeyArchive ScheduleKeyDeletion CancelKeyDeletion EnableKeyRotation
            DisableKeyRotation UpdateAlias UpdateKeyDescription DescribeKey DescribeKeys ListKeys ListKeyDetail
            GetKeyRotationStatus GetPublicKey SignByAsymmetricKey VerifyByAsymmetricKey AsymmetricRsaDecrypt
            AsymmetricSm2Decrypt ListAlgorithms GetServiceStatus GetRegions RotateKey GetParametersForImport
            ImportKeyMaterial DeleteImportedKeyMaterial DescribeDataKey DescribeDataKeys ListDataKeys
            ListDataKeyDetail EnableDataKey DisableDataKey EnableDataKeys DisableDataKeys ScheduleDataKeyDeletion
            CancelDataKeyDeletion UpdateDataKeyName UpdateDataKeyDescription GetDataKeyPlaintext
            GetDataKeyCiphertextBlob ImportDataKey PostQuantumCryptoEncrypt PostQuantumCryptoDecrypt
            PostQuantumCryptoSign PostQuantumCryptoVerify CreateWhiteBoxKey EncryptByWhiteBox DescribeWhiteBoxKey
            DescribeWhiteBoxKeyDetails DescribeWhiteBoxDecryptKey DescribeWhiteBoxDeviceFingerprints
            DescribeWhiteBoxServiceStatus EnableWhiteBoxKey DisableWhiteBoxKey EnableWhiteBoxKeys
            DisableWhiteBoxKeys DeleteWhiteBoxKey OverwriteWhiteBoxDeviceFingerprints BindCloudResource
            UnbindCloudResource";
        let names: HashSet<_> = NAMES.split_whitespace().collect();
        assert_eq!(names.len(), 69);
        let missing: Vec<_> = names.into_iter().filter(|name| handler(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(handler("NoSuchAction").is_none());
    }
}
