//! The storeys of ARCHITECTURE.md: a module of `src/` uses only modules below it, and no two files use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The storeys from the bottom up. Modules of one storey may use each other as long as they form no circle.
const STOREYS: &[&[&str]] = &[
    &["sys"],
    &["status", "error", "log", "secret", "sanitize", "encoding", "call_control", "last_request"],
    &["http", "encryption_context", "sign"],
    &["credentials", "site", "stats"],
    &["api"],
    &["providers"],
    &["config", "environment", "client_builder"],
    &["client"],
    &["seal"],
    &["ffi", "fuzzing"],
];

/// Every file of `src/` as a module path ("seal::keys::kms"; the file of a folder is the folder's path) with its code.
/// Tests inside the files are left out.
fn modules() -> BTreeMap<String, String> {
    fn visit(folder: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_stem().unwrap().to_str().unwrap();
            if entry.is_dir() {
                visit(&entry, &format!("{prefix}{name}::"), found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") && name != "lib" {
                let path =
                    if name == "mod" { prefix.trim_end_matches("::").to_owned() } else { format!("{prefix}{name}") };
                let text = fs::read_to_string(&entry).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                found.insert(path, code);
            }
        }
    }
    let mut found = BTreeMap::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
    found
}

/// Code without comments and without what a folder's file passes on from its own modules (`pub use a::B`, `mod a`): that is a
/// signpost, not a use.
fn own_uses(module: &str, code: &str) -> String {
    let children: BTreeSet<&str> = code
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name))
        .collect();
    let mut kept = String::new();
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    for statement in code.split_inclusive(';') {
        let text = statement.trim();
        let passed_on = text.split_once("use ").filter(|(before, _)| before.trim_start().starts_with("pub"));
        let from_child = passed_on.is_some_and(|(_, path)| {
            let path = path.trim_start_matches("self::");
            children.contains(path.split("::").next().unwrap_or_default()) && !module.is_empty()
        });
        if !from_child {
            kept.push_str(statement);
        }
    }
    kept
}

/// The paths that follow "crate::" and "super::" in code, also those of a list in braces, as paths from the root.
fn paths(module: &str, is_folder: bool, code: &str) -> Vec<String> {
    let parent = |levels: usize| {
        let parts: Vec<_> = module.split("::").collect();
        let up = levels - usize::from(is_folder);
        parts[..parts.len().saturating_sub(up)].join("::")
    };
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::").chain(code.match_indices("super::")) {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':' || before == '$') {
            continue;
        }
        let mut rest = &code[start..];
        let mut base = String::new();
        if let Some(after) = rest.strip_prefix("crate::") {
            rest = after;
        } else {
            let mut levels = 0;
            while let Some(after) = rest.strip_prefix("super::") {
                rest = after;
                levels += 1;
            }
            base = parent(levels);
        }
        let join = |path: &str| {
            [base.as_str(), path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::")
        };
        let is_path = |character: char| character.is_alphanumeric() || character == '_' || character == ':';
        let head: String = rest.chars().take_while(|character| is_path(*character)).collect();
        let after = &rest[head.len()..];
        match after.strip_prefix('{').and_then(|list| list.split_once('}')) {
            Some((list, _)) => {
                found.extend(list.split([',', '{']).map(|item| join(&format!("{head}{}", item.trim()))));
            }
            None => found.push(join(&head)),
        }
    }
    found
}

/// Which file uses which.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules();
    let folders: BTreeSet<_> =
        modules.keys().filter_map(|path| path.rsplit_once("::").map(|(folder, _)| folder.to_owned())).collect();
    let owner = |path: &str| {
        let mut path = path.to_owned();
        loop {
            if modules.contains_key(&path) {
                return Some(path);
            }
            path = path.rsplit_once("::")?.0.to_owned();
        }
    };
    modules
        .iter()
        .map(|(module, code)| {
            let code = own_uses(module, code);
            let used = paths(module, folders.contains(module), &code);
            let used = used.iter().filter_map(|path| owner(path)).filter(|used| used != module).collect();
            (module.clone(), used)
        })
        .collect()
}

fn storey(module: &str) -> usize {
    let room = module.split("::").next().unwrap();
    STOREYS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("src/{room} has no storey in this test"))
}

#[test]
fn no_module_uses_one_above_it() {
    let up: Vec<_> = graph()
        .iter()
        .flat_map(|(module, used)| used.iter().map(move |used| (module.clone(), used.clone())))
        .filter(|(module, used)| storey(used) > storey(module))
        .collect();
    assert!(up.is_empty(), "these use what is above them: {up:?}");
}

/// Takes away what uses nothing, until nothing is left, or a circle.
fn circle(mut graph: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let ends: BTreeSet<_> =
            graph.iter().filter(|(_, used)| used.is_empty()).map(|(module, _)| module.clone()).collect();
        if ends.is_empty() {
            break;
        }
        graph.retain(|module, _| !ends.contains(module));
        graph.values_mut().for_each(|used| used.retain(|used| !ends.contains(used)));
    }
    // The same from the other end: what nobody uses is in no circle.
    loop {
        let used: BTreeSet<_> = graph.values().flatten().cloned().collect();
        let before = graph.len();
        graph.retain(|module, _| used.contains(module));
        if graph.len() == before {
            return graph;
        }
    }
}

#[test]
fn no_two_rooms_use_each_other() {
    let room = |module: &str| module.split("::").next().unwrap().to_owned();
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, used) in graph() {
        let others = used.iter().map(|used| room(used)).filter(|used| *used != room(&module));
        rooms.entry(room(&module)).or_default().extend(others);
    }
    let circle = circle(rooms);
    assert!(circle.is_empty(), "rooms that use each other: {circle:#?}");
}

#[test]
fn no_two_files_use_each_other() {
    let circle = circle(graph());
    assert!(circle.is_empty(), "files that use each other: {circle:#?}");
}
