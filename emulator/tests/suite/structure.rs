//! The modules of the emulator: none uses one that uses it, neither files nor folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The source files by the names of their modules.
fn modules(directory: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_str().expect("text").to_owned();
        if path.is_dir() {
            modules(&path, &format!("{prefix}{name}::"), found);
        } else {
            let module =
                if name == "mod" { prefix.trim_end_matches("::").to_owned() } else { format!("{prefix}{name}") };
            found.insert(module, fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// What the `use crate::…` lines before a module's tests name.
fn used_paths(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let uses = code.split("use crate::").skip(1).filter_map(|rest| rest.split(';').next());
    uses.flat_map(|path| match path.split_once("::{") {
        None => vec![path.to_owned()],
        Some((parent, items)) => {
            let items = items.trim_end_matches('}').split(',').map(|item| item.trim().trim_start_matches("self"));
            items.map(|item| format!("{parent}::{item}")).collect()
        }
    })
    .collect()
}

/// The module that a path leads into.
fn module_of(path: &str, modules: &BTreeMap<String, String>) -> String {
    let parts: Vec<_> = path.split("::").collect();
    let prefixes = (1..=parts.len()).rev().map(|length| parts[..length].join("::"));
    prefixes.into_iter().find(|prefix| modules.contains_key(prefix)).unwrap_or_else(|| panic!("no module for {path}"))
}

fn graph() -> Graph {
    let mut sources = BTreeMap::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    // Shared with the library, whose folder it is in.
    sources.insert("sanitize".to_owned(), String::new());
    let used = |module: &String, source: &str| {
        let paths = used_paths(source).into_iter().map(|path| module_of(&path, &sources));
        paths.filter(|used| used != module).collect()
    };
    sources.iter().map(|(module, source)| (module.clone(), used(module, source))).collect()
}

/// The same graph with one node for each folder.
fn folders(graph: &Graph) -> Graph {
    let folder = |module: &String| module.split("::").next().expect("a name").to_owned();
    let mut folders = Graph::new();
    for (module, used) in graph {
        let used = used.iter().map(folder).filter(|used| *used != folder(module));
        folders.entry(folder(module)).or_default().extend(used);
    }
    folders
}

/// Takes away what uses nothing that is left, again and again. What stays are the circles.
fn circles(mut graph: Graph) -> Graph {
    loop {
        let names: BTreeSet<_> = graph.keys().cloned().collect();
        let before = graph.len();
        graph.retain(|_, used| used.iter().any(|used| names.contains(used)));
        if graph.len() == before {
            return graph;
        }
    }
}

#[test]
fn no_two_modules_use_each_other() {
    let graph = graph();
    assert!(graph.len() > 25 && graph["server::handler"].contains("api::dispatch"), "{graph:#?}");
    assert_eq!(circles(folders(&graph)), Graph::new());
    assert_eq!(circles(graph), Graph::new());
}

/// The headings that sources cite by `docs/kms-service.md, "…"`.
#[test]
fn what_the_sources_cite_is_there() {
    const DOCUMENT: &str = include_str!("../../../docs/kms-service.md");
    const CITATION: &str = "docs/kms-service.md, \"";
    let headings: BTreeSet<_> = DOCUMENT.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut sources = BTreeMap::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    let mut count = 0;
    for (module, source) in &sources {
        let lines: Vec<_> =
            source.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']).trim()).collect();
        for citation in lines.join(" ").split(CITATION).skip(1) {
            let heading = citation.split('"').next().unwrap_or_default();
            assert!(headings.contains(heading), "{module} cites \"{heading}\"");
            count += 1;
        }
    }
    assert!(count > 30, "{count} citations");
}
