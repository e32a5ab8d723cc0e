//! OpenSSL 3 through its EVP functions. It is loaded at run time, so only this measurement needs it.

use std::ffi::{CStr, c_char, c_int, c_uchar, c_void};
use std::ptr;

use libloading::Library;

use super::cipher::Cipher;
use crate::error::Result;

const NAME: &str = "libcrypto.so.3";
const GET_TAG: c_int = 0x10;
const SET_TAG: c_int = 0x11;
const TAG_LEN: c_int = 16;
/// `OPENSSL_VERSION`
const VERSION: c_int = 0;

type Ctx = *mut c_void;
type Init = unsafe extern "C" fn(Ctx, *const c_void, *const c_void, *const c_uchar, *const c_uchar) -> c_int;
type Update = unsafe extern "C" fn(Ctx, *mut c_uchar, *mut c_int, *const c_uchar, c_int) -> c_int;
type Finish = unsafe extern "C" fn(Ctx, *mut c_uchar, *mut c_int) -> c_int;

pub struct OpenSsl {
    ctx_new: unsafe extern "C" fn() -> Ctx,
    ctx_free: unsafe extern "C" fn(Ctx),
    ctx_ctrl: unsafe extern "C" fn(Ctx, c_int, c_int, *mut c_void) -> c_int,
    aes_256_gcm: unsafe extern "C" fn() -> *const c_void,
    encrypt: (Init, Update, Finish),
    decrypt: (Init, Update, Finish),
    version: unsafe extern "C" fn(c_int) -> *const c_char,
    _library: Library,
}

impl OpenSsl {
    pub fn open() -> Result<Self> {
        // SAFETY: OpenSSL may be loaded at any time, and the types above are those of openssl/evp.h.
        unsafe {
            let library = Library::new(NAME).map_err(|error| format!("OpenSSL 3 is missing ({NAME}): {error}"))?;
            Ok(Self {
                ctx_new: *library.get("EVP_CIPHER_CTX_new")?,
                ctx_free: *library.get("EVP_CIPHER_CTX_free")?,
                ctx_ctrl: *library.get("EVP_CIPHER_CTX_ctrl")?,
                aes_256_gcm: *library.get("EVP_aes_256_gcm")?,
                encrypt: (
                    *library.get("EVP_EncryptInit_ex")?,
                    *library.get("EVP_EncryptUpdate")?,
                    *library.get("EVP_EncryptFinal_ex")?,
                ),
                decrypt: (
                    *library.get("EVP_DecryptInit_ex")?,
                    *library.get("EVP_DecryptUpdate")?,
                    *library.get("EVP_DecryptFinal_ex")?,
                ),
                version: *library.get("OpenSSL_version")?,
                _library: library,
            })
        }
    }

    pub fn version(&self) -> &str {
        // SAFETY: the text is static, and the library is loaded as long as self.
        unsafe { CStr::from_ptr((self.version)(VERSION)) }.to_str().unwrap_or("OpenSSL")
    }
}

/// A key in two contexts, one for each direction, that are reused for all frames.
pub struct ReusedContext<'a> {
    openssl: &'a OpenSsl,
    encrypting: Ctx,
    decrypting: Ctx,
}

impl<'a> ReusedContext<'a> {
    pub fn new(openssl: &'a OpenSsl, key: &[u8; 32]) -> Result<Self> {
        // SAFETY: the contexts are new, and the key has the cipher's length.
        unsafe {
            let (encrypting, decrypting) = ((openssl.ctx_new)(), (openssl.ctx_new)());
            let cipher = (openssl.aes_256_gcm)();
            check((openssl.encrypt.0)(encrypting, cipher, ptr::null(), key.as_ptr(), ptr::null()))?;
            check((openssl.decrypt.0)(decrypting, cipher, ptr::null(), key.as_ptr(), ptr::null()))?;
            Ok(Self { openssl, encrypting, decrypting })
        }
    }
}

impl Cipher for ReusedContext<'_> {
    fn seal(&self, iv: [u8; 12], aad: &[u8], content: &[u8], out: &mut [u8], tag: &mut [u8]) -> Result<()> {
        let OpenSsl { encrypt: (init, update, finish), ctx_ctrl, .. } = self.openssl;
        let (ctx, mut len) = (self.encrypting, 0);
        // SAFETY: the context is valid, and each length is that of its slice.
        unsafe {
            check(init(ctx, ptr::null(), ptr::null(), ptr::null(), iv.as_ptr()))?;
            check(update(ctx, ptr::null_mut(), &mut len, aad.as_ptr(), aad.len() as c_int))?;
            check(update(ctx, out.as_mut_ptr(), &mut len, content.as_ptr(), content.len() as c_int))?;
            check(finish(ctx, ptr::null_mut(), &mut len))?;
            check(ctx_ctrl(ctx, GET_TAG, TAG_LEN, tag.as_mut_ptr().cast()))
        }
    }

    fn open(&self, iv: [u8; 12], aad: &[u8], content: &[u8], tag: &[u8], out: &mut [u8]) -> Result<()> {
        let OpenSsl { decrypt: (init, update, finish), ctx_ctrl, .. } = self.openssl;
        let (ctx, mut len) = (self.decrypting, 0);
        // SAFETY: the context is valid, each length is that of its slice, and OpenSSL only reads a tag that is set.
        unsafe {
            check(init(ctx, ptr::null(), ptr::null(), ptr::null(), iv.as_ptr()))?;
            check(update(ctx, ptr::null_mut(), &mut len, aad.as_ptr(), aad.len() as c_int))?;
            check(update(ctx, out.as_mut_ptr(), &mut len, content.as_ptr(), content.len() as c_int))?;
            check(ctx_ctrl(ctx, SET_TAG, TAG_LEN, tag.as_ptr().cast_mut().cast()))?;
            check(finish(ctx, ptr::null_mut(), &mut len))
        }
    }
}

impl Drop for ReusedContext<'_> {
    fn drop(&mut self) {
        // SAFETY: both contexts are from ctx_new, and nothing uses them after this.
        unsafe {
            (self.openssl.ctx_free)(self.encrypting);
            (self.openssl.ctx_free)(self.decrypting);
        }
    }
}

/// The key, with new contexts for each frame.
pub struct NewContext<'a>(pub &'a OpenSsl, pub [u8; 32]);

impl Cipher for NewContext<'_> {
    fn seal(&self, iv: [u8; 12], aad: &[u8], content: &[u8], out: &mut [u8], tag: &mut [u8]) -> Result<()> {
        ReusedContext::new(self.0, &self.1)?.seal(iv, aad, content, out, tag)
    }

    fn open(&self, iv: [u8; 12], aad: &[u8], content: &[u8], tag: &[u8], out: &mut [u8]) -> Result<()> {
        ReusedContext::new(self.0, &self.1)?.open(iv, aad, content, tag, out)
    }
}

fn check(result: c_int) -> Result<()> {
    if result == 1 { Ok(()) } else { Err("a function of OpenSSL failed".into()) }
}
