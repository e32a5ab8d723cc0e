//! The official SDKs' file: `~/.tencentcloud/credentials`, an INI file with `secret_id` and `secret_key`.

use std::path::PathBuf;
use std::time::Duration;

use ini::Ini;

use super::file::{self, ExposureWarning};
use crate::credentials::{Credentials, ExpiringCredentials, Provider};
use crate::error::{Error, Result};
use crate::status::Status;

/// The section that the official SDKs read.
pub(crate) const DEFAULT_PROFILE: &str = "default";

/// Reads the first of `paths` that exists.
pub(super) struct Profile {
    pub paths: Vec<PathBuf>,
    pub name: String,
    pub warning: ExposureWarning,
}

impl Provider for Profile {
    fn name(&self) -> &'static str {
        "profile"
    }

    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        Some(self.fetch(Duration::ZERO))
    }

    fn is_local(&self) -> bool {
        true
    }

    fn fetch(&self, _: Duration) -> Result<ExpiringCredentials> {
        let mut out_of_reach = None;
        for path in &self.paths {
            match file::read(path, &self.warning) {
                Ok(None) => {}
                // The home directory of a user whose privileges the process has dropped.
                Err(error) if is_out_of_reach(&error) => out_of_reach = out_of_reach.or(Some(error)),
                Err(error) => return Err(error),
                Ok(Some(text)) => {
                    let parsed = self.parse(file::as_text(&text));
                    return parsed.map_err(|reason| file::invalid(path, &reason)).map(ExpiringCredentials::from);
                }
            }
        }
        if let Some(error) = out_of_reach {
            return Err(error);
        }
        let context: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        Err(Error::new(Status::NoCredentials, format!("there is no file {}", context.join(" or "))))
    }
}

fn is_out_of_reach(error: &Error) -> bool {
    matches!(error.os_errno(), Some(libc::EACCES | libc::ENOTDIR))
}

impl Profile {
    fn parse(&self, text: &str) -> std::result::Result<Credentials, String> {
        if let Some(line) = broken_line(text) {
            return Err(format!("it is not an INI file, see line {line}"));
        }
        let ini = Ini::load_from_str_noescape(text)
            .map_err(|error| format!("it is not an INI file, see line {}, column {}", error.line, error.col))?;
        let section = ini.section(Some(&self.name)).ok_or_else(|| format!("it has no section [{}]", self.name))?;
        let needed = |key: &str| section.get(key).ok_or_else(|| format!("section [{}] has no {key}", self.name));
        let (secret_id, secret_key) = (needed("secret_id")?, needed("secret_key")?);
        let token = section.get("token").filter(|token| !token.is_empty());
        Credentials::new(secret_id, secret_key, token).map_err(|error| format!("section [{}]: {error}", self.name))
    }
}

/// The first line that is not INI. The parser would join it with the next one.
fn broken_line(text: &str) -> Option<usize> {
    let broken = |line: &str| match line.as_bytes().first() {
        None | Some(b';' | b'#') => false,
        Some(b'[') => !line.contains(']'),
        Some(_) => !line.contains(['=', ':']),
    };
    text.lines().position(|line| broken(line.trim())).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> std::result::Result<(String, bool), String> {
        let profile = Profile { paths: Vec::new(), name: name.into(), warning: ExposureWarning::new(None) };
        profile.parse(text).map(|credentials| (credentials.secret_id().to_owned(), credentials.token().is_some()))
    }

    #[test]
    fn the_official_file_is_understood() {
        let text = "; comment\n[default]\nsecret_id = AKIDa\nsecret_key=k\\e;y\n\n[ci]\nsecret_id=AKIDb\nsecret_key=k\ntoken=t\n";
        assert_eq!(parse("default", text), Ok(("AKIDa".into(), false)));
        assert_eq!(parse("ci", text), Ok(("AKIDb".into(), true)));
    }

    #[test]
    fn what_is_wrong_is_named_without_a_value() {
        assert!(parse("default", "[other]\nsecret_id=a").unwrap_err().contains("no section [default]"));
        assert!(parse("default", "[default]\nsecret_id=a").unwrap_err().contains("no secret_key"));
        let broken = parse("default", "[default]\nsecret_id=a\ns3cret\n").unwrap_err();
        assert_eq!(broken, "it is not an INI file, see line 3");
        let merged = parse("default", "[default]\nsecret_id=a\n\ns3cret\nsecret_key=b\n").unwrap_err();
        assert_eq!(merged, "it is not an INI file, see line 4");
        let odd = parse("default", "[default]\nsecret_id=a\nsecret_key=s3cret key\n").unwrap_err();
        assert!(odd.contains("secret key") && !odd.contains("s3cret"), "{odd}");
    }
}
