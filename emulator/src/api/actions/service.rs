//! Information about the service.

use serde_json::{Value, json};

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::emulator::Emulator;
use crate::keys::data_keys::DATA_KEY_LIMIT;
use crate::keys::key_usage::KeyUsage;

pub fn list_algorithms(emulator: &Emulator, params: Params) -> Answer {
    params.finish()?;
    let switches = emulator.behaviour.switches();
    let mut signing = vec![
        (KeyUsage::SignSm2, "SM2DSA"),
        (KeyUsage::SignP256, "ECC_P256_R1"),
        (KeyUsage::SignP384, "ECC_P384_R1"),
        (KeyUsage::SignRsa2048, "RSA_PSS_SHA_256"),
        (KeyUsage::SignRsa2048, "RSA_PKCS1_SHA_256"),
    ];
    if switches.private_cloud {
        signing.extend([(KeyUsage::SignSm2, "SM2DSA_ASN1"), (KeyUsage::SignSm2, "SM2DSA_RAW")]);
    }
    if switches.list_key_types {
        // As in the published sample, whose only entry is that of SM2.
        signing = vec![
            (KeyUsage::SignSm2, "SM2"),
            (KeyUsage::SignP256, "ECC_P256"),
            (KeyUsage::SignP384, "ECC_P384"),
            (KeyUsage::SignRsa2048, "RSA_2048"),
        ];
    }
    let signing: Vec<_> = signing.into_iter().map(|(usage, name)| algorithm(usage, name)).collect();
    Ok(json!({
        "SymmetricAlgorithms": [algorithm(KeyUsage::EncryptDecrypt, "AES_256")],
        "AsymmetricAlgorithms": [
            algorithm(KeyUsage::DecryptRsa2048, "RSA_2048"),
            algorithm(KeyUsage::DecryptSm2, "SM2"),
        ],
        "AsymmetricSignVerifyAlgorithms": signing,
    }))
}

fn algorithm(usage: KeyUsage, name: &str) -> Value {
    json!({ "KeyUsage": usage.name(), "Algorithm": name })
}

/// An enabled service of the ordinary edition, without separately sold products.
pub fn get_service_status(emulator: &Emulator, params: Params) -> Answer {
    params.finish()?;
    Ok(json!({
        "ServiceEnabled": true,
        "InvalidType": 1,
        "UserLevel": 0,
        "ProExpireTime": 0,
        "ProRenewFlag": 0,
        "ProResourceId": "",
        "ExclusiveVSMEnabled": false,
        "ExclusiveHSMEnabled": false,
        "SubscriptionInfo": "",
        "CmkUserCount": emulator.keys.list().len(),
        "CmkLimit": emulator.keys.limit,
        "ExclusiveHSMList": [],
        "IsAllowedDataKeyHosted": true,
        "DataKeyLimit": DATA_KEY_LIMIT,
        "FreeDataKeyLimit": DATA_KEY_LIMIT,
        "DataKeyUsedCount": emulator.data_keys.list().len(),
        "SyncTaskList": [],
        "IsAllowedSync": false,
        // The documented default of the symmetric group (docs/kms-service.md, "Request rates"); the emulator itself
        // does not throttle.
        "QpsLimit": 300,
        "QpsTotalLimit": 300,
        "RegionsQps": [{ "Region": emulator.region, "Qps": 300 }],
        "ResourceZone": 0,
        "ResourceRegion": 0,
        "MultiAccountLimit": 0,
        "MultiAccountUsedCount": 0,
    }))
}

pub fn get_regions(emulator: &Emulator, params: Params) -> Answer {
    params.finish()?;
    Ok(json!({ "Regions": [emulator.region] }))
}
