//! The file of Tencent's command-line tool, `~/.tccli/<profile>.credential`.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::assume_role::Role;
use super::file::{self, ExposureWarning};
use crate::credentials::{Credentials, ExpiringCredentials, check_expiry};
use crate::error::{Error, Result};
use crate::sanitize::quoted;
use crate::status::Status;

/// The content of the file.
pub(super) enum Contents {
    Credentials(ExpiringCredentials),
    /// The role of the CVM instance.
    CvmRole,
    /// A role, with the credentials that assume it.
    AssumeRole {
        base: Arc<Credentials>,
        role: Box<Role>,
    },
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, rename = "secretId", default)]
    secret_id: Cow<'a, str>,
    #[serde(borrow, rename = "secretKey", default)]
    secret_key: Cow<'a, str>,
    #[serde(borrow, default)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "role-arn", default)]
    role_arn: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "role-session-name", default)]
    role_session_name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(rename = "expiresAt", default)]
    expires_at: Option<i64>,
}

pub(super) fn read(path: &Path, warning: &ExposureWarning) -> Result<Contents> {
    let text = file::read(path, warning)?.ok_or_else(|| {
        Error::new(Status::NoCredentials, format!("there is no file {}", quoted(&path.to_string_lossy())))
    })?;
    // The text of serde_json could repeat a value. Only the position is safe.
    let content: Content = serde_json::from_str(file::as_text(&text)).map_err(|error| {
        let reason =
            format!("it is not JSON in the form of tccli, see line {}, column {}", error.line(), error.column());
        file::invalid(path, &reason)
    })?;
    content.parse().map_err(|error| file::invalid(path, error.message()))
}

impl Content<'_> {
    fn parse(&self) -> Result<Contents> {
        if self.kind.as_deref() == Some("cvm-role") {
            return Ok(Contents::CvmRole);
        }
        let token = self.token.as_deref().filter(|token| !token.is_empty());
        let credentials = Credentials::new(&self.secret_id, &self.secret_key, token)?;
        if let Some(arn) = self.role_arn.as_deref().filter(|arn| !arn.is_empty()) {
            let role = Role::new(arn, self.role_session_name.as_deref(), 0, None, None)?;
            return Ok(Contents::AssumeRole { base: Arc::new(credentials), role: Box::new(role) });
        }
        Ok(Contents::Credentials(match self.expires_at {
            Some(expires_at) => {
                check_expiry(expires_at)?;
                ExpiringCredentials::until(credentials, expires_at, None)
            }
            None => credentials.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn contents(json: &str) -> Result<Contents> {
        serde_json::from_str::<Content>(json).unwrap().parse()
    }

    #[test]
    fn each_kind_of_file_is_understood() {
        let plain = contents(r#"{"secretId":"a","secretKey":"b"}"#).unwrap();
        assert!(matches!(plain, Contents::Credentials(ExpiringCredentials { lifetime: None, .. })));
        let sso = contents(r#"{"type":"sso","secretId":"a","secretKey":"b","token":"t","expiresAt":1}"#).unwrap();
        assert!(matches!(sso, Contents::Credentials(ExpiringCredentials { lifetime: Some(Duration::ZERO), .. })));
        let role =
            r#"{"secretId":"a","secretKey":"b","role-arn":"qcs::cam::uin/1:roleName/r","role-session-name":"s1"}"#;
        assert!(matches!(contents(role).unwrap(), Contents::AssumeRole { .. }));
        let cvm = contents(r#"{"type":"cvm-role"}"#).unwrap();
        assert!(matches!(cvm, Contents::CvmRole));
    }

    #[test]
    fn an_expiry_is_in_seconds() {
        let error = contents(r#"{"secretId":"a","secretKey":"b","expiresAt":1764000000000}"#).err().unwrap();
        assert_eq!(error.status(), Status::OutOfRange);
    }

    #[test]
    fn an_empty_file_has_no_identity() {
        assert_eq!(contents("{}").err().unwrap().status(), Status::MalformedCredentials);
    }
}
