//! The configuration builder.

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

use super::arguments::{bytes, handle_mut, non_negative, optional_text, text, timeout};
use super::guard::{guard, guard_infallible};
use super::handle;
use crate::config::{Config, MAX_ATTEMPTS_MAX, MAX_CONNECTIONS_MAX, RATE_MAX};
use crate::error::{Error, Result};
use crate::site::Site;
use crate::status::Status;

/// The settings of clients.
///
/// A configuration may be changed by one thread at a time. It can be freed as soon as the client is
/// created, and can be used for many clients.
pub struct tckms_config(pub(super) Config);

/// Creates an empty configuration. Set region and credentials before you create a client from it.
///
/// @return  The configuration, owned by the caller, who frees it with tckms_config_free(). NULL when
///          there is no memory; every function accepts that and returns TCKMS_ERR_NULL_POINTER.
#[unsafe(no_mangle)]
pub extern "C" fn tckms_config_new() -> *mut tckms_config {
    guard_infallible(ptr::null_mut(), || handle::publish_or_null(tckms_config(Config::new())))
}

/// Frees a configuration and wipes the secrets in it.
///
/// @param config  NULL, which is harmless, or a configuration from tckms_config_new().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_free(config: *mut tckms_config) {
    // SAFETY: "Handles" in the header.
    unsafe { handle::free(config) };
}

/// Sets the region that requests name, such as "ap-guangzhou". Required.
///
/// @param config  The configuration.
/// @param region  1 to 32 lower-case letters, digits and '-', beginning with a letter. Copied.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                TCKMS_ERR_INVALID_REGION.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_region(config: *mut tckms_config, region: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_text(config, region, "region", Config::set_region) })
}

/// Sets the service's endpoint. Default "https://kms.tencentcloudapi.com", the mainland site.
///
/// @param config  The configuration.
/// @param url     "https://host[:port]", or "http://host[:port]" for a loopback address. Copied.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                TCKMS_ERR_INVALID_ENDPOINT. tckms_client_new() returns TCKMS_ERR_INSECURE_ENDPOINT
///                for http to a host that is not loopback.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_endpoint(config: *mut tckms_config, url: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_text(config, url, "url", Config::set_endpoint) })
}

/// Site: cloud.tencent.com, the mainland one.
pub const TCKMS_SITE_MAINLAND: c_int = 0;
/// Site: tencentcloud.com, the international one.
pub const TCKMS_SITE_INTERNATIONAL: c_int = 1;

/// Selects the site of Tencent Cloud, and thereby the endpoints of KMS and STS.
///
/// tckms_config_set_endpoint() and tckms_config_set_sts_endpoint() take precedence over the site, in
/// either order of the calls.
///
/// @param config  The configuration.
/// @param site    TCKMS_SITE_MAINLAND (default) or TCKMS_SITE_INTERNATIONAL.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_site(config: *mut tckms_config, site: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let config = unsafe { handle_mut(config, "config")? };
        config.0.set_site(match site {
            TCKMS_SITE_MAINLAND => Site::Mainland,
            TCKMS_SITE_INTERNATIONAL => Site::International,
            _ => return Err(Error::new(Status::OutOfRange, format!("the site is {site}, 0 and 1 are allowed"))),
        });
        Ok(())
    })
}

/// Allows plain http to any host. Anyone on the network path can then read plaintexts and data keys.
///
/// @param config   The configuration.
/// @param allowed  0 (default): loopback addresses only. Anything else: any host.
/// @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_insecure_http_allowed(config: *mut tckms_config, allowed: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(config, "config")? }.0.set_insecure_http_allowed(allowed != 0);
        Ok(())
    })
}

/// Sets fixed credentials.
///
/// @param config         The configuration.
/// @param secret_id      1 to 1024 printable ASCII characters without blanks. Copied.
/// @param secret_key     The same. Copied into memory that is wiped.
/// @param token_or_null  NULL, or the session token of temporary credentials: 1 to 4096 such
///                       characters. Copied into memory that is wiped.
/// @return               TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                       TCKMS_ERR_MALFORMED_CREDENTIALS.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_credentials(
    config: *mut tckms_config,
    secret_id: *const c_char,
    secret_key: *const c_char,
    token_or_null: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (config, secret_id, secret_key, token) = unsafe {
            (
                handle_mut(config, "config")?,
                text(secret_id, "secret_id")?,
                text(secret_key, "secret_key")?,
                optional_text(token_or_null, "token_or_null")?,
            )
        };
        config.0.set_credentials(secret_id, secret_key, token)
    })
}

/// Trusts the certificates in a file instead of the system's. The file is read by
/// tckms_client_new().
///
/// @param config  The configuration.
/// @param path    A file of certificates in PEM form. Copied.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8. tckms_client_new()
///                returns TCKMS_ERR_INVALID_CA_BUNDLE when the file cannot be read or has no
///                certificate.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_ca_file(config: *mut tckms_config, path: *const c_char) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (config, path) = unsafe { (handle_mut(config, "config")?, text(path, "path")?) };
        config.0.set_ca_file(Path::new(path));
        Ok(())
    })
}

/// Trusts certificates in memory instead of the system's.
///
/// @param config  The configuration.
/// @param pem     Certificates in PEM form. Copied.
/// @param len     At most 16777216 bytes.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH. tckms_client_new()
///                returns TCKMS_ERR_INVALID_CA_BUNDLE when it has no certificate.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_ca_pem(config: *mut tckms_config, pem: *const c_void, len: usize) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (config, pem) = unsafe { (handle_mut(config, "config")?, bytes(pem, len, "pem")?) };
        config.0.set_ca_pem(pem)
    })
}

/// Sends everything through a tunnel (CONNECT) of an HTTP proxy, also to an endpoint with plain
/// http. By default no proxy is used, whatever the environment says.
///
/// If the proxy refuses the tunnel, the call ends after one attempt with TCKMS_ERR_PROXY_REFUSED and
/// the proxy's HTTP status, so a wrong password is not sent again. The certificate of an "https"
/// proxy is checked like that of the service.
///
/// @param config  The configuration.
/// @param url     "http://[user:password@]host[:port]", or the same with "https". Copied.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                TCKMS_ERR_INVALID_PROXY.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_proxy(config: *mut tckms_config, url: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_text(config, url, "url", Config::set_proxy) })
}

/// Limits how long making a connection may take, TLS included. Default 3000.
///
/// @param config      The configuration.
/// @param timeout_ms  1 to 3600000 milliseconds.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_connect_timeout_ms(config: *mut tckms_config, timeout_ms: i64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(config, "config")? }.0.set_connect_timeout(timeout("connect timeout", timeout_ms)?)
    })
}

/// Limits the number of connections at the same time. Default 32.
///
/// A call beyond that waits, within its timeouts, until a connection is free. Calls get one in order
/// of arrival. Each process has its own connections, so a forked child may open as many again.
///
/// @param config       The configuration.
/// @param connections  1 to 1024.
/// @return             TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_max_connections(config: *mut tckms_config, connections: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let config = unsafe { handle_mut(config, "config")? };
        config.0.set_max_connections(non_negative("max connections", connections, 1..=MAX_CONNECTIONS_MAX)?)
    })
}

/// Limits the number of idle connections that are kept for the idle timeout. Further idle
/// connections are closed after 5 seconds. Default 8.
///
/// @param config       The configuration.
/// @param connections  0 to 1024.
/// @return             TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_max_idle_connections(
    config: *mut tckms_config,
    connections: c_int,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let config = unsafe { handle_mut(config, "config")? };
        config.0.set_max_idle_connections(non_negative("max idle connections", connections, 0..=MAX_CONNECTIONS_MAX)?)
    })
}

/// Limits how long an idle connection is kept. Default 60000.
///
/// @param config      The configuration.
/// @param timeout_ms  1 to 3600000 milliseconds.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_idle_timeout_ms(config: *mut tckms_config, timeout_ms: i64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(config, "config")? }.0.set_idle_timeout(timeout("idle timeout", timeout_ms)?)
    })
}

/// Limits how long one attempt may take, from connecting to the last byte of the reply. Default
/// 10000.
///
/// @param config      The configuration.
/// @param timeout_ms  1 to 3600000 milliseconds.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_try_timeout_ms(config: *mut tckms_config, timeout_ms: i64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(config, "config")? }.0.set_try_timeout(timeout("try timeout", timeout_ms)?)
    })
}

/// Limits how long a call may take with all its attempts and waits. Default 30000.
///
/// @param config      The configuration.
/// @param timeout_ms  1 to 3600000 milliseconds.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_total_timeout_ms(config: *mut tckms_config, timeout_ms: i64) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(config, "config")? }.0.set_total_timeout(timeout("total timeout", timeout_ms)?)
    })
}

/// Limits how many times a request is sent, including the first. Default 4; 1 means no retry. A
/// request that is sent again after a correction of the clock or the token is not counted.
///
/// @param config    The configuration.
/// @param attempts  1 to 20.
/// @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_max_attempts(config: *mut tckms_config, attempts: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let config = unsafe { handle_mut(config, "config")? };
        config.0.set_max_attempts(non_negative("max attempts", attempts, 1..=MAX_ATTEMPTS_MAX)?)
    })
}

/// Allows tckms_call() to retry actions that create something even if the first request may have
/// been executed.
///
/// @param config   The configuration.
/// @param allowed  0 (default): such a call fails instead. Anything else: it is sent again.
/// @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_retry_unsafe_actions(config: *mut tckms_config, allowed: c_int) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        unsafe { handle_mut(config, "config")? }.0.set_retry_unsafe_actions(allowed != 0);
        Ok(())
    })
}

/// Limits the rate of requests of a client and all clients derived from it, including retries.
///
/// @param config      The configuration.
/// @param per_second  Requests per second on average, up to 1000000; 0 (default): no limit.
/// @param burst       Requests at once, up to 1000000; 0 for as many as in one second. Ignored when
///                    `per_second` is 0.
/// @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
///
/// Clients made from one configuration share the limit. A call waits until the limit allows it; if
/// that would exceed its total timeout, it returns TCKMS_ERR_TIMED_OUT at once.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_rate_limit(
    config: *mut tckms_config,
    per_second: c_int,
    burst: c_int,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let config = unsafe { handle_mut(config, "config")? };
        let per_second = non_negative("rate limit per second", per_second, 0..=RATE_MAX)?;
        let burst = if per_second == 0 { 0 } else { non_negative("rate limit burst", burst, 0..=RATE_MAX)? };
        config.0.set_rate_limit(per_second, burst)
    })
}

/// Adds the program's name to the header X-TC-RequestClient of requests, after "TCKMS_<version>; ".
///
/// @param config  The configuration.
/// @param suffix  1 to 128 letters, digits, blanks and -_,;. characters. Copied.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                TCKMS_ERR_INVALID_HEADER_TEXT.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_user_agent_suffix(
    config: *mut tckms_config,
    suffix: *const c_char,
) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_text(config, suffix, "suffix", Config::set_user_agent_suffix) })
}

/// Sets the language of the service's own messages.
///
/// @param config    The configuration.
/// @param language  "en-US" (default) or "zh-CN". Copied.
/// @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                  TCKMS_ERR_INVALID_HEADER_TEXT.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_language(config: *mut tckms_config, language: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_text(config, language, "language", Config::set_language) })
}

/// Passes one text to a setter of the safe core.
///
/// # Safety
///
/// As for every function that takes a configuration and a string.
pub(super) unsafe fn set_text(
    config: *mut tckms_config,
    value: *const c_char,
    name: &str,
    set: fn(&mut Config, &str) -> Result<()>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (config, value) = unsafe { (handle_mut(config, "config")?, text(value, name)?) };
    set(&mut config.0, value)
}
