//! Code that the fuzz targets share with the generator of their corpus: one data key, one plaintext, and a keyring with only that
//! key.

pub mod controls;
pub mod key;
pub mod message;

// Safe wrappers of the C functions, shared with the tests.
#[allow(dead_code)]
#[path = "../../tests/seal/api.rs"]
pub mod api;

/// Messages of the corpus contain a prefix of it.
pub fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Prints that the input reached the code that the target tests, if a test requests that.
pub fn report(what: &str) {
    if std::env::var_os("TCKMS_FUZZ_REPORT").is_some() {
        eprintln!("reached: {what}");
    }
}
