//! Whether this program has more privileges than its caller.

/// Whether the program has more privileges than its caller: setuid, setgid, or file capabilities. Its environment is
/// then not trusted.
pub(crate) fn are_elevated() -> bool {
    #[cfg(miri)]
    let elevated = false;
    #[cfg(all(target_os = "linux", not(miri)))]
    // SAFETY: it takes a number and returns one.
    let elevated = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    #[cfg(not(any(target_os = "linux", miri)))]
    // SAFETY: it takes nothing and returns a number.
    let elevated = unsafe { libc::issetugid() } != 0;
    elevated
}

/// The effective user id.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: it takes nothing and returns a number.
    unsafe { libc::geteuid() }
}
