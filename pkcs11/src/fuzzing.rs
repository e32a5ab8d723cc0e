//! Entry points for fuzz targets, in addition to the functions of the C boundary.

use std::path::Path;

use crate::certificate::Certificate;
use crate::config;

/// Parses arbitrary text as a configuration file and as an initialisation string.
pub fn read_config(text: &str) {
    config::fuzz(text, Path::new("fuzz.conf"));
}

/// Parses arbitrary bytes as certificates, in DER and in PEM.
pub fn read_certificates(bytes: &[u8]) {
    if let Some(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.der, bytes);
        certificate.check_value();
    }
    let _ = Certificate::chain_from_pem(bytes);
}
