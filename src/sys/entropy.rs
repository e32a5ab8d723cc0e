//! The random number source of the operating system.

use std::io;

/// Takes random numbers from the system, as many as it gives at once. At most 256 bytes are requested.
///
/// Linux before 3.17 has no `getrandom`, and glibc before 2.25 has no function of that name, so the system call is made
/// directly. /dev/urandom is the fallback. It is opened for each draw: a descriptor that stays open could be closed by
/// the host, and its number could then be that of any file.
#[cfg(target_os = "linux")]
pub(crate) fn draw_random(buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `buffer` may be written, and no more than its length is.
    let drawn = unsafe { libc::syscall(libc::SYS_getrandom, buffer.as_mut_ptr(), buffer.len(), 0) };
    match usize::try_from(drawn) {
        Ok(drawn) => Ok(drawn),
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOSYS) => draw_from_device(buffer),
            error => Err(error),
        },
    }
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
