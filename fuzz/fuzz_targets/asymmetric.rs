//! Any bytes as a public key, as a signature, or as the service's description of a key. The first byte selects one of these.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tckms::sign::{PublicKey, raw_from_der, raw_to_der};
use tckms_fuzz::report;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    match choice % 3 {
        0 => read_public_key(bytes),
        1 => read_signature(bytes),
        _ => read_key_info(bytes),
    }
});

/// A key that is accepted can verify, and rejects a signature that it did not make.
fn read_public_key(spki: &[u8]) {
    let Ok(key) = PublicKey::from_spki(spki) else { return };
    let algorithm = key.algorithm(None).expect("a key has an algorithm");
    let mut digest = key.digest(algorithm, b"user").expect("the id is short");
    digest.update(spki);
    assert!(key.verify_digest(algorithm, digest.finish().as_ref(), spki).is_err());
    assert!(key.pem().ends_with("-----END PUBLIC KEY-----\n"));
    report("a public key");
}

/// A signature that is accepted is written with the same bytes, since DER has one encoding for each value.
fn read_signature(der: &[u8]) {
    for len in [64, 96] {
        if let Ok(raw) = raw_from_der(der, len) {
            assert_eq!(raw_to_der(&raw).expect("an accepted signature can be written"), der);
            report("a signature");
        }
    }
}

fn read_key_info(body: &[u8]) {
    match tckms::fuzzing::read_key_info(body) {
        Ok(len) => {
            assert!(len <= body.len());
            report("a description");
        }
        Err(error) => assert!(!error.message().chars().any(char::is_control), "{:?}", error.message()),
    }
}
