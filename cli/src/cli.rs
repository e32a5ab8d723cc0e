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
Credentials come from the first of these places that has any: TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY with \
TENCENTCLOUD_SESSION_TOKEN, ~/.tencentcloud/credentials, the role of a CVM instance, the role of a pod of TKE. `tckms doctor` \
says what each of them has.";

/// Keys of Tencent Cloud KMS at the command line: encrypt, seal, sign, manage keys, and find out why it does not work
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
    /// Generate a data key, in clear and wrapped by a CMK
    DataKey(data_key::Options),
    /// Get random bytes from the service
    Random(random::Options),
    /// Seal a file or a stream of any size under CMKs and RSA keys
    Seal(seal::Options),
    /// Open a sealed message
    Open(open::Options),
    /// Print the header of a sealed message as JSON; it is not authenticated
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
    #[command(subcommand)]
    Certificate(certificate::Command),
    /// Encrypt under the public key of an RSA CMK, on this machine
    RsaEncrypt(rsa::EncryptOptions),
    /// Decrypt with an RSA CMK, in the service
    RsaDecrypt(rsa::DecryptOptions),
    /// List, create and manage CMKs
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make and check branch keys, which seal without a request for each message
    #[command(subcommand)]
    Branch(branch::Command),
    /// Call any action of the service
    Call(call::Options),
    /// Keep what the PKCS#11 module needs beside its configuration
    #[command(subcommand)]
    Pkcs11(pkcs11::Command),
    /// Run a program with secrets in its environment or on its descriptors
    Exec(exec::Options),
    /// Serve credentials to systemd units over a socket
    Credentials(credentials::Options),
    /// Find out what works, what does not, and what to do
    Doctor(doctor::Options),
    /// Print the completions of a shell
    Completions(completions::Options),
    /// Write the manual pages of all commands into a folder
    #[command(hide = true)]
    ManPages(completions::ManOptions),
}
