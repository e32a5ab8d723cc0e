//! A list of keys in one line of text.

use super::error::ConfigError;
use super::ini::shown;
use super::settings::{KeySettings, is_key_id};

/// The label of the token that is configured without a file.
pub const DEFAULT_LABEL: &str = "tckms";

/// Parses the value of `TCKMS_PKCS11_KEYS`: KeyIds separated by commas, each with an optional label, as in
/// `web=93866e69-…,b1946ac9-…`.
pub fn listed_keys(list: &str) -> Result<Vec<KeySettings>, ConfigError> {
    let mut keys: Vec<KeySettings> = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (label, id) = word.rsplit_once('=').map_or((None, word), |(label, id)| (Some(label), id));
        if !is_key_id(id) {
            return Err(ConfigError::new(format!("the list of keys contains {}, which is not a KeyId", shown(id))));
        }
        let label = label.map(str::to_owned);
        if keys.iter().any(|key| key.id == id || label.is_some() && key.label == label) {
            return Err(ConfigError::new(format!("the list of keys contains {} twice", shown(word))));
        }
        keys.push(KeySettings { label, id: id.to_owned(), ..KeySettings::default() });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_optional() {
        let (a, b) = ("93866e69-9755-11ef-8e65-52540089bc41", "93866e69-9755-11ef-8e65-52540089bc42");
        let keys = listed_keys(&format!(" {a}, web=x={b},")).unwrap();
        assert_eq!((keys[0].label.as_deref(), keys[0].id.as_str()), (None, a));
        assert_eq!((keys[1].label.as_deref(), keys[1].id.as_str()), (Some("web=x"), b));
        for wrong in ["x".to_owned(), format!("{a},{a}"), format!("l={a},l={b}"), format!("{a} {b}")] {
            assert!(listed_keys(&wrong).is_err(), "{wrong}");
        }
    }
}
