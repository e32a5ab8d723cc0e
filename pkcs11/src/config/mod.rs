//! The configuration: the file, the environment, and the argument of C_Initialize.

mod client;
mod error;
mod ini;
mod init_string;
mod key_list;
mod provider;
mod settings;
mod source;
mod variable;

pub use self::client::client;
pub use self::error::ConfigError;
pub use self::settings::{Discover, KeySettings, Random, TokenSettings, Usage};
pub use self::source::load;
pub use self::variable::variable;

/// Parses a text in each form of the configuration.
#[cfg(fuzzing)]
pub fn fuzz(text: &str, file: &std::path::Path) {
    let _ = settings::Settings::from_text(text, file);
    let _ = settings::Settings::log_of_text(text, file);
    let _ = init_string::parse(text);
    let _ = key_list::listed_keys(text);
}
