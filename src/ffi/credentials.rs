//! The setters of credentials providers; fixed credentials are in [`super::config`].

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use super::arguments::{handle, handle_mut, null, optional_text, text};
use super::config::{set_text, tckms_config};
use super::extensible::{self, Extensible};
use super::guard::guard;
use super::userdata::{Userdata, tckms_destructor};
use crate::config::Config;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::providers::{DURATION_MAX, Role, SuppliedCredentials};
use crate::status::Status;

/// The output of a credentials callback, filled with tckms_credentials_set(). It is valid only
/// during the callback.
pub struct tckms_credentials(Option<SuppliedCredentials>);

/// A function that supplies credentials.
///
/// @param userdata  The pointer given to tckms_config_set_credentials_callback().
/// @param out       To be filled with tckms_credentials_set().
/// @return          0 when it filled `out`. Otherwise a status of this library, which becomes the
///                  status of the call: TCKMS_ERR_SERVICE_UNAVAILABLE for an outage, which counts as
///                  retryable. Any other number becomes TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED, which
///                  does not.
///
/// It runs on the thread of a call that finds that new credentials are due, or whose credentials the
/// service refuses (after a rotation), and on one thread at a time for each client made with
/// tckms_client_new(). It may block: other threads continue with credentials that are still valid.
/// When it fails, it is not called again for half a second, and calls return its status until then.
/// It may call the library, but not with a client that waits for it. It must return: do not leave it
/// by longjmp() or a C++ exception.
pub type tckms_credentials_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, out: *mut tckms_credentials) -> c_int>;

/// Uses the default chain of the official SDKs, in this order: the environment, the profile file,
/// the role of the CVM instance, the role of the TKE pod.
///
/// Environment variables are read now (see tckms_config_set_env_credentials(),
/// ..._set_default_profile_credentials() and ..._set_tke_env_credentials()), files by
/// tckms_client_new(), and the network is used by the first call that finds no other credentials.
/// The first provider that has credentials is used from then on. If none has any, the call's error
/// names each with its reason.
///
/// In a program that runs with more privileges than its caller (setuid, setgid, file capabilities)
/// every variable counts as not set, for this and all functions that read the environment, and the
/// home directory is not used.
///
/// @param config  The configuration. Replaces the credentials set before.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_MALFORMED_CREDENTIALS,
///                TCKMS_ERR_INVALID_ROLE, TCKMS_ERR_INVALID_REGION or TCKMS_ERR_INVALID_UTF8 when a
///                variable is set but malformed.
///
/// Threads: while no thread changes the environment.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_default_credentials(config: *mut tckms_config) -> Status {
    // SAFETY: "Handles" in the header.
    guard(|| unsafe { handle_mut(config, "config")? }.0.set_default_credentials())
}

/// Reads credentials from TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and
/// TENCENTCLOUD_SESSION_TOKEN, else TENCENTCLOUD_TOKEN, during this call.
///
/// @param config  The configuration. Replaces the credentials set before.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when one of the first
///                two is not set or empty, TCKMS_ERR_MALFORMED_CREDENTIALS or
///                TCKMS_ERR_INVALID_UTF8.
///
/// Threads: while no thread changes the environment.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_env_credentials(config: *mut tckms_config) -> Status {
    // SAFETY: "Handles" in the header.
    guard(|| unsafe { handle_mut(config, "config")? }.0.set_env_credentials())
}

/// Uses credentials from a profile file of the official SDKs: INI, with secret_id, secret_key and
/// possibly token.
///
/// @param config           The configuration. Replaces the credentials set before.
/// @param path             The file: a regular one of at most 64 KiB. Copied. tckms_client_new()
///                         reads it.
/// @param profile_or_null  The section; NULL for "default". Copied.
/// @return                 TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8.
///                         tckms_client_new() returns TCKMS_ERR_NO_CREDENTIALS when there is no such
///                         file, and TCKMS_ERR_INVALID_CREDENTIALS_FILE when it cannot be used.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_profile_credentials(
    config: *mut tckms_config,
    path: *const c_char,
    profile_or_null: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (config, path, profile) = unsafe {
            (handle_mut(config, "config")?, text(path, "path")?, optional_text(profile_or_null, "profile_or_null")?)
        };
        config.0.set_profile_credentials(Path::new(path), profile);
        Ok(())
    })
}

/// Uses credentials from the default profile file: the one that TENCENTCLOUD_CREDENTIALS_FILE names
/// during this call, else ~/.tencentcloud/credentials, else /etc/tencentcloud/credentials.
///
/// @param config           The configuration. Replaces the credentials set before.
/// @param profile_or_null  The section; NULL for "default". Copied.
/// @return                 As for tckms_config_set_profile_credentials().
///
/// Threads: while no thread changes the environment.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_default_profile_credentials(
    config: *mut tckms_config,
    profile_or_null: *const c_char,
) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_profile(config, profile_or_null, Config::set_default_profile_credentials) })
}

/// Uses credentials from a file of tccli, Tencent's command-line tool: keys, a login with an expiry,
/// a role to assume, or the role of the CVM instance.
///
/// @param config  The configuration. Replaces the credentials set before.
/// @param path    The file: a regular one of at most 64 KiB. Copied. tckms_client_new() reads it,
///                and so does each renewal.
/// @return        As for tckms_config_set_profile_credentials().
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_tccli_credentials(config: *mut tckms_config, path: *const c_char) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (config, path) = unsafe { (handle_mut(config, "config")?, text(path, "path")?) };
        config.0.set_tccli_credentials(Path::new(path));
        Ok(())
    })
}

/// Uses credentials from the default file of tccli, ~/.tccli/<profile>.credential.
///
/// @param config           The configuration. Replaces the credentials set before.
/// @param profile_or_null  The profile; NULL for that of TCCLI_PROFILE, else "default". Copied.
/// @return                 As for tckms_config_set_profile_credentials(), and
///                         TCKMS_ERR_INVALID_CREDENTIALS_FILE when the profile's name contains a '/'
///                         or the user has no home directory.
///
/// Threads: while no thread changes the environment.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_default_tccli_credentials(
    config: *mut tckms_config,
    profile_or_null: *const c_char,
) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_profile(config, profile_or_null, Config::set_default_tccli_credentials) })
}

/// Uses the role that is bound to this CVM instance, from the instance's metadata service.
///
/// Requests to the service use no proxy and take at most 2 seconds. A call returns
/// TCKMS_ERR_METADATA_UNAVAILABLE if the service does not reply, as on a machine that is not a CVM
/// instance.
///
/// @param config        The configuration. Replaces the credentials set before.
/// @param role_or_null  The role's name, 1 to 128 letters, digits and -_+=,.@; NULL for the one that
///                      is bound. Copied.
/// @return              TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                      TCKMS_ERR_INVALID_ROLE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_cvm_role_credentials(
    config: *mut tckms_config,
    role_or_null: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (config, role) = unsafe { (handle_mut(config, "config")?, optional_text(role_or_null, "role_or_null")?) };
        config.0.set_cvm_role_credentials(role)
    })
}

/// Uses a role that is assumed with an OIDC token from a file, by AssumeRoleWithWebIdentity of STS.
///
/// @param config                The configuration. Replaces the credentials set before.
/// @param provider_id           The identity provider's id in CAM. Copied.
/// @param token_file            The file with the token. Copied. Read for each renewal.
/// @param role_arn              The role: "qcs::cam::uin/<uin>:roleName/<name>" or ":role/<id>".
///                              Copied.
/// @param session_name_or_null  2 to 128 letters, digits and _+=,.@-; NULL for a generated one.
///                              Copied.
/// @param duration_seconds      Lifetime of the session, up to 43200; 0 for 7200.
/// @return                      TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                              TCKMS_ERR_INVALID_ROLE or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_oidc_credentials(
    config: *mut tckms_config,
    provider_id: *const c_char,
    token_file: *const c_char,
    role_arn: *const c_char,
    session_name_or_null: *const c_char,
    duration_seconds: i64,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (config, provider_id, token_file, role_arn, session_name) = unsafe {
            (
                handle_mut(config, "config")?,
                text(provider_id, "provider_id")?,
                text(token_file, "token_file")?,
                text(role_arn, "role_arn")?,
                optional_text(session_name_or_null, "session_name_or_null")?,
            )
        };
        let duration = session_duration(duration_seconds)?;
        let role = Role::new(role_arn, session_name, duration, None, None)?;
        config.0.set_oidc_credentials(provider_id, Path::new(token_file), role);
        Ok(())
    })
}

/// Uses the role of the TKE pod in which this process runs, from the variables that TKE sets:
/// TKE_PROVIDER_ID, TKE_WEB_IDENTITY_TOKEN_FILE, TKE_ROLE_ARN and TKE_REGION.
///
/// @param config  The configuration. Replaces the credentials set before.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when one of the first
///                three is not set or empty, TCKMS_ERR_INVALID_ROLE, TCKMS_ERR_INVALID_REGION or
///                TCKMS_ERR_INVALID_UTF8.
///
/// Threads: while no thread changes the environment.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_tke_env_credentials(config: *mut tckms_config) -> Status {
    // SAFETY: "Handles" in the header.
    guard(|| unsafe { handle_mut(config, "config")? }.0.set_tke_env_credentials())
}

/// A role to assume, for tckms_config_set_assume_role_credentials(). Initialize it with
/// TCKMS_ROLE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tckms_role_options {
    /// Required: "qcs::cam::uin/<uin>:roleName/<name>" or "qcs::cam::uin/<uin>:role/<id>".
    pub role_arn: *const c_char,
    /// 2 to 128 letters, digits and _+=,.@-; NULL for a generated one.
    pub session_name_or_null: *const c_char,
    /// The external id that the role's policy requires, or NULL.
    pub external_id_or_null: *const c_char,
    /// A policy in JSON that restricts the role, or NULL.
    pub policy_or_null: *const c_char,
    /// Lifetime of the session, up to 43200; 0 for 7200.
    pub duration_seconds: i64,
}

// SAFETY: four pointers and a number as large as the largest of them, without padding; all zero is
// four NULLs and 0.
unsafe impl Extensible for tckms_role_options {
    const NAME: &'static str = "tckms_role_options";
    const SIZES: &'static [usize] = &[size_of::<tckms_role_options>()];
}

/// Uses a role that is assumed with the credentials set so far, by AssumeRole of STS. From now on,
/// those credentials sign the calls of STS, and the role's sign the calls of KMS. Call it again for
/// a role that this role may assume: up to 8 levels.
///
/// @param config   The configuration, with credentials of any kind.
/// @param options  The role. Copied.
/// @param size     sizeof(tckms_role_options) of the program.
/// @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
///                 TCKMS_ERR_UNKNOWN_OPTION, TCKMS_ERR_INVALID_UTF8, TCKMS_ERR_INVALID_ROLE,
///                 TCKMS_ERR_OUT_OF_RANGE, or TCKMS_ERR_NO_CREDENTIALS when none were set before.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_assume_role_credentials(
    config: *mut tckms_config,
    options: *const tckms_role_options,
    size: usize,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Structures" in the header.
        let (config, options) = unsafe { (handle_mut(config, "config")?, extensible::read(options, size, "options")?) };
        // SAFETY: "Strings and buffers" in the header.
        let (role_arn, session_name, external_id, policy) = unsafe {
            (
                text(options.role_arn, "role_arn")?,
                optional_text(options.session_name_or_null, "session_name_or_null")?,
                optional_text(options.external_id_or_null, "external_id_or_null")?,
                optional_text(options.policy_or_null, "policy_or_null")?,
            )
        };
        let duration = session_duration(options.duration_seconds)?;
        config.0.set_assume_role_credentials(Role::new(role_arn, session_name, duration, external_id, policy)?)
    })
}

fn session_duration(seconds: i64) -> Result<u32> {
    let allowed = u32::try_from(seconds).ok().filter(|seconds| *seconds <= DURATION_MAX);
    allowed.ok_or_else(|| {
        Error::new(Status::OutOfRange, format!("the duration is {seconds} s, 0 to {DURATION_MAX} are allowed"))
    })
}

/// Uses credentials from a function of the program, which is called whenever new ones are due.
///
/// @param config              The configuration. Replaces the credentials set before.
/// @param callback            The function.
/// @param userdata            Passed to the function unchanged. It must be safe to use from all
///                            threads that call the library.
/// @param destructor_or_null  Frees `userdata`; see tckms_destructor.
/// @return                    TCKMS_OK or TCKMS_ERR_NULL_POINTER. If the function fails, a call
///                            returns its status, or TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED.
///
/// The function runs on the thread of the call; for calls of a queue, on a worker of the queue.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_credentials_callback(
    config: *mut tckms_config,
    callback: tckms_credentials_callback,
    userdata: *mut c_void,
    destructor_or_null: tckms_destructor,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" in the header.
        let config = unsafe { handle_mut(config, "config")? };
        let callback = callback.ok_or_else(|| null("callback"))?;
        let owned = Userdata::new(userdata, destructor_or_null);
        config.0.set_credentials_callback(Arc::new(move || supply(callback, &owned)));
        Ok(())
    })
}

type CredentialsFunction = unsafe extern "C" fn(*mut c_void, *mut tckms_credentials) -> c_int;

fn supply(callback: CredentialsFunction, userdata: &Userdata) -> std::result::Result<SuppliedCredentials, Status> {
    let mut out = tckms_credentials(None);
    // SAFETY: the host guarantees that the function and its userdata may be used from every thread
    // (tckms_config_set_credentials_callback in the header); `out` outlives the call.
    let number = unsafe { callback(userdata.pointer(), &mut out) };
    match Status::from_number(number) {
        Some(Status::Ok) => out.0.ok_or(Status::CredentialsCallbackFailed),
        Some(status) => Err(status),
        None => Err(Status::CredentialsCallbackFailed),
    }
}

/// Supplies credentials; call it only in a credentials callback.
///
/// @param out                 The callback's `out`.
/// @param secret_id           As for tckms_config_set_credentials(). Copied.
/// @param secret_key          The same. Copied into memory that is wiped.
/// @param token_or_null       NULL, or the session token. Copied into memory that is wiped.
/// @param expires_at_seconds  When they expire, in seconds (not milliseconds) since the Unix epoch,
///                            before the year 10000; 0 for never. The callback is called again
///                            before that.
/// @return                    TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
///                            TCKMS_ERR_MALFORMED_CREDENTIALS or TCKMS_ERR_OUT_OF_RANGE.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_credentials_set(
    out: *mut tckms_credentials,
    secret_id: *const c_char,
    secret_key: *const c_char,
    token_or_null: *const c_char,
    expires_at_seconds: i64,
) -> Status {
    guard(|| {
        // SAFETY: "Handles" and "Strings and buffers" in the header.
        let (out, secret_id, secret_key, token) = unsafe {
            (
                handle_mut(out, "out")?,
                text(secret_id, "secret_id")?,
                text(secret_key, "secret_key")?,
                optional_text(token_or_null, "token_or_null")?,
            )
        };
        let credentials = Credentials::new(secret_id, secret_key, token)?;
        let expires_at = (expires_at_seconds != 0).then_some(expires_at_seconds);
        out.0 = Some(SuppliedCredentials::new(credentials, expires_at)?);
        Ok(())
    })
}

/// Adds the credentials of another configuration as a fallback if those set so far are not
/// available. Call it again for further fallbacks: they are tried in the order of the calls.
///
/// @param config  The configuration.
/// @param other   Another configuration, with credentials of any kind. Copied.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when `other` has none,
///                or TCKMS_ERR_OUT_OF_RANGE when it is `config` itself, or roles and fallbacks would
///                be nested more than 8 deep.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_add_fallback_credentials(
    config: *mut tckms_config,
    other: *const tckms_config,
) -> Status {
    guard(|| {
        if !config.is_null() && ptr::eq(config, other) {
            return Err(Error::new(Status::OutOfRange, "a configuration cannot be its own fallback"));
        }
        // SAFETY: "Handles" in the header; the two are not the same.
        let (config, other) = unsafe { (handle_mut(config, "config")?, handle(other, "other")?) };
        config.0.add_fallback_credentials(&other.0)
    })
}

/// Sets another endpoint of the CVM metadata service, for tests.
///
/// @param config  The configuration.
/// @param url     "http://host[:port]". Copied. Default "http://metadata.tencentyun.com".
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                TCKMS_ERR_INVALID_ENDPOINT.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_metadata_endpoint(config: *mut tckms_config, url: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_text(config, url, "url", Config::set_metadata_endpoint) })
}

/// Sets the endpoint of STS. The default corresponds to the endpoint of KMS:
/// "https://sts.tencentcloudapi.com", that of the international site, or the internal one of either.
///
/// @param config  The configuration.
/// @param url     "https://host[:port]", or "http://host[:port]" for a loopback address. Copied.
/// @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
///                TCKMS_ERR_INVALID_ENDPOINT. tckms_client_new() returns TCKMS_ERR_INSECURE_ENDPOINT
///                for http to a host that is not loopback.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tckms_config_set_sts_endpoint(config: *mut tckms_config, url: *const c_char) -> Status {
    // SAFETY: "Handles" and "Strings and buffers" in the header.
    guard(|| unsafe { set_text(config, url, "url", Config::set_sts_endpoint) })
}

/// Passes the name of a profile, or none, to a setter of the safe core.
///
/// # Safety
///
/// As for every function that takes a configuration and a string.
unsafe fn set_profile(
    config: *mut tckms_config,
    profile_or_null: *const c_char,
    set: fn(&mut Config, Option<&str>) -> Result<()>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let (config, profile) =
        unsafe { (handle_mut(config, "config")?, optional_text(profile_or_null, "profile_or_null")?) };
    set(&mut config.0, profile)
}
