//! The actions of the KMS API (docs/kms-service.md), each a function from parameters to an answer.

mod asymmetric;
mod crypt;
mod lifecycle;
mod listing;
mod service;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::error::ApiError;

type Action = fn(&Emulator, Params) -> Answer;

/// How an action is run.
enum Handler {
    /// Works in memory, at once.
    Inline(Action),
    /// Waits for the disk or makes key material, so it must not hold up other calls.
    Blocking(Action),
    /// Part of the API, not of the emulator.
    NotEmulated,
}

fn handler(action: &str) -> Option<Handler> {
    use Handler::{Blocking, Inline, NotEmulated};
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

        "ListAlgorithms" => Inline(service::list_algorithms),
        "GetServiceStatus" => Inline(service::get_service_status),
        "GetRegions" => Inline(service::get_regions),

        other if NOT_EMULATED.contains(&other) => NotEmulated,
        _ => return None,
    })
}

/// The rest of the 69 actions of the API (docs/kms-service.md, "Other actions").
const NOT_EMULATED: [&str; 38] = [
    "RotateKey",
    "GetParametersForImport",
    "ImportKeyMaterial",
    "DeleteImportedKeyMaterial",
    "DescribeDataKey",
    "DescribeDataKeys",
    "ListDataKeys",
    "ListDataKeyDetail",
    "EnableDataKey",
    "DisableDataKey",
    "EnableDataKeys",
    "DisableDataKeys",
    "ScheduleDataKeyDeletion",
    "CancelDataKeyDeletion",
    "UpdateDataKeyName",
    "UpdateDataKeyDescription",
    "GetDataKeyPlaintext",
    "GetDataKeyCiphertextBlob",
    "ImportDataKey",
    "PostQuantumCryptoEncrypt",
    "PostQuantumCryptoDecrypt",
    "PostQuantumCryptoSign",
    "PostQuantumCryptoVerify",
    "CreateWhiteBoxKey",
    "EncryptByWhiteBox",
    "DescribeWhiteBoxKey",
    "DescribeWhiteBoxKeyDetails",
    "DescribeWhiteBoxDecryptKey",
    "DescribeWhiteBoxDeviceFingerprints",
    "DescribeWhiteBoxServiceStatus",
    "EnableWhiteBoxKey",
    "DisableWhiteBoxKey",
    "EnableWhiteBoxKeys",
    "DisableWhiteBoxKeys",
    "DeleteWhiteBoxKey",
    "OverwriteWhiteBoxDeviceFingerprints",
    "BindCloudResource",
    "UnbindCloudResource",
];

/// Runs one KMS action.
pub async fn run(emulator: &Arc<Emulator>, action: &str, params: Params) -> Answer {
    match handler(action) {
        Some(Handler::Inline(act)) => {
            // Nothing is left half changed: inline actions change nothing.
            let result = panic::catch_unwind(AssertUnwindSafe(|| act(emulator, params)));
            result.unwrap_or_else(|_| Err(ApiError::internal(format!("a panic in {action}"))))
        }
        Some(Handler::Blocking(act)) => {
            let emulator = Arc::clone(emulator);
            let result = tokio::task::spawn_blocking(move || act(&emulator, params)).await;
            result.unwrap_or_else(|panic| Err(ApiError::internal(panic)))
        }
        Some(Handler::NotEmulated) => {
            Err(ApiError::unsupported(format!("The emulator does not emulate the action `{action}`.")))
        }
        None => Err(ApiError::new("InvalidAction", format!("The action `{action}` does not exist."))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const EMULATED: [&str; 31] = [
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateRandom",
        "CreateKey",
        "EnableKey",
        "EnableKeys",
        "DisableKey",
        "DisableKeys",
        "ArchiveKey",
        "CancelKeyArchive",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
        "EnableKeyRotation",
        "DisableKeyRotation",
        "UpdateAlias",
        "UpdateKeyDescription",
        "DescribeKey",
        "DescribeKeys",
        "ListKeys",
        "ListKeyDetail",
        "GetKeyRotationStatus",
        "GetPublicKey",
        "SignByAsymmetricKey",
        "VerifyByAsymmetricKey",
        "AsymmetricRsaDecrypt",
        "AsymmetricSm2Decrypt",
        "ListAlgorithms",
        "GetServiceStatus",
        "GetRegions",
    ];

    #[test]
    fn each_of_the_69_actions_is_known() {
        let names: HashSet<_> = EMULATED.into_iter().chain(NOT_EMULATED).collect();
        assert_eq!(names.len(), 69);
        assert!(
            EMULATED.into_iter().all(|name| matches!(handler(name), Some(Handler::Inline(_) | Handler::Blocking(_))))
        );
        assert!(NOT_EMULATED.into_iter().all(|name| matches!(handler(name), Some(Handler::NotEmulated))));
        assert!(handler("NoSuchAction").is_none());
    }
}
