//! A pointer of the program's that its callbacks get, and the function that frees what it points to.

use std::ffi::c_void;

/// A function that frees the userdata of a callback.
///
/// It is called once: when the last configuration, client, keyring, stream and signer that could
/// call the callback are freed, or as soon as the callback is replaced or can never be called. It
/// runs on the thread that frees the last of them. It is not called when the function that was given
/// the callback fails. It must return: no longjmp() and no C++ exception may leave it.
///
/// @param userdata  The pointer given together with this function.
pub type tckms_destructor = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// The userdata of one callback. Whatever can call the callback holds it, and the last one to go frees it.
pub(super) struct Userdata {
    pointer: *mut c_void,
    destructor: tckms_destructor,
}

// SAFETY: "Callbacks" in the header demands of the program that the userdata may be used from all threads.
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
            // SAFETY: the program gave both together, and this is the only place that calls the destructor.
            unsafe { destructor(self.pointer) };
        }
    }
}
