//! The userdata pointer of a callback, and its destructor.

use std::ffi::c_void;

/// A function that frees the userdata of a callback.
///
/// It is called once: when the last configuration, client, keyring, stream and signer that could
/// call the callback have been freed, or as soon as the callback is replaced or can never be called.
/// It runs on the thread that frees the last of them. It is not called if the setter of the callback
/// fails. It must return: do not leave it by longjmp() or a C++ exception.
///
/// @param userdata  The pointer given together with this function.
pub type tckms_destructor = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// The userdata of one callback, shared by all objects that can call it. The last one frees it.
pub(super) struct Userdata {
    pointer: *mut c_void,
    destructor: tckms_destructor,
}

// SAFETY: "Callbacks" in the header requires that all threads may use the userdata.
unsafe impl Send for Userdata {}
// SAFETY: as above.
unsafe impl Sync for Userdata {}

impl Userdata {
    pub fn new(pointer: *mut c_void, destructor: tckms_destructor) -> Self {
        Self { pointer, destructor }
    }

    /// The pointer, for a call of the callback.
    pub fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for Userdata {
    fn drop(&mut self) {
        if let Some(destructor) = self.destructor {
            // SAFETY: the program passed both together, and only this code calls the destructor.
            unsafe { destructor(self.pointer) };
        }
    }
}
