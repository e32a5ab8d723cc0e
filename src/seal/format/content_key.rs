//! AES-GCM under the key of one message.

use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};

use crate::error::{Error, Result};
use crate::status::Status;
use crate::sys::{cpu, wipe};

pub(crate) const IV_LEN: usize = 12;
pub(crate) const TAG_LEN: usize = 16;
/// The size of a cache line.
const LINE: usize = 64;

/// The key schedule, made once for a message and shared by all threads that work on its frames.
pub(crate) struct ContentKey(LessSafeKey);

impl ContentKey {
    pub fn new(cipher: &'static Algorithm, key: &[u8]) -> Result<Self> {
        let key = UnboundKey::new(cipher, key).map_err(|_| internal("AES-GCM does not take the key"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts from one slice into another of the same length, without an intermediate copy.
    pub fn seal(&self, iv: [u8; IV_LEN], aad: &[u8], plaintext: &[u8], out: &mut [u8], tag: &mut [u8]) -> Result<()> {
        let (nonce, aad) = (Nonce::assume_unique_for_key(iv), Aad::from(aad));
        with_registers_wiped(|| self.0.seal_out_of_place_scatter(nonce, aad, plaintext, out, &[], tag))
            .map_err(|_| internal("AES-GCM refused to encrypt"))
    }

    /// Encrypts in place.
    pub fn seal_in_place(&self, iv: [u8; IV_LEN], aad: &[u8], in_out: &mut [u8], tag: &mut [u8]) -> Result<()> {
        let (nonce, aad) = (Nonce::assume_unique_for_key(iv), Aad::from(aad));
        with_registers_wiped(|| self.0.seal_in_place_scatter(nonce, aad, in_out, &[], tag))
            .map_err(|_| internal("AES-GCM refused to encrypt"))
    }

    /// Decrypts from one slice into another of the same length, and returns whether the tag is correct. If it is not,
    /// `out` is zeroed.
    #[must_use]
    pub fn open(&self, iv: [u8; IV_LEN], aad: &[u8], ciphertext: &[u8], tag: &[u8], out: &mut [u8]) -> bool {
        let (nonce, aad) = (Nonce::assume_unique_for_key(iv), Aad::from(aad));
        if cpu::is_amd() {
            prefetch(ciphertext);
        }
        with_registers_wiped(|| self.0.open_separate_gather(nonce, aad, ciphertext, tag, out)).is_ok()
    }
}

/// Loads each cache line of a ciphertext. AES-GCM hashes the ciphertext before it decrypts it, and on AMD's processors waits for
/// memory at each block; these loads are independent and run in parallel. A stream then opens 1.22 times as fast on an EPYC.
/// Intel's processors load the lines in time themselves, and the loads would cost 16 % of the speed (docs/performance.md).
fn prefetch(ciphertext: &[u8]) {
    std::hint::black_box(ciphertext.iter().step_by(LINE).fold(0, |seen, byte| seen | byte));
}

/// Vector code leaves its last blocks of plaintext in the registers. Code that saves the registers would write them
/// to memory: a signal frame, or the dynamic linker at the first call of a function.
fn with_registers_wiped<T>(work: impl FnOnce() -> T) -> T {
    let outcome = work();
    wipe::wipe_vector_registers();
    outcome
}

fn internal(message: &str) -> Error {
    Error::new(Status::Internal, message)
}
