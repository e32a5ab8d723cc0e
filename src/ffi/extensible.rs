//! Structures that grow: a program passes one together with the size that it was compiled with.
//!
//! Each version of such a structure is a prefix of the next one. A program that is older than the
//! library passes a shorter one, and the missing members are 0. A program that is newer passes a
//! longer one; members that this library does not know must be 0, otherwise the program would set
//! an option without effect.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::slice;

use super::arguments::null;
use super::overlap::{check_input, check_output};
use crate::error::{Error, Result};
use crate::status::Status;

/// A larger size is a mistake.
const SIZE_MAX: usize = 4096;

/// A structure that later versions may extend at its end.
///
/// # Safety
///
/// It is `repr(C)`, has no padding, and is valid with all bytes 0.
pub(super) unsafe trait Extensible: Copy {
    const NAME: &'static str;
    /// All its sizes, one for each version that extended it; the last is that of `Self`.
    const SIZES: &'static [usize];
}

/// A copy of the caller's structure, with 0 for missing members.
///
/// # Safety
///
/// `pointer` is NULL or points to `size` readable bytes.
pub(super) unsafe fn read<T: Extensible>(pointer: *const T, size: usize, parameter: &str) -> Result<T> {
    if pointer.is_null() {
        return Err(null(parameter));
    }
    check_size::<T>(size)?;
    check_input(pointer, size, parameter)?;
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's promise.
    let bytes = unsafe { slice::from_raw_parts(pointer.cast::<u8>(), size) };
    if bytes[known..].iter().any(|byte| *byte != 0) {
        let message = format!(
            "{parameter} sets a member of {} that came after version {} of the library",
            T::NAME,
            env!("CARGO_PKG_VERSION")
        );
        return Err(Error::new(Status::UnknownOption, message));
    }
    let mut structure = MaybeUninit::<T>::zeroed();
    // SAFETY: no more is copied than either side has, and a structure of zeros is valid
    // ([`Extensible`]).
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), structure.as_mut_ptr().cast(), known);
        Ok(structure.assume_init())
    }
}

/// As [`read`], for an optional structure. With NULL the size is ignored.
///
/// # Safety
///
/// As for [`read`].
pub(super) unsafe fn read_optional<T: Extensible>(
    pointer: *const T,
    size: usize,
    parameter: &str,
) -> Result<Option<T>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { read(pointer, size, parameter) }.map(Some)
}

/// The caller's structure, to be filled. All of it is set to 0 when the size is valid.
pub(super) struct Out {
    pointer: *mut c_void,
    size: usize,
}

impl Out {
    /// # Safety
    ///
    /// `pointer` is NULL or points to `size` bytes that may be written while the result lives.
    pub unsafe fn new<T: Extensible>(pointer: *mut T, size: usize, parameter: &str) -> Result<Self> {
        if pointer.is_null() {
            return Err(null(parameter));
        }
        check_size::<T>(size)?;
        check_output(pointer, size, parameter)?;
        // SAFETY: the caller's promise.
        unsafe { pointer.cast::<u8>().write_bytes(0, size) };
        Ok(Self { pointer: pointer.cast(), size })
    }

    /// Writes the members that the caller knows.
    pub fn write<T: Extensible>(self, structure: &T) {
        let known = self.size.min(size_of::<T>());
        // SAFETY: `new` got memory of `size` bytes, and the source is at least as long as the copy.
        unsafe { ptr::copy_nonoverlapping(ptr::from_ref(structure).cast::<u8>(), self.pointer.cast(), known) };
    }
}

/// A size that some version of the structure has: one of those known here, or a larger one of a
/// later version. Any other ends within a member, or is the size of something else, such as a
/// pointer.
fn check_size<T: Extensible>(size: usize) -> Result<()> {
    let larger = size > size_of::<T>() && size <= SIZE_MAX && size.is_multiple_of(align_of::<T>());
    if larger || T::SIZES.contains(&size) {
        return Ok(());
    }
    let message = format!("the size is {size}, sizeof({}) is expected, which is {}", T::NAME, size_of::<T>());
    Err(Error::new(Status::InvalidLength, message))
}

#[cfg(test)]
mod tests {
    use super::super::overlap;
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Sample {
        first: u64,
        second: u64,
        added: u64,
    }

    // SAFETY: three numbers without padding.
    unsafe impl Extensible for Sample {
        const NAME: &'static str = "sample";
        const SIZES: &'static [usize] = &[16, 24];
    }

    fn read_sample(words: &[u64; 513], size: usize) -> std::result::Result<Sample, Status> {
        // SAFETY: the array has more bytes than any size of these tests that is accepted.
        unsafe { read(words.as_ptr().cast::<Sample>(), size, "sample") }.map_err(|error| error.status())
    }

    #[test]
    fn a_shorter_structure_has_zeros_for_what_it_lacks() {
        let words = [7; 513];
        assert_eq!(read_sample(&words, 16), Ok(Sample { first: 7, second: 7, added: 0 }));
        assert_eq!(read_sample(&words, 24), Ok(Sample { first: 7, second: 7, added: 7 }));
    }

    #[test]
    fn what_this_version_does_not_know_may_only_be_zero() {
        let mut words = [0; 513];
        words[..3].copy_from_slice(&[1, 2, 3]);
        for size in [32, 40, 4096] {
            assert_eq!(read_sample(&words, size), Ok(Sample { first: 1, second: 2, added: 3 }));
            words[size / 8 - 1] = 1 << 63;
            assert_eq!(read_sample(&words, size), Err(Status::UnknownOption));
            words[size / 8 - 1] = 0;
        }
    }

    #[test]
    fn a_size_that_no_version_has_is_refused() {
        let words = [0; 513];
        for size in (0..16).chain(17..24).chain(25..32).chain([4097, 4104, usize::MAX]) {
            assert_eq!(read_sample(&words, size), Err(Status::InvalidLength), "{size}");
        }
    }

    #[test]
    fn a_structure_is_filled_up_to_the_size_of_the_caller() {
        let sample = Sample { first: 1, second: 2, added: 3 };
        for (size, expected) in [(16, [1, 2, 9, 9, 9]), (24, [1, 2, 3, 9, 9]), (32, [1, 2, 3, 0, 9])] {
            let mut words = [9_u64; 5];
            // A separate function, because the outputs of one function may not overlap.
            overlap::enter();
            // SAFETY: the array has at least `size` bytes.
            unsafe { Out::new(words.as_mut_ptr().cast::<Sample>(), size, "out") }.ok().unwrap().write(&sample);
            assert_eq!(words, expected);
        }
        let mut words = [9_u64; 5];
        for size in [0, 8, 12, 20, 4104] {
            // SAFETY: nothing is written when the size is refused.
            assert!(unsafe { Out::new(words.as_mut_ptr().cast::<Sample>(), size, "out") }.is_err());
            assert_eq!(words, [9; 5]);
        }
    }
}
