//! Whether this program may do more than who started it.

/// Whether the program runs with privileges that its caller does not have: setuid, setgid, or with file capabilities. Its
/// environment then is not to be trusted.
pub(crate) fn are_elevated() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: it takes a number and gives one.
    let elevated = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    #[cfg(not(target_os = "linux"))]
    // SAFETY: it takes nothing and gives a number.
    let elevated = unsafe { libc::issetugid() } != 0;
    elevated
}

/// The user whose rights the program has.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: it takes nothing and gives a number.
    unsafe { libc::geteuid() }
}
