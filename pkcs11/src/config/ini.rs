//! The syntax of a configuration file: sections with names and values. Each has its line number, for error texts.

use std::path::Path;

use super::error::ConfigError;

/// The maximal size of a configuration file. A file with 1,000 keys has about 150 KiB.
pub const FILE_MAX: u64 = 4 << 20;

/// A section with its entries.
#[derive(Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// The word after the opening bracket.
    pub kind: &'a str,
    /// The text in quotes, if there is one.
    pub name: Option<&'a str>,
    /// Its line number.
    pub line: usize,
    /// Its entries.
    pub entries: Vec<Entry<'a>>,
}

/// A name with its value.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name.
    pub name: &'a str,
    /// The value without surrounding blanks and quotes.
    pub value: &'a str,
    /// Its line number.
    pub line: usize,
}

/// The sections of a file, in order.
pub fn parse<'a>(text: &'a str, file: &Path) -> Result<Vec<Section<'a>>, ConfigError> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, content) in (1..).zip(text.lines().map(str::trim)) {
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let wrong = |message: &str| ConfigError::at(file, line, message);
        if let Some(rest) = content.strip_prefix('[') {
            let heading = rest.strip_suffix(']').ok_or_else(|| wrong("the section's ']' is missing"))?;
            let (kind, name) = section_name(heading.trim()).ok_or_else(|| {
                wrong("a section is [global], [token \"LABEL\"] or [key \"LABEL\"], with the label in quotes")
            })?;
            sections.push(Section { kind, name, line, entries: Vec::new() });
            continue;
        }
        let (name, value) =
            content.split_once('=').ok_or_else(|| wrong("the line is neither a section nor NAME = VALUE"))?;
        let section = sections.last_mut().ok_or_else(|| wrong("the line comes before the first section"))?;
        let name = name.trim();
        if let Some(first) = section.entries.iter().find(|entry| entry.name == name) {
            return Err(wrong(&format!("{} is already set on line {}", shown(name), first.line)));
        }
        section.entries.push(Entry { name, value: unquoted(value.trim()), line });
    }
    Ok(sections)
}

fn section_name(heading: &str) -> Option<(&str, Option<&str>)> {
    match heading.split_once(char::is_whitespace) {
        None => (!heading.is_empty() && !heading.contains('"')).then_some((heading, None)),
        Some((kind, name)) => {
            let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
            (!name.is_empty() && !name.contains('"')).then_some((kind, Some(name)))
        }
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// A word of the file for an error text: truncated, and without control characters.
pub fn shown(word: &str) -> String {
    format!("{:?}", word.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text, Path::new("f")).unwrap_err().to_string()
    }

    #[test]
    fn sections_entries_comments_and_quotes_are_read() {
        let text =
            "\u{feff}# a comment\n\n[global]\n log = syslog \n[token \"a b\"]\r\nregion=\"x\"\r\n; end\n[key \"k\"]";
        let sections = parse(text, Path::new("f")).unwrap();
        assert_eq!(sections.len(), 3);
        assert_eq!(sections[0].entries, [Entry { name: "log", value: "syslog", line: 4 }]);
        assert_eq!((sections[1].kind, sections[1].name, sections[1].line), ("token", Some("a b"), 5));
        assert_eq!(sections[1].entries, [Entry { name: "region", value: "x", line: 6 }]);
        assert!(sections[2].entries.is_empty());
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        assert!(error("[global").starts_with("f:1: "));
        assert!(error("\n[key k]").starts_with("f:2: "));
        assert!(error("[key \"\"]").starts_with("f:1: "));
        assert!(error("[]").starts_with("f:1: "));
        assert!(error("log = x").contains("before the first section"));
        assert!(error("[global]\nlog").starts_with("f:2: "));
        assert_eq!(error("[global]\nlog=a\nlog=b"), "f:3: \"log\" is already set on line 2");
    }
}
