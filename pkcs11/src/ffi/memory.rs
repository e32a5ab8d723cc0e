//! Access to the program's memory.

use std::{ptr, slice};

use cryptoki_sys::*;

use crate::error::Result;
use crate::operation::Output;

/// The maximal number of attributes of a template.
const TEMPLATE_MAX: usize = 1024;

fn checked_len(len: CK_ULONG) -> Result<usize> {
    usize::try_from(len).ok().filter(|len| isize::try_from(*len).is_ok()).ok_or(CKR_ARGUMENTS_BAD)
}

/// Input bytes. NULL means none.
///
/// # Safety
///
/// `data` is NULL or points to `len` bytes that do not change while the result is in use.
pub unsafe fn bytes<'a>(data: *const CK_BYTE, len: CK_ULONG) -> Result<&'a [u8]> {
    match (data.is_null(), checked_len(len)?) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(CKR_ARGUMENTS_BAD),
        // SAFETY: the caller's guarantee.
        (false, len) => Ok(unsafe { slice::from_raw_parts(data, len) }),
    }
}

/// An input value.
///
/// # Safety
///
/// `pointer` is NULL or points to a value, aligned or not.
pub unsafe fn read<T: Copy>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the caller's guarantee.
    Ok(unsafe { pointer.read_unaligned() })
}

/// Writes an output value.
///
/// # Safety
///
/// `pointer` is NULL or may be written.
pub unsafe fn write<T>(pointer: *mut T, value: T) -> Result<()> {
    if pointer.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the caller's guarantee.
    unsafe { pointer.write_unaligned(value) };
    Ok(())
}

/// An output buffer: a pointer, and a length that is its capacity at first and the size of the output afterwards.
pub struct OutputBuffer {
    pointer: *mut CK_BYTE,
    len: *mut CK_ULONG,
    capacity: Option<usize>,
}

impl OutputBuffer {
    /// # Safety
    ///
    /// `len` is NULL or points to a length, and `pointer` is NULL or points to that many bytes. Both are writable as long as the
    /// result lives.
    pub unsafe fn new(pointer: *mut CK_BYTE, len: *mut CK_ULONG) -> Result<Self> {
        // SAFETY: the caller's guarantee.
        let capacity = unsafe { read(len)? };
        let capacity = if pointer.is_null() { None } else { Some(usize::try_from(capacity).unwrap_or(usize::MAX)) };
        Ok(Self { pointer, len, capacity })
    }

    /// The capacity; `None` if the program requests the size.
    pub fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    /// Writes the output or its size.
    pub fn write(&self, output: Output) -> Result<()> {
        match output {
            Output::Size(len) => self.write_len(len),
            Output::TooSmall(len) => {
                self.write_len(len)?;
                Err(CKR_BUFFER_TOO_SMALL)
            }
            Output::Bytes(bytes) if self.capacity.is_some_and(|capacity| bytes.len() <= capacity) => {
                // SAFETY: `pointer` has `capacity` bytes (`new`), and the source is memory of the module.
                unsafe { ptr::copy_nonoverlapping(bytes.expose().as_ptr(), self.pointer, bytes.len()) };
                self.write_len(bytes.len())
            }
            Output::Bytes(_) => Err(CKR_GENERAL_ERROR),
        }
    }

    fn write_len(&self, len: usize) -> Result<()> {
        // SAFETY: `new`.
        unsafe { write(self.len, len as CK_ULONG) }
    }
}

/// Writes a list of numbers, with the convention of [`OutputBuffer`].
///
/// # Safety
///
/// `count` is NULL or points to a number, and `pointer` is NULL or points to an array of that length.
pub unsafe fn write_list(pointer: *mut CK_ULONG, count: *mut CK_ULONG, values: &[CK_ULONG]) -> Result<()> {
    // SAFETY: the caller's guarantee.
    let capacity = unsafe { read(count)? };
    // SAFETY: as above.
    unsafe { write(count, values.len() as CK_ULONG)? };
    if pointer.is_null() {
        return Ok(());
    }
    if usize::try_from(capacity).unwrap_or(usize::MAX) < values.len() {
        return Err(CKR_BUFFER_TOO_SMALL);
    }
    // SAFETY: the array has `capacity` elements, at least as many as are copied.
    unsafe { ptr::copy_nonoverlapping(values.as_ptr(), pointer, values.len()) };
    Ok(())
}

/// A copy of the attributes of a template.
///
/// # Safety
///
/// `template` is NULL or points to `count` attributes, whose values are NULL or have the length that the attribute says.
pub unsafe fn template(template: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)>> {
    let count = checked_count(template, count)?;
    let mut attributes = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: the caller's guarantee.
        let attribute = unsafe { template.add(index).read_unaligned() };
        // SAFETY: as above.
        let value = unsafe { bytes(attribute.pValue.cast(), attribute.ulValueLen) };
        attributes.push((attribute.type_, value.map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)?.to_vec()));
    }
    Ok(attributes)
}

/// The number of attributes of a template. Refuses NULL with a number other than 0.
pub fn checked_count(template: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<usize> {
    let count = usize::try_from(count).ok().filter(|count| *count <= TEMPLATE_MAX).ok_or(CKR_ARGUMENTS_BAD)?;
    if template.is_null() && count > 0 { Err(CKR_ARGUMENTS_BAD) } else { Ok(count) }
}

/// Fills memory of the program with the output of `producer`, chunk by chunk.
///
/// # Safety
///
/// `pointer` is NULL or points to `len` bytes.
pub unsafe fn fill(pointer: *mut CK_BYTE, len: CK_ULONG, producer: impl Fn(&mut [u8]) -> Result<()>) -> Result<()> {
    /// The producer writes to memory of the module: that of the program may be uninitialised.
    const CHUNK: usize = 1024;
    let len = checked_len(len)?;
    if pointer.is_null() && len > 0 {
        return Err(CKR_ARGUMENTS_BAD);
    }
    let mut buffer = [0; CHUNK];
    let mut done = 0;
    while done < len {
        let count = CHUNK.min(len - done);
        let filled = producer(&mut buffer[..count]);
        if filled.is_ok() {
            // SAFETY: the caller's guarantee; `done + count` is at most `len`.
            unsafe { ptr::copy_nonoverlapping(buffer.as_ptr(), pointer.add(done), count) };
        }
        tckms::host::wipe(&mut buffer[..count]);
        filled?;
        done += count;
    }
    Ok(())
}
