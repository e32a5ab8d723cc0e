//! A CMK of Tencent Cloud KMS as a wrapping key: the `tencent-kms` convention of docs/sealing.md.

use std::fmt;
use std::time::Duration;

use crate::api::response::is_blob;
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::log::LogLevel;
use crate::sanitize::quoted;
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::keys::wrapping_key::{KeyRequest, UnwrapCost, WrappingKey};
use crate::secret::Secret;
use crate::status::Status;

/// The provider id of every wrapped key.
pub const TENCENT_KMS_PROVIDER_ID: &str = "tencent-kms";
/// The maximal length of a key id in a provider info. Key ids of the service have 36 characters.
const KEY_ID_MAX: usize = 64;
/// The timeout of an early renewal, whose old key still works, unless the total timeout of the client is shorter.
const EARLY_TIMEOUT: Duration = Duration::from_secs(2);

/// One CMK in one region. Requests go to the region of the client, independent of the message.
pub(crate) struct KmsKey {
    client: Client,
    early_client: Client,
    key_id: String,
    provider_info: String,
}

impl KmsKey {
    pub fn new(client: &Client, key_id: &str) -> Result<Self> {
        check_key_id(key_id)?;
        Ok(Self {
            early_client: early_client(client)?,
            client: client.clone(),
            key_id: key_id.to_owned(),
            provider_info: format!("{}/{key_id}", client.region()),
        })
    }

    fn client(&self, request: &KeyRequest<'_>) -> &Client {
        if request.early { &self.early_client } else { &self.client }
    }

    /// The wrapped key for the message. Refuses a reply about another key, which an alias would cause.
    fn wrapped(&self, named_key_id: &str, blob: String) -> Result<WrappedKey> {
        if named_key_id != self.key_id {
            let message = format!(
                "the reply is about CMK {} instead of {}; a keyring takes key ids, not aliases",
                quoted(named_key_id),
                quoted(&self.key_id)
            );
            return Err(Error::new(Status::KeyMismatch, message).with_key_id(named_key_id));
        }
        check_blob(blob.as_bytes())?;
        Ok(WrappedKey {
            provider_id: TENCENT_KMS_PROVIDER_ID.to_owned(),
            provider_info: self.provider_info.clone().into_bytes(),
            blob: blob.into_bytes(),
        })
    }
}

impl WrappingKey for KmsKey {
    fn identity(&self) -> Vec<u8> {
        format!("{TENCENT_KMS_PROVIDER_ID}/{}/{}", self.client.instance_id(), self.provider_info).into_bytes()
    }

    fn can_wrap(&self) -> bool {
        true
    }

    fn generate(&self, request: &KeyRequest<'_>) -> Result<(Secret, WrappedKey)> {
        let client = self.client(request);
        let data_key = client.generate_data_key(&self.key_id, request.data_key_len, request.context_json)?;
        let wrapped = self.wrapped(&data_key.key_id, data_key.ciphertext_blob)?;
        Ok((data_key.plaintext, wrapped))
    }

    fn wrap(&self, request: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey> {
        let client = self.client(request);
        let encrypted = client.encrypt(&self.key_id, data_key.expose(), request.context_json)?;
        self.wrapped(&encrypted.key_id, encrypted.ciphertext_blob)
    }

    fn claims(&self, wrapped: &WrappedKey) -> bool {
        wrapped.provider_id == TENCENT_KMS_PROVIDER_ID && wrapped.provider_info == self.provider_info.as_bytes()
    }

    fn cancelable(&self, wait: &mut dyn FnMut()) {
        self.client.cancelable(wait);
    }

    fn warn(&self, message: fmt::Arguments<'_>) {
        self.client.log(LogLevel::Warn, message);
    }

    fn unwrap_cost(&self) -> UnwrapCost {
        UnwrapCost::Request(self.client.instance_id())
    }

    fn unwrap(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret> {
        check_blob(&wrapped.blob)?;
        let client = self.client(request);
        let decrypted = client.decrypt(Some(&self.key_id), &wrapped.blob, request.context_json)?;
        Ok(decrypted.plaintext)
    }
}

/// A client for early renewals.
pub(super) fn early_client(client: &Client) -> Result<Client> {
    let mut early = Config::new();
    early.set_total_timeout(EARLY_TIMEOUT.min(client.total_timeout()))?;
    early.set_max_attempts(1)?;
    client.derive(&early)
}

pub(super) fn check_key_id(key_id: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !key_id.is_empty() && key_id.len() <= KEY_ID_MAX && key_id.bytes().all(allowed) {
        return Ok(());
    }
    let message = format!("the key id is not 1 to {KEY_ID_MAX} letters, digits and '-'; a keyring takes no aliases");
    Err(Error::new(Status::MalformedKeyId, message))
}

/// A blob must be text, as only text is put into a request.
pub(super) fn check_blob(blob: &[u8]) -> Result<()> {
    // The length has two bytes in a header.
    if is_blob(blob) && u16::try_from(blob.len()).is_ok() {
        return Ok(());
    }
    Err(Error::new(Status::MalformedMessage, "a wrapped key is not the text of a CiphertextBlob"))
}
