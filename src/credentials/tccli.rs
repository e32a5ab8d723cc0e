//! The file of Tencent's command line, `~/.tccli/<profile>.credential`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::assume_role::Role;
use super::source::{Places, Source};
use super::{Credentials, Issued, Provider, file};
use crate::clock;
use crate::error::{Error, Result};
use crate::status::Status;

pub(super) struct Tccli {
    pub path: PathBuf,
    pub places: Places,
}

/// What the file holds: an identity, or directions to one.
enum Held {
    Identity(Issued),
    Elsewhere(Source),
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

impl Provider for Tccli {
    fn name(&self) -> &'static str {
        "tccli"
    }

    fn preload(&self) -> Option<Result<Issued>> {
        match self.read() {
            Ok(Held::Identity(issued)) => Some(Ok(issued)),
            Ok(Held::Elsewhere(_)) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn fetch(&self, patience: Duration) -> Result<Issued> {
        match self.read()? {
            Held::Identity(issued) => Ok(issued),
            Held::Elsewhere(source) => source.provider(&self.places)?.fetch(patience),
        }
    }
}

impl Tccli {
    fn read(&self) -> Result<Held> {
        let text = file::read(&self.path, self.places.log.as_ref())?
            .ok_or_else(|| Error::new(Status::NoCredentials, format!("there is no file {:?}", self.path)))?;
        // serde_json's own text could repeat a value, so only the place is told.
        let content: Content = serde_json::from_str(file::as_text(&text)).map_err(|error| {
            let reason =
                format!("it is not JSON as tccli writes it, see line {}, column {}", error.line(), error.column());
            file::invalid(&self.path, &reason)
        })?;
        content.held().map_err(|error| file::invalid(&self.path, error.message()))
    }
}

impl Content<'_> {
    fn held(&self) -> Result<Held> {
        if self.kind.as_deref() == Some("cvm-role") {
            return Ok(Held::Elsewhere(Source::CvmRole { role: None }));
        }
        let token = self.token.as_deref().filter(|token| !token.is_empty());
        let credentials = Credentials::new(&self.secret_id, &self.secret_key, token)?;
        if let Some(arn) = self.role_arn.as_deref().filter(|arn| !arn.is_empty()) {
            let role = Role::new(arn, self.role_session_name.as_deref(), 0, None, None)?;
            let base = Box::new(Source::Fixed(Arc::new(credentials)));
            return Ok(Held::Elsewhere(Source::AssumeRole { base, role }));
        }
        let lifetime = self.expires_at.map(|expires_at| clock::time_until(expires_at, None));
        Ok(Held::Identity(Issued { credentials: Arc::new(credentials), lifetime }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(json: &str) -> Result<Held> {
        serde_json::from_str::<Content>(json).unwrap().held()
    }

    #[test]
    fn each_kind_of_file_is_understood() {
        let plain = held(r#"{"secretId":"a","secretKey":"b"}"#).unwrap();
        assert!(matches!(plain, Held::Identity(Issued { lifetime: None, .. })));
        let sso = held(r#"{"type":"sso","secretId":"a","secretKey":"b","token":"t","expiresAt":1}"#).unwrap();
        assert!(matches!(sso, Held::Identity(Issued { lifetime: Some(Duration::ZERO), .. })));
        let role =
            r#"{"secretId":"a","secretKey":"b","role-arn":"qcs::cam::uin/1:roleName/r","role-session-name":"s1"}"#;
        assert!(matches!(held(role).unwrap(), Held::Elsewhere(Source::AssumeRole { .. })));
        let cvm = held(r#"{"type":"cvm-role"}"#).unwrap();
        assert!(matches!(cvm, Held::Elsewhere(Source::CvmRole { .. })));
    }

    #[test]
    fn an_empty_file_has_no_identity() {
        assert_eq!(held("{}").err().unwrap().status(), Status::MalformedCredentials);
    }
}
