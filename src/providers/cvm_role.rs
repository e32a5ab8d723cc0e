//! The role that is bound to a CVM instance, from the instance's metadata service.

use std::borrow::Cow;
use std::pin::pin;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::block_on::block_on;
use crate::credentials::{Credentials, ExpiringCredentials, Provider};
use crate::error::{Error, Result};
use crate::http::endpoint::Endpoint;
use crate::http::exchange::HttpReply;
use crate::http::exchange::HttpRequest;
use crate::http::pool::Reuse;
use crate::http::settings::Settings;
use crate::http::tls;
use crate::http::transport::Transport;
use crate::status::{Category, Status};

/// The metadata service of every CVM instance (cloud.tencent.com/document/product/213/4934).
pub(super) const DEFAULT_METADATA_ENDPOINT: &str = "http://metadata.tencentyun.com";
const PATH: &str = "/latest/meta-data/cam/security-credentials/";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// For both requests together. A machine that is not a CVM instance loses this much time.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(2);
const REPLY_MAX: usize = 64 * 1024;

pub(super) struct CvmRole {
    pub endpoint: Endpoint,
    /// The role's name; if `None`, it is requested from the metadata service.
    pub role: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow, default)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    tmp_secret_id: Cow<'a, str>,
    #[serde(borrow)]
    tmp_secret_key: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
    expired_time: i64,
}

impl Provider for CvmRole {
    fn name(&self) -> &'static str {
        "CVM role"
    }

    fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials> {
        let metadata = Metadata::new(&self.endpoint, timeout.min(TOTAL_TIMEOUT))?;
        let role = match &self.role {
            Some(role) => role.clone(),
            None => first_role(&metadata.get(PATH)?)?,
        };
        parse(&metadata.get(&format!("{PATH}{role}"))?)
    }
}

/// A connection to the metadata service for one fetch. It has its own transport, which uses no proxy and whose thread ends
/// with the fetch.
struct Metadata<'a> {
    endpoint: &'a Endpoint,
    transport: Transport,
    deadline: Instant,
}

impl<'a> Metadata<'a> {
    fn new(endpoint: &'a Endpoint, timeout: Duration) -> Result<Self> {
        let tls = tls::client_config_without_trust()?;
        let settings = Settings { connect_timeout: CONNECT_TIMEOUT, reply_max: REPLY_MAX, ..Settings::new(tls) };
        Ok(Self { endpoint, transport: Transport::new(settings), deadline: Instant::now() + timeout })
    }

    fn get(&self, path: &str) -> Result<HttpReply> {
        let mut request = Box::<HttpRequest>::default();
        *request.uri_mut() = self.endpoint.uri_of(path)?;
        let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let reply = block_on(pin!(self.transport.send(request, Reuse::Allowed, left))).map_err(unavailable)?;
        match reply.status {
            200 => Ok(reply),
            404 => Err(Error::new(Status::NoCredentials, "no role is bound to this machine").with_http_status(404)),
            status => {
                let message = format!("the metadata service replied with HTTP status {status}");
                Err(Error::new(Status::HttpStatus, message).with_http_status(status).with_retryable(status >= 500))
            }
        }
    }
}

/// A metadata service that cannot be reached may not exist: this machine may not be a CVM instance.
fn unavailable(error: Error) -> Error {
    if error.status().category() != Category::Transport || error.status() == Status::ResponseTooLarge {
        return error;
    }
    let message = format!("this machine has no metadata service, or it does not reply: {error}");
    Error::new(Status::MetadataUnavailable, message).with_os_errno(error.os_errno())
}

fn first_role(reply: &HttpReply) -> Result<String> {
    let text = std::str::from_utf8(reply.body.expose()).unwrap_or_default();
    let role = text.lines().next().unwrap_or_default().trim();
    check_role_name(role).map_err(|_| malformed("the name of the role is malformed"))?;
    Ok(role.to_owned())
}

/// Checks a role's name, which becomes part of a URL.
pub(crate) fn check_role_name(role: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+=,.@".contains(&byte);
    let dots_only = role.bytes().all(|byte| byte == b'.');
    if !dots_only && role.len() <= 128 && role.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::new(Status::InvalidRole, "a role's name is 1 to 128 letters, digits and -_+=,.@"))
}

fn parse(reply: &HttpReply) -> Result<ExpiringCredentials> {
    // The text of serde_json could repeat a value, so it is not used.
    let answer: Answer = serde_json::from_slice(reply.body.expose())
        .map_err(|_| malformed("it is not JSON with TmpSecretId, TmpSecretKey, Token and ExpiredTime"))?;
    if !matches!(&*answer.code, "" | "Success") {
        return Err(malformed("its Code is not \"Success\""));
    }
    let credentials = Credentials::new(&answer.tmp_secret_id, &answer.tmp_secret_key, Some(&answer.token))?;
    Ok(ExpiringCredentials::until(credentials, answer.expired_time, reply.date))
}

fn malformed(what: &str) -> Error {
    Error::new(Status::ResponseMalformed, format!("the metadata service's reply is malformed: {what}"))
}
