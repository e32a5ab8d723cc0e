//! The part of the Security Token Service that assumes roles and returns the caller's identity
//! (docs/kms-service.md, "STS").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::clock::iso_8601;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::identity::issuer::{DEFAULT_LIFETIME, is_name};
use crate::keys::metadata::ACCOUNT_UIN;

/// The action without a signature: its callers have no credentials yet.
pub const UNSIGNED_ACTION: &str = "AssumeRoleWithWebIdentity";

/// Maximum lifetime of credentials, in seconds (docs/kms-service.md, "STS").
const MAX_LIFETIME: u64 = 43_200;

/// Runs one STS action.
pub fn run(emulator: &Emulator, action: &str, params: Params) -> Answer {
    match action {
        "AssumeRole" => assume_role(emulator, params),
        "GetCallerIdentity" => get_caller_identity(params),
        UNSIGNED_ACTION => assume_role_with_web_identity(emulator, params),
        other => {
            Err(ApiError::new("InvalidAction", format!("The action `{other}` does not exist or is not emulated.")))
        }
    }
}

/// Every identity is the account itself: the emulator has no users.
fn get_caller_identity(params: Params) -> Answer {
    params.finish()?;
    let uin = ACCOUNT_UIN.to_string();
    Ok(json!({
        "Arn": format!("qcs::cam::uin/{uin}:uin/{uin}"),
        "AccountId": uin,
        "UserId": uin,
        "PrincipalId": uin,
        "Type": "CAMUser",
    }))
}

fn assume_role(emulator: &Emulator, mut params: Params) -> Answer {
    let lifetime = session(&mut params)?;
    for name in ["Policy", "ExternalId", "SourceIdentity", "SerialNumber", "TokenCode", "Tags"] {
        params.ignore(name);
    }
    params.finish()?;
    Ok(credentials(emulator, lifetime))
}

fn assume_role_with_web_identity(emulator: &Emulator, mut params: Params) -> Answer {
    let _provider: String = params.required("ProviderId")?;
    let token: String = params.required("WebIdentityToken")?;
    let lifetime = session(&mut params)?;
    params.finish()?;
    require_unexpired(&token, emulator.clock.now())?;
    Ok(credentials(emulator, lifetime))
}

fn credentials(emulator: &Emulator, lifetime: i64) -> Value {
    let credentials = emulator.issue_credentials(lifetime);
    json!({
        "Credentials": {
            "TmpSecretId": credentials.pair.secret_id,
            "TmpSecretKey": credentials.pair.secret_key,
            "Token": credentials.token,
        },
        "ExpiredTime": credentials.expired_time,
        "Expiration": iso_8601(credentials.expired_time),
    })
}

/// Reads the parameters of every session, and returns its lifetime.
fn session(params: &mut Params) -> Result<i64, ApiError> {
    let arn: String = params.required("RoleArn")?;
    let name: String = params.required("RoleSessionName")?;
    let lifetime = params.integer("DurationSeconds", DEFAULT_LIFETIME as u64, 1..=MAX_LIFETIME)?;
    if !is_role_arn(&arn) {
        return Err(ApiError::new("ResourceNotFound.RoleNotFound", format!("There is no role `{arn}`.")));
    }
    if !(2..=128).contains(&name.len()) || !is_name(&name) {
        return Err(ApiError::invalid_parameter(format!("`{name}` is not a role session name.")));
    }
    Ok(lifetime as i64)
}

/// `qcs::cam::uin/<uin>:role/<id>` or `qcs::cam::uin/<uin>:roleName/<name>`. Any such role exists.
fn is_role_arn(arn: &str) -> bool {
    let parts = arn.strip_prefix("qcs::cam::uin/").and_then(|rest| rest.split_once(':'));
    let Some((uin, role)) = parts else { return false };
    let name = role.strip_prefix("roleName/").or_else(|| role.strip_prefix("role/"));
    !uin.is_empty() && uin.bytes().all(|byte| byte.is_ascii_digit()) && name.is_some_and(is_name)
}

/// Accepts any token except an expired JWT: there is no provider that could verify it.
fn require_unexpired(token: &str, now: i64) -> Result<(), ApiError> {
    if !token.is_empty() && expiry(token).is_none_or(|expires| now < expires) {
        return Ok(());
    }
    Err(ApiError::new("InvalidParameter.WebIdentityTokenError", "The web identity token is empty or has expired."))
}

/// The `exp` claim, if the token is a JWT that has one.
fn expiry(token: &str) -> Option<i64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?["exp"].as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_have_two_forms() {
        for good in ["qcs::cam::uin/100000000001:role/4611686018427397919", "qcs::cam::uin/1:roleName/my-role"] {
            assert!(is_role_arn(good), "{good}");
        }
        for bad in
            ["", "qcs::cam::uin/1:role/", "qcs::cam::uin/x:role/1", "qcs::cam::uin/1:user/1", "arn:aws:iam::1:role/x"]
        {
            assert!(!is_role_arn(bad), "{bad}");
        }
    }

    #[test]
    fn a_jwt_past_its_time_is_refused() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert!(require_unexpired(&jwt(r#"{"exp": 101}"#), 100).is_ok());
        assert!(require_unexpired(&jwt(r#"{"sub": "x"}"#), 100).is_ok());
        assert!(require_unexpired("opaque", 100).is_ok());
        for bad in [&jwt(r#"{"exp": 100}"#), ""] {
            assert_eq!(require_unexpired(bad, 100).unwrap_err().code, "InvalidParameter.WebIdentityTokenError");
        }
    }
}
