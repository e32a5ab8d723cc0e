//! Generates and unwraps branch keys with their CMK.

use crate::client::Client;
use crate::error::{Error, Result};
use crate::sanitize::quoted;
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::{self, BranchRecord, BranchRecords};
use crate::seal::format::branch_wrap::BRANCH_KEY_LEN;
use crate::seal::keys::kms::{check_blob, check_key_id};
use crate::secret::Secret;
use crate::status::Status;

/// The name of a CMK in records and in the provider info of messages: `<region>/<KeyId>`.
pub(in crate::seal) fn cmk_name(client: &Client, key_id: &str) -> String {
    format!("{}/{key_id}", client.region())
}

impl BranchRecord {
    /// Generates a branch key with one request (`GenerateDataKey`). Wipes the plaintext: writers unwrap the record.
    pub fn generate(client: &Client, key_id: &str, branch_id: &BranchId) -> Result<Self> {
        generate(client, key_id, branch_id).map(|(record, _)| record)
    }

    /// Checks with one request (`Decrypt`) that the CMK unwraps the record, and so that branch id and version are those of the
    /// branch key. The client must use the region of the record.
    pub fn check(&self, client: &Client) -> Result<()> {
        let (region, key_id) = self.cmk.split_once('/').unwrap_or_default();
        if region != client.region() {
            let message =
                format!("the record belongs to region {region}, the client uses region {}", quoted(client.region()));
            return Err(Error::new(Status::InvalidBranchRecord, message));
        }
        unwrap(client, key_id, &self.branch_id, &self.version, self.blob.as_bytes()).map(|_| ())
    }
}

impl BranchRecords {
    /// Generates the next key of a branch and adds its record, which then seals. Earlier records stay, since messages by reference
    /// need them.
    pub fn rotate(&mut self, client: &Client, key_id: &str, branch_id: &BranchId) -> Result<&BranchRecord> {
        let cmk = cmk_name(client, key_id);
        let mut record = BranchRecord::generate(client, key_id, branch_id)?;
        if let Some(newest) = self.newest(&cmk, branch_id) {
            // The new record must be the newest, even if the clock is behind or in the same second.
            record.created = record.created.max(newest.created.saturating_add(1));
        }
        self.add(record)?;
        self.newest(&cmk, branch_id).ok_or_else(|| Error::new(Status::Internal, "the new record is missing"))
    }
}

/// Generates a branch key, and returns it with its record.
pub(super) fn generate(client: &Client, key_id: &str, branch_id: &BranchId) -> Result<(BranchRecord, Secret)> {
    check_key_id(key_id)?;
    let version = BranchVersion::random()?;
    let context = branch_record::kms_context(branch_id, &version);
    let made = client.generate_data_key(key_id, BRANCH_KEY_LEN, Some(&context))?;
    check_same_cmk(key_id, &made.key_id)?;
    check_blob(made.ciphertext_blob.as_bytes())?;
    let record = BranchRecord {
        cmk: cmk_name(client, key_id),
        branch_id: branch_id.clone(),
        version,
        created: branch_record::now(),
        blob: made.ciphertext_blob,
    };
    Ok((record, made.plaintext))
}

/// Unwraps a branch key.
pub(super) fn unwrap(
    client: &Client,
    key_id: &str,
    branch_id: &BranchId,
    version: &BranchVersion,
    blob: &[u8],
) -> Result<Secret> {
    check_blob(blob)?;
    let decrypted = client.decrypt(Some(key_id), blob, Some(&branch_record::kms_context(branch_id, version)))?;
    if decrypted.plaintext.len() != BRANCH_KEY_LEN {
        let message = format!(
            "the key of branch {branch_id} has {} bytes instead of {BRANCH_KEY_LEN}",
            decrypted.plaintext.len()
        );
        return Err(Error::new(Status::DataKeyLength, message));
    }
    Ok(decrypted.plaintext)
}

fn check_same_cmk(key_id: &str, named: &str) -> Result<()> {
    if named == key_id {
        return Ok(());
    }
    let message = format!(
        "the reply is about CMK {} instead of {}; branch keys take key ids, not aliases",
        quoted(named),
        quoted(key_id)
    );
    Err(Error::new(Status::KeyMismatch, message).with_key_id(named))
}
