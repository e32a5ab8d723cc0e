//! The description of a key, as far as CMKs and data keys have the same fields (docs/kms-service.md, "Key metadata").

use serde_json::{Value, json};

/// The account that owns every key of the emulator; the number has no meaning.
pub const ACCOUNT_UIN: u64 = 100_000_000_001;

/// The fields that a key has as a resource of the account, together with those of its kind.
pub fn with_resource_fields(own: Value, id: &str, external: bool, region: &str) -> Value {
    let mut fields = json!({
        "CreatorUin": ACCOUNT_UIN,
        "CreatorUinString": ACCOUNT_UIN.to_string(),
        "Owner": "user",
        "Origin": if external { "EXTERNAL" } else { "TENCENT_KMS" },
        "ResourceId": format!("creatorUin/{ACCOUNT_UIN}/{id}"),
        "HsmClusterId": "",
        "IsSyncReplica": 0,
        "SourceRegion": region,
        "SyncStatus": 0,
        "SyncMessages": "",
        "SyncStartTime": 0,
        "SyncEndTime": 0,
        "SourceHsmClusterId": "",
        "AccountAppId": 0,
        "AccountUin": ACCOUNT_UIN,
        "AccountName": "",
    });
    if let (Value::Object(fields), Value::Object(own)) = (&mut fields, own) {
        fields.extend(own);
    }
    fields
}
