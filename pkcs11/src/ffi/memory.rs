//! The program's memory.

use std::{ptr, slice};

use cryptoki_sys::*;

use crate::error::Result;
use crate::operation::Output;

/// The most attributes of a template.
const TEMPLATE_MAX: usize = 1024;

fn checked_len(len: CK_ULONG) -> Result<usize> {
    usize::try_from(len).ok().filter(|len| isize::try_from(*len).is_ok()).ok_or(CKR_ARGUMENTS_BAD)
}

/// Bytes that the program gives. NULL stands for none.
///
/// # Safety
///
/// `data` is NULL or points to `len` bytes that nothing changes while the result is used.
pub unsafe fn bytes<'a>(data: *const CK_BYTE, len: CK_ULONG) -> Result<&'a [u8]> {
    match (data.is_null(), checked_len(len)?) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(CKR_ARGUMENTS_BAD),
        // SAFETY: the caller's promise.
        (false, len) => Ok(unsafe { slice::from_raw_parts(data, len) }),
    }
}

/// A value that the program gives.
///
/// # Safety
///
/// `place` is NULL or points to a value, aligned or not.
pub unsafe fn read<T: Copy>(place: *const T) -> Result<T> {
    if place.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { place.read_unaligned() })
}

/// Fills a place of the program's.
///
/// # Safety
///
/// `place` is NULL or may be written.
pub unsafe fn write<T>(place: *mut T, value: T) -> Result<()> {
    if place.is_null() {
        return Err(CKR_ARGUMENTS_BAD);
    }
    // SAFETY: the caller's promise.
    unsafe { place.write_unaligned(value) };
    Ok(())
}

/// Where a function puts bytes whose number the program has to be told: a pointer and a length.
pub struct Room {
    place: *mut CK_BYTE,
    len: *mut CK_ULONG,
    size: Option<usize>,
}

impl Room {
    /// # Safety
    ///
    /// `len` is NULL or points to a length, and `place` is NULL or points to so many bytes; both may be written as long as the
    /// result lives.
    pub unsafe fn new(place: *mut CK_BYTE, len: *mut CK_ULONG) -> Result<Self> {
        // SAFETY: the caller's promise.
        let size = unsafe { read(len)? };
        let size = if place.is_null() { None } else { Some(usize::try_from(size).unwrap_or(usize::MAX)) };
        Ok(Self { place, len, size })
    }

    /// How many bytes there may be; nothing if the program asks for their number.
    pub fn size(&self) -> Option<usize> {
        self.size
    }

    /// Gives the program what there is.
    pub fn deliver(&self, output: Output) -> Result<()> {
        match output {
            Output::Size(len) => self.tell(len),
            Output::TooSmall(len) => {
                self.tell(len)?;
                Err(CKR_BUFFER_TOO_SMALL)
            }
            Output::Bytes(bytes) if self.size.is_some_and(|size| bytes.len() <= size) => {
                // SAFETY: `place` has room for `size` bytes (`new`), and the bytes are our own.
                unsafe { ptr::copy_nonoverlapping(bytes.expose().as_ptr(), self.place, bytes.len()) };
                self.tell(bytes.len())
            }
            Output::Bytes(_) => Err(CKR_GENERAL_ERROR),
        }
    }

    fn tell(&self, len: usize) -> Result<()> {
        // SAFETY: `new`.
        unsafe { write(self.len, len as CK_ULONG) }
    }
}

/// Gives the program a list of numbers, in the same way.
///
/// # Safety
///
/// `count` is NULL or points to a number, and `place` is NULL or points to an array of so many numbers.
pub unsafe fn write_list(place: *mut CK_ULONG, count: *mut CK_ULONG, values: &[CK_ULONG]) -> Result<()> {
    // SAFETY: the caller's promise.
    let room = unsafe { read(count)? };
    // SAFETY: as above.
    unsafe { write(count, values.len() as CK_ULONG)? };
    if place.is_null() {
        return Ok(());
    }
    if usize::try_from(room).unwrap_or(usize::MAX) < values.len() {
        return Err(CKR_BUFFER_TOO_SMALL);
    }
    // SAFETY: the array has room for `room` numbers.
    unsafe { ptr::copy_nonoverlapping(values.as_ptr(), place, values.len()) };
    Ok(())
}

/// The attributes of a template, copied.
///
/// # Safety
///
/// `template` is NULL or points to `count` attributes, each with NULL or a pointer to as many bytes as it says.
pub unsafe fn template(template: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)>> {
    let count = checked_count(template, count)?;
    let mut attributes = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: the caller's promise.
        let attribute = unsafe { template.add(index).read_unaligned() };
        // SAFETY: as above.
        let value = unsafe { bytes(attribute.pValue.cast(), attribute.ulValueLen) };
        attributes.push((attribute.type_, value.map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID)?.to_vec()));
    }
    Ok(attributes)
}

/// The number of attributes of a template that is there.
pub fn checked_count(template: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<usize> {
    let count = usize::try_from(count).ok().filter(|count| *count <= TEMPLATE_MAX).ok_or(CKR_ARGUMENTS_BAD)?;
    if template.is_null() && count > 0 { Err(CKR_ARGUMENTS_BAD) } else { Ok(count) }
}

/// Has `producer` fill bytes of the program's, a piece at a time.
///
/// # Safety
///
/// `place` is NULL or has room for `len` bytes.
pub unsafe fn fill(place: *mut CK_BYTE, len: CK_ULONG, producer: impl Fn(&mut [u8]) -> Result<()>) -> Result<()> {
    /// Memory of our own: the program's may hold nothing yet.
    const PIECE: usize = 1024;
    let len = checked_len(len)?;
    if place.is_null() && len > 0 {
        return Err(CKR_ARGUMENTS_BAD);
    }
    let mut piece = [0; PIECE];
    let mut done = 0;
    while done < len {
        let count = PIECE.min(len - done);
        let filled = producer(&mut piece[..count]);
        if filled.is_ok() {
            // SAFETY: the caller's promise; `done + count` is at most `len`.
            unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), place.add(done), count) };
        }
        tckms::host::wipe(&mut piece[..count]);
        filled?;
        done += count;
    }
    Ok(())
}
