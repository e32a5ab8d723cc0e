//! The random number source of the operating system.

#[cfg(target_os = "linux")]
use std::ffi::c_uint;
use std::io;

#[cfg(target_os = "linux")]
use super::seed_reserve;

/// Gets random numbers from the system, as many as it returns at once. At most 256 bytes are requested.
///
/// Linux before 3.17 has no `getrandom`, and glibc before 2.25 has no function of that name, so the system call is made
/// directly. /dev/urandom is the fallback. It is opened for each draw: the host could close a descriptor that stays
/// open, and reuse its number for any file.
#[cfg(target_os = "linux")]
pub(crate) fn draw_random(buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `buffer` may be written, and no more than its length is.
    let drawn = unsafe { libc::syscall(libc::SYS_getrandom, buffer.as_mut_ptr(), buffer.len(), 0) };
    match usize::try_from(drawn) {
        Ok(drawn) => Ok(drawn),
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Err(error),
            _ => draw_from_device(buffer),
        },
    }
}

/// Whether the kernel has a system call for random numbers, even if it does not have enough entropy yet. A sandbox may
/// refuse the call.
#[cfg(target_os = "linux")]
pub(super) fn kernel_has_getrandom() -> bool {
    let mut byte = 0_u8;
    // SAFETY: the byte may be written.
    let drawn = unsafe { libc::syscall(libc::SYS_getrandom, &raw mut byte, 1_usize, libc::GRND_NONBLOCK) };
    drawn == 1 || matches!(io::Error::last_os_error().raw_os_error(), Some(libc::EAGAIN | libc::EINTR))
}

#[cfg(target_os = "linux")]
fn draw_from_device(buffer: &mut [u8]) -> io::Result<usize> {
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    /// Major 1, minor 9: Documentation/admin-guide/devices.txt of the kernel.
    const URANDOM: (u32, u32) = (1, 9);

    let mut device = std::fs::File::open("/dev/urandom")?;
    let metadata = device.metadata()?;
    let number = (libc::major(metadata.rdev()), libc::minor(metadata.rdev()));
    if !metadata.file_type().is_char_device() || number != (URANDOM.0, URANDOM.1) {
        return Err(io::Error::other("/dev/urandom is not the kernel's random number device"));
    }
    device.read(buffer)
}

// The standard library calls a function named `getrandom` for the keys of its hash tables, once per thread, if there
// is one (`extern_weak`). Otherwise it makes the system call, and without that it keeps /dev/urandom open and reads
// from that descriptor number, even if the host has reused it. This definition is hidden: only code linked into the
// same file can see it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
std::arch::global_asm!(
    ".pushsection .text.getrandom, \"ax\", @progbits",
    ".weak getrandom",
    ".hidden getrandom",
    ".type getrandom, @function",
    "getrandom: jmp {}",
    ".popsection",
    sym getrandom,
);

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
std::arch::global_asm!(
    ".pushsection .text.getrandom, \"ax\", %progbits",
    ".weak getrandom",
    ".hidden getrandom",
    ".type getrandom, %function",
    "getrandom: b {}",
    ".popsection",
    sym getrandom,
);

/// Fails only with the two errors after which the standard library tries again.
#[cfg(target_os = "linux")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
unsafe extern "C" fn getrandom(buffer: *mut u8, len: usize, flags: c_uint) -> isize {
    // SAFETY: the caller promises that so many bytes may be written.
    let drawn = unsafe { libc::syscall(libc::SYS_getrandom, buffer, len, flags) };
    let error = io::Error::last_os_error().raw_os_error();
    if drawn >= 0 || matches!(error, Some(libc::EINTR | libc::EINVAL)) {
        return drawn as isize;
    }
    // SAFETY: as above.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, len) };
    draw_from_device(buffer).unwrap_or_else(|_| {
        let key = seed_reserve::next_hash_key();
        let len = buffer.len().min(key.len());
        buffer[..len].copy_from_slice(&key[..len]);
        len
    }) as isize
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn draw_random(buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `buffer` may be written, and no more than its length is.
    match unsafe { libc::getentropy(buffer.as_mut_ptr().cast(), buffer.len()) } {
        0 => Ok(buffer.len()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_draws_every_byte() {
        let mut seen = [0_u8; 256];
        for _ in 0..16 {
            let mut bytes = [0; 256];
            assert_eq!(draw_from_device(&mut bytes).unwrap(), bytes.len());
            seen.iter_mut().zip(bytes).for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|byte| *byte != 0));
    }
}
