//! HMAC-SHA-512 (RFC 2104) of several messages under one key, by AWS-LC.
//!
//! The context stays in one place. The safe interface of AWS-LC copies a context of about a kilobyte for each message, and moves
//! it several times, which takes longer than the hash of a short message.

use std::mem::MaybeUninit;
use std::os::raw::c_uint;
use std::ptr;

use aws_lc_sys::{EVP_sha512, HMAC_CTX, HMAC_CTX_cleanup, HMAC_CTX_init, HMAC_Final, HMAC_Init_ex, HMAC_Update};

/// The length of a tag.
pub(crate) const TAG_LEN: usize = 64;

/// Makes the tag of each message. `None` after an allocation that failed.
pub(crate) fn tags<const N: usize>(key: &[u8], messages: [&[u8]; N], tags: [&mut [u8; TAG_LEN]; N]) -> Option<()> {
    let mut memory = MaybeUninit::uninit();
    let mut context = Context::new(&mut memory, key)?;
    for (number, (message, tag)) in messages.into_iter().zip(tags).enumerate() {
        if number > 0 {
            context.prepare_again()?;
        }
        context.tag(message, tag)?;
    }
    Some(())
}

/// A context that is ready for a message. It is wiped at its end, and never moved, so no copy of it stays anywhere.
struct Context<'a>(&'a mut HMAC_CTX);

impl<'a> Context<'a> {
    fn new(memory: &'a mut MaybeUninit<HMAC_CTX>, key: &[u8]) -> Option<Self> {
        // SAFETY: HMAC_CTX_init() initializes all of the context. The key has the length that is passed.
        let (context, done) = unsafe {
            HMAC_CTX_init(memory.as_mut_ptr());
            let context = Self(memory.assume_init_mut());
            let done = HMAC_Init_ex(context.0, key.as_ptr().cast(), key.len(), EVP_sha512(), ptr::null_mut());
            (context, done)
        };
        (done == 1).then_some(context)
    }

    fn tag(&mut self, message: &[u8], tag: &mut [u8; TAG_LEN]) -> Option<()> {
        let mut len: c_uint = 0;
        // SAFETY: the context is prepared for a message. A tag has room for the output of SHA-512.
        let done = unsafe {
            HMAC_Update(self.0, message.as_ptr(), message.len()) == 1
                && HMAC_Final(self.0, tag.as_mut_ptr(), &mut len) == 1
        };
        done.then_some(())
    }

    /// For another message under the same key.
    fn prepare_again(&mut self) -> Option<()> {
        // SAFETY: the context is initialized. Without a key and a hash, HMAC_Init_ex() keeps those that it has.
        let done = unsafe { HMAC_Init_ex(self.0, ptr::null(), 0, ptr::null(), ptr::null_mut()) };
        (done == 1).then_some(())
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: the context is initialized.
        unsafe { HMAC_CTX_cleanup(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::*;

    #[test]
    fn the_tags_are_those_of_the_safe_interface() {
        for (key_len, len) in [(0, 0), (20, 1), (64, 111), (128, 112), (129, 300)] {
            let (key, long) = (vec![0x0b; key_len], vec![7; len]);
            let (mut first, mut second) = ([0; TAG_LEN], [0; TAG_LEN]);
            tags(&key, [&long, b"Hi There"], [&mut first, &mut second]).unwrap();
            let safe = hmac::Key::new(hmac::HMAC_SHA512, &key);
            assert_eq!(first, hmac::sign(&safe, &long).as_ref());
            assert_eq!(second, hmac::sign(&safe, b"Hi There").as_ref());
        }
    }
}
