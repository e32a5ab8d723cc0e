//! The sources cite docs/kms-service.md by its headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../../docs/kms-service.md");

/// What every citation begins with; the heading and a quotation mark follow.
const CITATION: &str = "docs/kms-service.md, \"";

/// The text of every source file in a folder, with its path.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).expect("a source file")));
        }
    }
    found
}

#[test]
fn every_cited_heading_exists() {
    let headings: BTreeSet<_> = DOCUMENT.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut count = 0;
    for (path, source) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        // A citation may continue on the next line of a comment.
        let lines: Vec<_> =
            source.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']).trim()).collect();
        for citation in lines.join(" ").split(CITATION).skip(1) {
            let heading = citation.split('"').next().unwrap_or_default();
            assert!(headings.contains(heading), "{path} cites \"{heading}\"");
            count += 1;
        }
    }
    assert!(count > 30, "{count} citations");
}
