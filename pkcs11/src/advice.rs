//! Advice for the log: which setting keeps a program from requesting operations that the service does not support.

use std::sync::OnceLock;

/// The setting of each program, by a prefix of its file name.
const SETTINGS: &[(&str, &str)] = &[
    ("nginx", "set `ssl_conf_command SignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256;`"),
    ("httpd", "set `SSLOpenSSLConfCmd SignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256`"),
    ("apache2", "set `SSLOpenSSLConfCmd SignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256`"),
    ("haproxy", "set `SignatureAlgorithms` in openssl.cnf, or `sigalgs` of the bind line from HAProxy 2.8 on"),
    ("stunnel", "set `config = SignatureAlgorithms:ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256`"),
    ("ssh-keygen", "use a P-256 key"),
    ("ssh", "use a P-256 key, or allow only rsa-sha2-256 (PubkeyAcceptedAlgorithms, HostKeyAlgorithms)"),
    ("java", "use SHA256withRSA (`-sigalg SHA256withRSA`)"),
    ("jarsigner", "use `-sigalg SHA256withRSA`"),
    ("keytool", "use `-sigalg SHA256withRSA`"),
    ("curl", "use a P-256 key, or set `SignatureAlgorithms` in openssl.cnf"),
    ("openssl", "use -sha256, and for TLS `-sigalgs ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256`"),
    ("gnutls", "use the priority `NORMAL:-SIGN-ALL:+SIGN-RSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA256`"),
    ("osslsigncode", "use `-h sha256`"),
    ("pkcs11-tool", "use `--mechanism SHA256-RSA-PKCS`"),
    ("sbsign", "use a P-256 key"),
    ("step", "use a P-256 key"),
];

/// The setting for the current program.
pub fn for_this_program() -> &'static str {
    let name = program_name();
    let setting = SETTINGS.iter().find(|(program, _)| name.starts_with(program));
    setting.map_or("configure the program to use SHA-256, or use a P-256 key", |(_, setting)| setting)
}

/// The file name of the current program.
pub fn program_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let path = std::env::current_exe().unwrap_or_default();
        path.file_name().map_or_else(|| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
    })
}
