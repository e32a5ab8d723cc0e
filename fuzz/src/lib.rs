//! What the fuzz targets and the maker of their corpus share: one data key, one plaintext, and a keyring that knows
//! nothing else.

pub mod controls;
pub mod key;
pub mod message;

// The C functions with Rust's types around them, as the tests have them.
#[allow(dead_code)]
#[path = "../../tests/seal/api.rs"]
pub mod api;

/// Messages of the corpus hold a beginning of it.
pub fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Says that the target got to its goal, when a test asks for that.
pub fn report(what: &str) {
    if std::env::var_os("TCKMS_FUZZ_REPORT").is_some() {
        eprintln!("goal: {what}");
    }
}
