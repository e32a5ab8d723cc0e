//! Seeds AWS-LC's random generator where the kernel has no `getrandom` (Linux before 3.17).
//!
//! There AWS-LC opens /dev/urandom once and then reads from that descriptor number without checking the file
//! behind it. If a host closes all descriptors and reuses the number for its own file, AWS-LC would use the
//! bytes of that file as random numbers, and consume them from a pipe or a socket. If it can read nothing, it
//! ends the process. So this module supplies its seeds, and AWS-LC never opens the device.

use std::ffi::c_int;
use std::slice;

use zeroize::Zeroizing;

use super::entropy;
use super::random::{self, RandomUnavailable};
use super::seed_reserve::{self, SEED_LEN};

/// `CTR_DRBG_ENTROPY_LEN` of AWS-LC.
const _: () = assert!(SEED_LEN == 48);

/// `struct entropy_source_methods` of AWS-LC, which its `rand/entropy/internal.h` declares.
#[repr(C)]
struct Methods {
    initialize: extern "C" fn(*mut Source) -> c_int,
    zeroize_thread: extern "C" fn(*mut Source),
    free_thread: extern "C" fn(*mut Source),
    get_seed: extern "C" fn(*const Source, *mut u8) -> c_int,
    get_extra_entropy: Option<extern "C" fn(*const Source, *mut u8) -> c_int>,
    get_prediction_resistance: Option<extern "C" fn(*const Source, *mut u8) -> c_int>,
    id: c_int,
}

/// `struct entropy_source_t`, which this module does not use.
#[repr(C)]
struct Source {
    _private: [u8; 0],
}

unsafe extern "C" {
    /// The name has the version of AWS-LC in it, which Cargo.toml pins: linking with another version fails until
    /// [`Methods`] was compared with that version's structure.
    #[link_name = "aws_lc_0_47_0_override_entropy_source_method_FOR_TESTING"]
    fn set_entropy_source(methods: *const Methods);
}

const SUCCESS: c_int = 1;
const FAILURE: c_int = 0;

/// As AWS-LC itself does on a CPU without random numbers: a second seed is the extra entropy.
static METHODS: Methods = Methods {
    initialize,
    zeroize_thread: nothing_to_do,
    free_thread: nothing_to_do,
    get_seed,
    get_extra_entropy: Some(get_seed),
    get_prediction_resistance: None,
    id: 0,
};

/// Makes AWS-LC use the seeds of this module, if it would read them from the device. Several threads may do this
/// at the same time.
pub(super) fn install() -> Result<(), RandomUnavailable> {
    if entropy::kernel_has_getrandom() {
        return Ok(());
    }
    if !seed_reserve::has_key() {
        let mut key = Zeroizing::new([0; SEED_LEN]);
        random::fill(&mut key[..])?;
        seed_reserve::keep(key);
    }
    // SAFETY: the structure has the layout that this version of AWS-LC declares, and is never freed.
    unsafe { set_entropy_source(&raw const METHODS) };
    Ok(())
}

extern "C" fn initialize(_: *mut Source) -> c_int {
    SUCCESS
}

extern "C" fn nothing_to_do(_: *mut Source) {}

extern "C" fn get_seed(_: *const Source, seed: *mut u8) -> c_int {
    // SAFETY: AWS-LC gives an array of this length.
    let seed = unsafe { slice::from_raw_parts_mut(seed, SEED_LEN) };
    if random::fill(seed).is_ok() {
        return SUCCESS;
    }
    match seed_reserve::next_seed() {
        Some(derived) => {
            seed.copy_from_slice(&derived[..]);
            SUCCESS
        }
        // AWS-LC then ends the process. `install` has made sure that there is a key.
        None => FAILURE,
    }
}
