//! Memory that is wiped before it is freed.

use std::io;

use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::wipe;

/// Bytes that must stay secret: a secret key, a token, a plaintext, a data key, or a message that holds one.
///
/// Wiped when dropped. It never reallocates without wiping the old block, and it has no `Debug`, so no log
/// or error text can print it by accident.
#[derive(Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// An empty secret with a capacity of `capacity` bytes.
    ///
    /// Fails with [`Status::OutOfMemory`] if the memory cannot be allocated.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let mut bytes = Vec::new();
        match bytes.try_reserve_exact(capacity) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(out_of_memory(capacity)),
        }
    }

    /// A secret of `len` zero bytes, to be filled by a producer that writes into a slice.
    ///
    /// Fails with [`Status::OutOfMemory`] if the memory cannot be allocated.
    pub fn zeroed(len: usize) -> Result<Self> {
        let mut secret = Self::with_capacity(len)?;
        secret.0.resize(len, 0);
        Ok(secret)
    }

    /// A wiped-on-drop copy of `bytes`.
    ///
    /// Fails with [`Status::OutOfMemory`] if the memory cannot be allocated.
    pub fn copy_of(bytes: &[u8]) -> Result<Self> {
        let mut secret = Self::with_capacity(bytes.len())?;
        secret.0.extend_from_slice(bytes);
        Ok(secret)
    }

    /// The bytes. The name marks each place that reads a secret.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, to be filled or changed.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Shortens the secret to `len` bytes and wipes the rest.
    pub fn truncate(&mut self, len: usize) {
        if let Some(rest) = self.0.get_mut(len..) {
            wipe::wipe_slice(rest);
            self.0.truncate(len);
        }
    }

    /// Appends bytes. A block that is too small is wiped after it was copied.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<()> {
        self.reserve(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends `len` zero bytes and returns them for filling.
    pub(crate) fn grow(&mut self, len: usize) -> Result<&mut [u8]> {
        self.reserve(len)?;
        let old_len = self.0.len();
        self.0.resize(old_len + len, 0);
        Ok(&mut self.0[old_len..])
    }

    /// Moves to a larger block when needed; the old one is wiped when it is dropped.
    fn reserve(&mut self, additional: usize) -> Result<()> {
        let needed = self.0.len().checked_add(additional).ok_or_else(|| out_of_memory(usize::MAX))?;
        if needed > self.0.capacity() {
            let mut larger = Self::with_capacity(needed.max(self.0.capacity().saturating_mul(2)))?;
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        Ok(())
    }
}

impl Drop for Secret {
    /// Wipes the bytes. The rest of the capacity is always zero: [`Secret::truncate`] wipes the bytes that
    /// it removes.
    fn drop(&mut self) {
        wipe::wipe_slice(&mut self.0);
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.expose()
    }
}

impl io::Write for Secret {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn out_of_memory(len: usize) -> Error {
    Error::new(Status::OutOfMemory, format!("no memory for a block of {len} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_the_content() {
        let mut secret = Secret::with_capacity(1).unwrap();
        secret.extend_from_slice(b"abc").unwrap();
        secret.grow(2).unwrap().copy_from_slice(b"de");
        assert_eq!(secret.expose(), b"abcde");
    }

    #[test]
    fn truncating_keeps_the_front() {
        let mut secret = Secret::copy_of(b"abcde").unwrap();
        secret.truncate(2);
        assert_eq!(secret.expose(), b"ab");
        secret.truncate(9);
        assert_eq!(secret.expose(), b"ab");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri ends itself when it cannot allocate")]
    fn an_impossible_size_is_an_error_not_an_abort() {
        let error = Secret::with_capacity(isize::MAX as usize).err().unwrap();
        assert_eq!(error.status(), Status::OutOfMemory);
    }
}
