//! The command line.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

use crate::commands::*;
use crate::connection::Global;
use crate::exit;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Credentials come from the first of these providers that has any: TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY with \
TENCENTCLOUD_SESSION_TOKEN, ~/.tencentcloud/credentials, the role of a CVM instance, the role of a TKE pod. `tckms doctor` \
shows the result of each.";

/// Use keys of Tencent Cloud KMS at the command line: encrypt, seal, sign, manage keys, and diagnose problems
#[derive(Parser, Debug)]
#[command(name = "tckms", version, styles = STYLES, max_term_width = 100, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP), subcommand_required = true, arg_required_else_help = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Encrypt up to 4096 bytes under a CMK, in the service
    Encrypt(encrypt::Options),
    /// Decrypt a CiphertextBlob
    Decrypt(decrypt::Options),
    /// Re-encrypt a CiphertextBlob inside the service, under another CMK or with another context
    Reencrypt(reencrypt::Options),
    /// Generate a data key, in plaintext and wrapped under a CMK
    DataKey(data_key::Options),
    /// Get random bytes from the service
    Random(random::Options),
    /// Seal a file or a stream of any size under CMKs and RSA keys
    Seal(seal::Options),
    /// Open a sealed message
    Open(open::Options),
    /// Print the header of a sealed message as JSON, without authenticating it
    Info(info::Options),
    /// Reseal files and folders under other keys
    Reseal(reseal::Options),
    /// Sign a file of any size with a CMK
    Sign(sign::Options),
    /// Verify a signature
    Verify(verify::Options),
    /// Print the public key of an asymmetric CMK
    PublicKey(public_key::Options),
    /// Create certificate requests and self-signed certificates with a CMK
    #[command(subcommand, arg_required_else_help = false)]
    Certificate(certificate::Command),
    /// Encrypt under the public key of an RSA CMK, on this machine
    RsaEncrypt(rsa::EncryptOptions),
    /// Decrypt with an RSA CMK, in the service
    RsaDecrypt(rsa::DecryptOptions),
    /// List, create and manage CMKs
    #[command(subcommand, arg_required_else_help = false)]
    Keys(keys::Command),
    /// Create and check branch keys, which seal without a request for each message
    #[command(subcommand, arg_required_else_help = false)]
    Branch(branch::Command),
    /// Call any action of the service
    Call(call::Options),
    /// Write the public key files that the PKCS#11 module uses
    #[command(subcommand, arg_required_else_help = false)]
    Pkcs11(pkcs11::Command),
    /// Run a program with secrets in its environment or on its descriptors
    Exec(exec::Options),
    /// Serve credentials to systemd units over a socket
    Credentials(credentials::Options),
    /// Check configuration, network, credentials and keys, and advise on each problem
    Doctor(doctor::Options),
    /// Print the completion script of a shell
    Completions(completions::Options),
    /// Write the manual pages of all commands into a folder
    #[command(hide = true)]
    ManPages(completions::ManOptions),
}
