//! What fuzz targets drive beside the functions of the C boundary.

use std::path::Path;

use crate::certificate::Certificate;
use crate::config;

/// Reads a configuration file and an initialisation string, whatever they hold.
pub fn read_config(text: &str) {
    config::fuzz(text, Path::new("fuzz.conf"));
}

/// Reads certificates, in DER and in PEM.
pub fn read_certificates(bytes: &[u8]) {
    if let Some(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.der, bytes);
        certificate.check_value();
    }
    let _ = Certificate::chain_from_pem(bytes);
}
