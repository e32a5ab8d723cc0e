//! A role that other credentials assume.

use std::sync::Arc;
use std::time::Duration;

use super::sts;
use crate::api::caller::ApiCaller;
use crate::api::request::Fields;
use crate::credentials::{CachedCredentials, ExpiringCredentials, Provider};
use crate::error::{Error, Result};
use crate::status::Status;

/// The role and its options.
#[derive(Clone)]
pub struct Role {
    arn: String,
    session_name: Option<String>,
    duration_seconds: u32,
    external_id: Option<String>,
    policy: Option<String>,
}

impl Role {
    /// Checks the parts by the rules of the AssumeRole page of the STS API.
    ///
    /// `duration_seconds` is 1 to 43200, or 0 for 7200. `session_name` is 2 to 128 letters, digits and `_=,.@-+`.
    /// `policy` is JSON that restricts the role.
    pub fn new(
        arn: &str,
        session_name: Option<&str>,
        duration_seconds: u32,
        external_id: Option<&str>,
        policy: Option<&str>,
    ) -> Result<Self> {
        check_arn(arn)?;
        check_session_name(session_name)?;
        if duration_seconds > sts::DURATION_MAX {
            let message = format!("the duration is {duration_seconds} s, 0 to {} are allowed", sts::DURATION_MAX);
            return Err(Error::new(Status::OutOfRange, message));
        }
        Ok(Self {
            arn: arn.to_owned(),
            session_name: session_name.map(str::to_owned),
            duration_seconds: if duration_seconds == 0 { sts::DEFAULT_DURATION } else { duration_seconds },
            external_id: external_id.map(str::to_owned),
            policy: policy.map(|policy| url::form_urlencoded::byte_serialize(policy.as_bytes()).collect()),
        })
    }

    /// The fields of a request that assumes this role.
    pub(super) fn fields(&self, capacity: usize) -> Result<Fields> {
        let fields = Fields::with_capacity(capacity)?.string("RoleArn", &self.arn)?;
        let fields = fields.string("RoleSessionName", &sts::session_name(self.session_name.as_deref()))?;
        let fields = fields.number("DurationSeconds", self.duration_seconds as usize)?;
        let fields = fields.optional_string("ExternalId", self.external_id.as_deref())?;
        fields.optional_string("Policy", self.policy.as_deref())
    }
}

pub(super) struct AssumeRole {
    pub sts: ApiCaller,
    pub base: Arc<CachedCredentials>,
    pub role: Role,
}

impl Provider for AssumeRole {
    fn name(&self) -> &'static str {
        "AssumeRole"
    }

    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        self.base.preload().err().map(Err)
    }

    fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials> {
        sts::assume(&self.sts, "AssumeRole", self.role.fields(512)?, timeout)
    }
}

fn check_arn(arn: &str) -> Result<()> {
    if arn.starts_with("qcs::cam::uin/") && arn.len() <= 256 && arn.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let message = "a role ARN is like qcs::cam::uin/100000000001:roleName/backup, with at most 256 characters";
    Err(Error::new(Status::InvalidRole, message))
}

fn check_session_name(name: Option<&str>) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    match name {
        Some(name) if !(2..=128).contains(&name.len()) || !name.bytes().all(allowed) => {
            Err(Error::new(Status::InvalidRole, "a role session name is 2 to 128 letters, digits and _+=,.@-"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_checked() {
        let arn = "qcs::cam::uin/1:roleName/r";
        Role::new(arn, Some("ci"), 43_200, Some("x"), Some("{}")).unwrap();
        let refused = |role: Result<Role>| role.err().unwrap().status();
        assert_eq!(refused(Role::new("arn:aws:iam::1:role/r", None, 0, None, None)), Status::InvalidRole);
        assert_eq!(refused(Role::new(arn, Some("a"), 0, None, None)), Status::InvalidRole);
        assert_eq!(refused(Role::new(arn, Some("a b"), 0, None, None)), Status::InvalidRole);
        assert_eq!(refused(Role::new(arn, None, 43_201, None, None)), Status::OutOfRange);
    }
}
