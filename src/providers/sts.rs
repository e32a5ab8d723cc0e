//! The Security Token Service, which issues temporary credentials.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use serde::Deserialize;

use crate::api::caller::ApiCaller;
use crate::api::limits::CallLimits;
use crate::api::request::{Fields, Request};
use crate::block_on::block_on;
use crate::credentials::{Credentials, ExpiringCredentials};
use crate::error::{Error, Result};
use crate::http::exchange::HttpReply;
use crate::status::Status;

/// The region that the official SDKs name in their calls of STS.
pub(super) const DEFAULT_STS_REGION: &str = "ap-guangzhou";
/// Default and longest lifetime of a role's session (AssumeRole page of the STS API).
pub(super) const DEFAULT_DURATION: u32 = 7200;
pub(crate) const DURATION_MAX: u32 = 43_200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow)]
    credentials: AnswerCredentials<'a>,
    expired_time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AnswerCredentials<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    tmp_secret_id: Cow<'a, str>,
    #[serde(borrow)]
    tmp_secret_key: Cow<'a, str>,
}

/// Calls an action of STS that returns credentials.
pub(super) fn assume(sts: &ApiCaller, action: &str, fields: Fields, timeout: Duration) -> Result<ExpiringCredentials> {
    let request = Request::new(action, fields)?;
    let limits = CallLimits { total_timeout: Some(timeout), ..CallLimits::default() };
    block_on(pin!(sts.call(&request, &limits, |_, reply| parse(reply)))).map_err(|error| error.in_action(action))
}

fn parse(reply: &HttpReply) -> Result<ExpiringCredentials> {
    // The text of serde_json could repeat a value, so it is not used.
    let answer: Answer = serde_json::from_str(reply.response_json()?)
        .map_err(|_| Error::new(Status::ResponseMalformed, "the reply of STS has no Credentials or no ExpiredTime"))?;
    let AnswerCredentials { token, tmp_secret_id, tmp_secret_key } = &answer.credentials;
    let credentials = Credentials::new(tmp_secret_id, tmp_secret_key, Some(token))?;
    Ok(ExpiringCredentials::until(credentials, answer.expired_time, reply.date))
}

/// A session name as the official SDKs make one: the client's name and the microseconds since the epoch.
pub(super) fn session_name(given: Option<&str>) -> String {
    given.map_or_else(
        || format!("tckms-{}", std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros()),
        str::to_owned,
    )
}
