//! The role of a pod in TKE: Kubernetes rotates a token file, and STS exchanges the token for credentials.

use std::path::PathBuf;
use std::time::Duration;

use super::assume_role::Role;
use super::file::{self, ExposureWarning};
use super::sts;
use crate::api::caller::ApiCaller;
use crate::credentials::{ExpiringCredentials, Provider};
use crate::error::Result;

pub(super) struct Oidc {
    /// Sends unsigned requests: the token authenticates them.
    pub sts: ApiCaller,
    pub provider_id: String,
    pub token_file: PathBuf,
    pub role: Role,
    pub warning: ExposureWarning,
}

impl Provider for Oidc {
    fn name(&self) -> &'static str {
        "TKE OIDC"
    }

    /// Reads the file each time, because Kubernetes rotates it.
    fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials> {
        let text = file::read(&self.token_file, &self.warning)?
            .ok_or_else(|| file::invalid(&self.token_file, "it does not exist"))?;
        let token = file::as_text(&text).trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(file::invalid(&self.token_file, "it has no token of printable ASCII characters"));
        }
        let fields = self.role.fields(token.len() + 512)?;
        let fields = fields.string("ProviderId", &self.provider_id)?.string("WebIdentityToken", token)?;
        sts::assume(&self.sts, "AssumeRoleWithWebIdentity", fields, timeout)
    }
}
