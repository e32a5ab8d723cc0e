//! Creates the client of a token from its settings.

use tckms::{Client, Config, LogLevel};

use super::provider;
use super::settings::TokenSettings;
use super::variable::variable;
use crate::{advice, log};

/// Why a client cannot be created.
type Failure = String;

/// Creates the client of a token. Opens no connection.
pub fn client(token: &TokenSettings) -> Result<Client, Failure> {
    let mut config = Config::new();
    let text = |error: tckms::Error| error.message().to_owned();
    config.set_default_connection().map_err(text)?;
    credentials(&mut config, token.credentials.as_deref().unwrap_or("default"))?;
    let region = token.region.clone().or_else(|| variable("TENCENTCLOUD_REGION"));
    let region = region.ok_or("neither `region` nor the variable TENCENTCLOUD_REGION is set")?;
    config.set_region(&region).map_err(text)?;
    if let Some(url) = &token.endpoint {
        config.set_endpoint(url).map_err(text)?;
    }
    if let Some(url) = &token.sts_endpoint {
        config.set_sts_endpoint(url).map_err(text)?;
    }
    if let Some(url) = &token.proxy {
        config.set_proxy(url).map_err(text)?;
    }
    if token.insecure_http {
        config.set_insecure_http_allowed(true);
    }
    if let Some(path) = &token.ca_bundle {
        config.set_ca_file(path);
    }
    if let Some(timeout) = token.timeout {
        config.set_total_timeout(timeout).map_err(text)?;
    }
    config.set_user_agent_suffix(&user_agent_suffix(advice::program_name())).map_err(text)?;
    // The module logs failed calls itself, with the key.
    config.set_log(
        log::level(),
        Box::new(|event| {
            if event.level != LogLevel::Error {
                log::write(event.level, format_args!("{}", event.message));
            }
        }),
    );
    Client::new(&config).map_err(text)
}

fn credentials(config: &mut Config, source: &str) -> Result<(), Failure> {
    let set = provider::set(config, source)
        .ok_or_else(|| format!("credentials is {source:?}; it can be {}", provider::NAMES))?;
    set.map_err(|error| error.message().to_owned())
}

/// The suffix of the User-Agent header: the module, and the program's name as far as a header may contain it.
fn user_agent_suffix(program: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let name: String = program.chars().filter(allowed).take(64).collect();
    if name.is_empty() { "pkcs11".to_owned() } else { format!("pkcs11; {name}") }
}
