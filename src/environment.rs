//! The one place that reads environment variables, for the functions whose names say so.

use std::env;
use std::path::Path;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::status::Status;

impl Config {
    /// A configuration from the environment.
    ///
    /// `TENCENTCLOUD_SECRET_ID`, `TENCENTCLOUD_SECRET_KEY` and `TENCENTCLOUD_REGION` are needed;
    /// `TENCENTCLOUD_SESSION_TOKEN` (else `TENCENTCLOUD_TOKEN`), `TCKMS_ENDPOINT` and `TCKMS_CA_FILE` are taken when
    /// they are there. A variable that is set but empty counts as not set.
    pub fn from_env() -> Result<Self> {
        let mut config = Self::new();
        let secret_id = required("TENCENTCLOUD_SECRET_ID", Status::NoCredentials)?;
        let secret_key = required("TENCENTCLOUD_SECRET_KEY", Status::NoCredentials)?;
        let session_token = optional("TENCENTCLOUD_SESSION_TOKEN")?;
        let token = session_token.map_or_else(|| optional("TENCENTCLOUD_TOKEN"), |token| Ok(Some(token)))?;
        config.set_credentials(&secret_id, &secret_key, token.as_deref())?;
        config.set_region(&required("TENCENTCLOUD_REGION", Status::InvalidRegion)?)?;
        if let Some(url) = optional("TCKMS_ENDPOINT")? {
            config.set_endpoint(&url)?;
        }
        if let Some(path) = optional("TCKMS_CA_FILE")? {
            config.set_ca_file(Path::new(&path));
        }
        Ok(config)
    }
}

fn required(name: &str, status: Status) -> Result<String> {
    optional(name)?.ok_or_else(|| Error::new(status, format!("the environment variable {name} is not set")))
}

fn optional(name: &str) -> Result<Option<String>> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value
        .map(|value| value.into_string())
        .transpose()
        .map_err(|_| Error::new(Status::InvalidUtf8, format!("the environment variable {name} is not valid UTF-8")))
}
