//! The lists of third-party components in packaging/ match the crates that cargo compiles in.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use support::{output_of, root};

/// A product, and the suffix of the names of its lists in packaging/.
struct Product {
    package: &'static str,
    features: &'static [&'static str],
    list: &'static str,
}

const WIPING: &[&str] = &["--features", "wipe-on-free"];

const PRODUCTS: [Product; 4] = [
    Product { package: "tckms", features: WIPING, list: "" },
    Product { package: "tckms-cli", features: WIPING, list: "-tools" },
    Product { package: "tckms-pkcs11", features: WIPING, list: "-pkcs11" },
    Product { package: "tckms-emulator", features: &[], list: "-emulator" },
];

impl Product {
    /// "name version" of every crate that is compiled into it on this machine, without this project's crates.
    fn crates(&self) -> BTreeSet<String> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(root())
            .args(["tree", "--locked", "--offline", "--package", self.package])
            .args(self.features);
        cargo.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
        let tree = output_of(&mut cargo);
        let crates = tree.lines().filter(|line| !line.starts_with("tckms")).map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next().expect("a crate has a name");
            format!("{name} {}", words.next().expect("a crate has a version").trim_start_matches('v'))
        });
        crates.collect()
    }

    fn expect_all_in(&self, listed: &BTreeSet<String>, file: &str) {
        let missing: Vec<_> = self.crates().into_iter().filter(|name| !listed.contains(name)).collect();
        assert!(missing.is_empty(), "packaging/{file} lacks {missing:?}; run `make licences`");
    }
}

fn packaged(file: &str) -> String {
    fs::read_to_string(root().join("packaging").join(file)).unwrap_or_else(|error| panic!("packaging/{file}: {error}"))
}

#[test]
fn the_licences_of_every_product_are_complete() {
    for product in PRODUCTS {
        let file = format!("THIRD-PARTY-LICENSES{}.txt", product.list);
        let text = packaged(&file);
        let names = text.lines().filter_map(|line| line.strip_prefix("    "));
        let listed = names.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
        product.expect_all_in(&listed, &file);
    }
}

#[test]
fn the_bill_of_materials_of_every_product_is_complete() {
    for product in PRODUCTS {
        let file = format!("tckms{}.cdx.json", product.list);
        let bill: serde_json::Value = serde_json::from_str(&packaged(&file)).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let components = bill["components"].as_array().unwrap().iter();
        let listed = components
            .map(|component| format!("{} {}", text(&component["name"]), text(&component["version"])))
            .collect();
        product.expect_all_in(&listed, &file);
        let described = &bill["metadata"]["component"];
        assert_eq!(text(&described["name"]), product.package);
        assert_eq!(text(&described["version"]), env!("CARGO_PKG_VERSION"));
    }
}

/// tckms-seal is covered by the tool's list, which contains the components of the library.
#[test]
fn the_tools_have_what_the_library_has() {
    let [library, tools, ..] = PRODUCTS;
    assert!(library.crates().is_subset(&tools.crates()), "tckms-seal needs a separate list");
}
