//! The layers of ARCHITECTURE.md: a module of `src/` uses only modules below it. In no crate of the workspace two files or two
//! folders use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of `src/`, from the lowest layer to the highest. A module may use those in the lines above its own, and others in
/// the same line as long as they do not use it.
const LAYERS: &[&[&str]] = &[
    &["sys"],
    &[
        "status",
        "error",
        "log",
        "secret",
        "sanitize",
        "encoding",
        "block_on",
        "calendar",
        "call_control",
        "call_scope",
        "last_request",
    ],
    &["http", "encryption_context", "sign"],
    &["credentials", "host", "site", "stats"],
    &["api"],
    &["providers"],
    &["config", "environment", "client_builder"],
    &["client", "diagnosis"],
    &["seal"],
    &["queue"],
    &["ffi", "fuzzing"],
    &[""],
];

#[test]
fn every_module_uses_only_lower_layers() {
    let layer = |module: &str| {
        LAYERS.iter().position(|modules| modules.contains(&module)).unwrap_or_else(|| panic!("{module} has no layer"))
    };
    let mut upward = Vec::new();
    for (file, used) in Crate::read("src").arrows() {
        for target in used {
            let (from, to) = (module_of(&file), module_of(&target));
            if from != to && layer(from) < layer(to) {
                upward.push(format!("{file} uses {target}"));
            }
        }
    }
    assert!(upward.is_empty(), "upward edges:\n{}", upward.join("\n"));
}

#[test]
fn no_two_folders_use_each_other() {
    for source in ["bench/src", "cli/src", "emulator/src", "pkcs11/src", "src"] {
        let files = Crate::read(source).arrows();
        for depth in 1..4 {
            assert_eq!(cycles(&folders(&files, depth)), Vec::<String>::new(), "{source}");
        }
    }
}

#[test]
fn no_files_form_a_cycle() {
    for folder in ["bench/src", "cli/src", "emulator/src", "pkcs11/src", "src"] {
        assert_eq!(cycles(&Crate::read(folder).arrows()), Vec::<String>::new(), "{folder}");
    }
}

#[test]
fn a_cycle_is_found_and_two_paths_to_one_module_are_none() {
    let graph = |arrows: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(cycles(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), Vec::<String>::new());
    assert_eq!(cycles(&graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")])), ["a <-> b <-> c"]);
}

/// The files that each file uses, by their module paths.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The first part of a module's path; empty for the root of the crate, lib.rs or main.rs.
fn module_of(path: &str) -> &str {
    path.split("::").next().unwrap()
}

/// The edges between the modules at a depth, each including its submodules.
fn folders(files: &Graph, depth: usize) -> Graph {
    let folder = |module: &String| module.split("::").take(depth).collect::<Vec<_>>().join("::");
    let mut folders = Graph::new();
    for (file, used) in files {
        let from = folder(file);
        let used = used.iter().map(folder).filter(|to| *to != from).collect::<Vec<_>>();
        folders.entry(from).or_default().extend(used);
    }
    folders
}

/// Every group of nodes that reach each other.
fn cycles(graph: &Graph) -> Vec<String> {
    let reachable = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(node) = open.pop() {
            let new = graph.get(&node).into_iter().flatten().filter(|next| seen.insert((*next).clone()));
            open.extend(new.cloned().collect::<Vec<_>>());
        }
        seen
    };
    let reach: BTreeMap<_, _> = graph.keys().map(|node| (node, reachable(node))).collect();
    let groups: BTreeSet<Vec<&str>> = reach
        .iter()
        .filter(|(node, seen)| seen.contains(**node))
        .map(|(node, seen)| {
            let back = |other: &&String| reach.get(other).is_some_and(|seen| seen.contains(*node));
            seen.iter().filter(back).map(String::as_str).collect()
        })
        .collect();
    groups.into_iter().map(|group| group.join(" <-> ")).collect()
}

/// The modules of a crate with their source, without tests and comments.
struct Crate {
    modules: BTreeMap<String, String>,
}

impl Crate {
    fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut modules = BTreeMap::new();
        for file in rust_files(&root) {
            let path = file.strip_prefix(&root).unwrap().with_extension("");
            let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
            let parts: Vec<_> = parts.into_iter().filter(|part| !["mod", "lib", "main"].contains(part)).collect();
            modules.insert(parts.join("::"), code_of(&fs::read_to_string(&file).unwrap()));
        }
        assert!(!modules.is_empty(), "{folder} has no source");
        Self { modules }
    }

    /// The modules that each module uses. A re-exported name counts as a use of the module that defines it.
    fn arrows(&self) -> Graph {
        let graph = self.modules.iter().map(|(module, code)| {
            let used = paths(code).iter().filter_map(|path| self.target(module, path)).collect::<BTreeSet<_>>();
            let parent_only_names_it = |target: &String| target.starts_with(&format!("{module}::"));
            (module.clone(), used.into_iter().filter(|to| to != module && !parent_only_names_it(to)).collect())
        });
        graph.collect()
    }

    /// The module that defines what a path in `module` names; none outside the crate.
    fn target(&self, module: &str, path: &str) -> Option<String> {
        let parts: Vec<_> = path.split("::").collect();
        if parts.last() == Some(&"*") {
            return None;
        }
        let mut base: Vec<_> = if parts[0] == "crate" { Vec::new() } else { module.split("::").collect() };
        let mut rest = &parts[..];
        while let [first @ ("crate" | "self" | "super"), others @ ..] = rest {
            if *first == "super" {
                base.pop();
            }
            rest = others;
        }
        base.extend(rest);
        self.defining(&base.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>())
    }

    fn defining(&self, path: &[String]) -> Option<String> {
        let len = (0..=path.len()).rev().find(|len| self.modules.contains_key(&path[..*len].join("::")))?;
        let module = path[..len].join("::");
        let Some(name) = path.get(len) else { return Some(module) };
        let exported =
            paths_of_reexports(&self.modules[&module]).into_iter().find(|path| path.ends_with(&format!("::{name}")));
        match exported {
            Some(path) if !path.starts_with("super") => {
                let inside = path.trim_start_matches("self::").split("::").map(str::to_owned);
                let path: Vec<_> = match path.strip_prefix("crate::") {
                    Some(path) => path.split("::").map(str::to_owned).collect(),
                    None => path_of(&module).chain(inside).collect(),
                };
                self.defining(&path)
            }
            _ => Some(module),
        }
    }
}

fn path_of(module: &str) -> impl Iterator<Item = String> {
    module.split("::").filter(|part| !part.is_empty()).map(str::to_owned)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(rust_files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    files
}

fn code_of(text: &str) -> String {
    let text = text.split("\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every path of this crate in the code: those of its `use` items, and those in expressions.
fn paths(code: &str) -> Vec<String> {
    let mut paths: Vec<_> = uses(code).iter().flat_map(|tree| expand("", tree)).filter(|path| is_own(path)).collect();
    for start in ["crate::", "super::"] {
        for (position, _) in code.match_indices(start) {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let path = code[position..].split(|c: char| !is_path(c)).next().unwrap();
            paths.push(path.trim_end_matches(':').to_owned());
        }
    }
    paths
}

fn paths_of_reexports(code: &str) -> Vec<String> {
    let items = code.split(';').map(str::trim).filter_map(|item| {
        let item = item
            .rsplit('\n')
            .find(|line| line.starts_with("pub"))
            .map_or(item, |line| &item[item.find(line).unwrap()..]);
        item.starts_with("pub").then(|| item.split_once("use ").map(|(_, tree)| tree.to_owned()))?
    });
    items.flat_map(|tree| expand("", &tree)).collect()
}

fn is_own(path: &str) -> bool {
    ["crate", "self", "super"].contains(&path.split("::").next().unwrap())
}

fn uses(code: &str) -> Vec<String> {
    let starts = code
        .match_indices("use ")
        .filter(|(at, _)| *at == 0 || !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    starts.map(|(at, _)| code[at + 4..].split(';').next().unwrap().to_owned()).collect()
}

/// Expands `a::{b, c::{d, e}}` to `a::b`, `a::c::d`, `a::c::e`.
fn expand(prefix: &str, tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap().trim();
        return if name.is_empty() {
            Vec::new()
        } else {
            vec![format!("{prefix}{name}").trim_end_matches("::self").to_owned()]
        };
    };
    let Some((inner, _)) = rest.rsplit_once('}') else { return Vec::new() };
    split_at_commas(inner).iter().flat_map(|part| expand(&format!("{prefix}{}", head.trim()), part)).collect()
}

fn split_at_commas(list: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts
}
