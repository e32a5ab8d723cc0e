use std::fs;
use std::path::PathBuf;

use super::root;

/// The committed `tckms.h`.
pub struct Header {
    pub path: PathBuf,
    pub text: String,
}

/// A function that the header declares.
pub struct Declaration {
    pub name: String,
    /// "void", "tckms_status", "const char *", …
    pub returns: String,
    pub parameters: Vec<String>,
    /// The comment before it.
    pub comment: String,
    pub warns_when_unused: bool,
}

impl Header {
    pub fn committed() -> Self {
        let path = root().join("include/tckms.h");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// All functions, in order. Everything between `extern "C" {` and its end is a comment followed by a declaration.
    pub fn functions(&self) -> Vec<Declaration> {
        let declarations =
            self.text.split("extern \"C\" {").nth(1).expect("the functions are in an extern \"C\" block");
        let declarations = declarations.split("}  /* extern \"C\" */").next().expect("the block has an end");
        declarations.split("/**").skip(1).map(Declaration::parse).collect()
    }

    /// The enumerators of `tckms_status` that are statuses, with their numbers.
    pub fn statuses(&self) -> Vec<(&str, i32)> {
        let lines = self.text.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "));
        lines
            .filter(|(name, _)| *name == "TCKMS_OK" || name.starts_with("TCKMS_ERR_"))
            .map(|(name, number)| (name, number.parse().expect("a status has a number")))
            .collect()
    }
}

impl Declaration {
    /// Reads `comment */ [TCKMS_WARN_UNUSED] type name(parameters);`.
    fn parse(text: &str) -> Self {
        let (comment, code) = text.split_once("*/").expect("a comment ends");
        let code = code.split(';').next().expect("a declaration ends").split_whitespace().collect::<Vec<_>>().join(" ");
        let (head, parameters) = code.split_once('(').unwrap_or_else(|| panic!("not a function: {code}"));
        let plain = head.strip_prefix("TCKMS_WARN_UNUSED ");
        let (returns, name) = plain.unwrap_or(head).rsplit_once([' ', '*']).expect("a function has a type and a name");
        let pointer = if head.contains('*') { " *" } else { "" };
        Self {
            name: name.to_owned(),
            returns: format!("{}{pointer}", returns.trim_end_matches([' ', '*'])),
            parameters: parameters.trim_end_matches(')').split(',').filter_map(parameter_name).collect(),
            comment: comment.to_owned(),
            warns_when_unused: plain.is_some(),
        }
    }
}

/// The last word of `const char *name`; none for `void`.
fn parameter_name(parameter: &str) -> Option<String> {
    parameter.trim().rsplit_once([' ', '*']).map(|(_, name)| name.to_owned())
}
