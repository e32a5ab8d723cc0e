//! The only module that reads environment variables, for the functions whose names say so.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::http::endpoint::check_region;
use crate::providers::{DEFAULT_PROFILE, Role, Source};
use crate::status::Status;
use crate::sys::privileges;

const PRIVILEGED: &str = "this program has privileges that its caller does not have (setuid, setgid or file \
                          capabilities), so it takes nothing from the environment";
/// The machine's own profile file, after the user's.
const MACHINE_PROFILE: &str = "/etc/tencentcloud/credentials";

impl Config {
    /// A configuration from the environment: [`set_default_credentials`](Self::set_default_credentials), the region
    /// in `TENCENTCLOUD_REGION` and, if they are set, `TCKMS_ENDPOINT`, `TCKMS_STS_ENDPOINT`, `TCKMS_CA_FILE`,
    /// `TCKMS_PROXY` and `TCKMS_INSECURE_HTTP_ALLOWED`.
    ///
    /// A variable that is set but empty counts as not set. So do all variables of a program with more privileges than
    /// its caller (setuid, setgid, file capabilities): the caller could send the program's secrets elsewhere.
    pub fn from_env() -> Result<Self> {
        let mut config = Self::new();
        config.set_default_credentials()?;
        config.set_region(&required("TENCENTCLOUD_REGION", Status::InvalidRegion)?)?;
        config.set_default_connection()?;
        Ok(config)
    }

    /// What `TCKMS_ENDPOINT`, `TCKMS_STS_ENDPOINT`, `TCKMS_CA_FILE`, `TCKMS_PROXY` and `TCKMS_INSECURE_HTTP_ALLOWED`
    /// say, if they are set.
    pub fn set_default_connection(&mut self) -> Result<()> {
        if let Some(url) = optional("TCKMS_ENDPOINT")? {
            self.set_endpoint(&url)?;
        }
        if let Some(url) = optional("TCKMS_STS_ENDPOINT")? {
            self.set_sts_endpoint(&url)?;
        }
        if let Some(url) = optional("TCKMS_PROXY")? {
            self.set_proxy(&url)?;
        }
        self.set_insecure_http_allowed(switch("TCKMS_INSECURE_HTTP_ALLOWED")?);
        if let Some(path) = optional("TCKMS_CA_FILE")? {
            self.set_ca_file(Path::new(&path));
        }
        Ok(())
    }

    /// Environment, profile file, CVM role, TKE OIDC: the official SDKs' order. Variables are read now, files when a
    /// client is made, and the network is used when the first call finds no other credentials.
    pub fn set_default_credentials(&mut self) -> Result<()> {
        let role = Source::CvmRole { role: None };
        self.credentials = Some(Source::chain([environment()?, default_profile(None)?, role, tke()?]));
        Ok(())
    }

    /// `TENCENTCLOUD_SECRET_ID`, `TENCENTCLOUD_SECRET_KEY` and `TENCENTCLOUD_SESSION_TOKEN`, else
    /// `TENCENTCLOUD_TOKEN`.
    pub fn set_env_credentials(&mut self) -> Result<()> {
        self.credentials = Some(environment()?.present()?);
        Ok(())
    }

    /// The file that `TENCENTCLOUD_CREDENTIALS_FILE` names, else `~/.tencentcloud/credentials`, else
    /// `/etc/tencentcloud/credentials`.
    pub fn set_default_profile_credentials(&mut self, profile: Option<&str>) -> Result<()> {
        self.credentials = Some(default_profile(profile)?);
        Ok(())
    }

    /// `~/.tccli/<profile>.credential`; the profile is the one given, else that of `TCCLI_PROFILE`, else `default`.
    pub fn set_default_tccli_credentials(&mut self, profile: Option<&str>) -> Result<()> {
        let invalid = |reason| Error::new(Status::InvalidCredentialsFile, reason);
        let named = profile.map_or_else(|| optional("TCCLI_PROFILE"), |profile| Ok(Some(profile.to_owned())))?;
        let profile = named.unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        if profile.contains('/') {
            return Err(invalid("the name of a tccli profile has no '/' in it"));
        }
        let no_home = if privileges::are_elevated() { PRIVILEGED } else { "this user has no home directory" };
        let home = home().ok_or_else(|| invalid(no_home))?;
        self.set_tccli_credentials(&home.join(".tccli").join(format!("{profile}.credential")));
        Ok(())
    }

    /// The role of a pod of TKE: `TKE_PROVIDER_ID`, `TKE_WEB_IDENTITY_TOKEN_FILE`, `TKE_ROLE_ARN` and, when it is
    /// there, `TKE_REGION`.
    pub fn set_tke_env_credentials(&mut self) -> Result<()> {
        self.credentials = Some(tke()?.present()?);
        Ok(())
    }
}

/// A missing variable results in a source without credentials; a malformed one is an error at once.
fn environment() -> Result<Source> {
    let variables = || -> Result<_> {
        let secret_id = required("TENCENTCLOUD_SECRET_ID", Status::NoCredentials)?;
        Ok((secret_id, required("TENCENTCLOUD_SECRET_KEY", Status::NoCredentials)?))
    };
    let (secret_id, secret_key) = match variables() {
        Ok(variables) => variables,
        Err(error) => return absent("environment", error),
    };
    let session_token = optional("TENCENTCLOUD_SESSION_TOKEN")?;
    let token = session_token.map_or_else(|| optional("TENCENTCLOUD_TOKEN"), |token| Ok(Some(token)))?;
    let credentials =
        Credentials::new(&secret_id, &secret_key, token.as_deref()).map_err(|error| error.in_step("environment"))?;
    Ok(Source::Fixed(Arc::new(credentials)))
}

fn default_profile(profile: Option<&str>) -> Result<Source> {
    let paths = match optional("TENCENTCLOUD_CREDENTIALS_FILE")? {
        Some(path) => vec![PathBuf::from(path)],
        None => {
            let of_user = home().map(|home| home.join(".tencentcloud").join("credentials"));
            of_user.into_iter().chain([PathBuf::from(MACHINE_PROFILE)]).collect()
        }
    };
    Ok(Source::Profile { paths, name: profile.unwrap_or(DEFAULT_PROFILE).to_owned() })
}

fn tke() -> Result<Source> {
    let variables = || -> Result<_> {
        let needed = |name| required(name, Status::NoCredentials);
        Ok((needed("TKE_PROVIDER_ID")?, needed("TKE_WEB_IDENTITY_TOKEN_FILE")?, needed("TKE_ROLE_ARN")?))
    };
    let (provider_id, token_file, role_arn) = match variables() {
        Ok(variables) => variables,
        Err(error) => return absent("TKE OIDC", error),
    };
    let region = optional("TKE_REGION")?;
    region.as_deref().map_or(Ok(()), check_region).map_err(|error| error.in_step("TKE OIDC"))?;
    let role = Role::new(&role_arn, None, 0, None, None).map_err(|error| error.in_step("TKE OIDC"))?;
    Ok(Source::Oidc { region, provider_id, token_file: token_file.into(), role })
}

fn absent(name: &'static str, error: Error) -> Result<Source> {
    if error.status() == Status::NoCredentials { Ok(Source::Absent { name, error }) } else { Err(error) }
}

/// `HOME`, or the home in the system's user database. `None` for a privileged program, because its caller can write
/// to that home directory.
fn home() -> Option<PathBuf> {
    if privileges::are_elevated() {
        return None;
    }
    env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

fn required(name: &str, status: Status) -> Result<String> {
    optional(name)?.ok_or_else(|| {
        let reason = if privileges::are_elevated() { format!("ignored: {PRIVILEGED}") } else { "not set".to_owned() };
        Error::new(status, format!("the environment variable {name} is {reason}"))
    })
}

/// A variable that is 1 for true, and 0 or not set for false.
fn switch(name: &str) -> Result<bool> {
    match optional(name)?.as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(Error::new(Status::OutOfRange, format!("the environment variable {name} is neither 0 nor 1"))),
    }
}

fn optional(name: &str) -> Result<Option<String>> {
    if privileges::are_elevated() {
        return Ok(None);
    }
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value
        .map(|value| value.into_string())
        .transpose()
        .map_err(|_| Error::new(Status::InvalidUtf8, format!("the environment variable {name} is not valid UTF-8")))
}
