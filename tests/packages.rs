//! `make deb`: lintian accepts the packages, and a clean Debian can install and use them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{Scratch, abi, dist, output_of, release, root, soname, tool};

/// The package of the shared library is named after its ABI version.
fn library() -> String {
    format!("libtckms{}", abi())
}

fn names() -> [String; 5] {
    let [development, emulator, module, tools] = ["libtckms-dev", "tckms-emulator", "tckms-pkcs11", "tckms-tools"];
    [development.to_owned(), library(), emulator.to_owned(), module.to_owned(), tools.to_owned()]
}

/// The packages of `make deb`, in a separate folder.
fn packages() -> &'static [PathBuf] {
    static MADE: OnceLock<Vec<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| {
        release("tckms-emulator");
        let target = dist("libtckms.a").ancestors().nth(2).unwrap().to_owned();
        tool("dpkg-shlibdeps");
        output_of(Command::new(root().join("scripts/deb.sh")).env("CARGO_TARGET_DIR", &target));
        let files = fs::read_dir(target.join("deb")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "deb")).collect();
        files.sort();
        files
    })
}

fn package(name: &str) -> &'static Path {
    let found =
        packages().iter().find(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}_")));
    found.unwrap_or_else(|| panic!("there is no package {name}"))
}

/// A file of a package's description.
fn control(name: &str, file: &str) -> String {
    output_of(tool("dpkg-deb").arg("--info").arg(package(name)).arg(file))
}

#[test]
fn there_are_five_packages_of_this_version() {
    let found = packages().iter().map(|file| file.file_name().unwrap().to_str().unwrap().split('_').next().unwrap());
    assert_eq!(found.collect::<Vec<_>>(), names());
    for name in names() {
        let version = format!("Version: {}-1\n", env!("CARGO_PKG_VERSION"));
        assert!(control(&name, "control").contains(&version), "{}", control(&name, "control"));
    }
}

#[test]
fn every_package_lists_what_is_compiled_into_it() {
    let lists =
        [("libtckms-dev", ""), ("tckms-emulator", "-emulator"), ("tckms-pkcs11", "-pkcs11"), ("tckms-tools", "-tools")];
    let library = library();
    for (name, product) in lists.into_iter().chain([(&*library, "")]) {
        let scratch = Scratch::new();
        output_of(tool("dpkg-deb").arg("--extract").arg(package(name)).arg(scratch.path()));
        let documents = scratch.path().join("usr/share/doc").join(name);
        let sources = [
            ("THIRD-PARTY-LICENSES.gz", format!("THIRD-PARTY-LICENSES{product}.txt")),
            ("tckms.cdx.json.gz", format!("tckms{product}.cdx.json")),
        ];
        for (packed, source) in sources {
            let list = output_of(Command::new("gzip").args(["--decompress", "--stdout"]).arg(documents.join(packed)));
            assert!(list == fs::read_to_string(root().join("packaging").join(&source)).unwrap(), "{name}: {source}");
        }
    }
}

#[test]
fn lintian_finds_no_error() {
    let mut lintian = tool("lintian");
    lintian.args(["--fail-on", "error", "--tag-display-limit", "0"]).args(packages());
    let output = lintian.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_symbols_file_gives_the_version_that_each_function_needs() {
    let symbols = control(&library(), "symbols");
    let mut lines = symbols.lines();
    assert_eq!(lines.next(), Some(&format!("{} {} #MINVER#", soname(), library())[..]));
    let listed: Vec<_> = lines.filter(|line| line.starts_with(" tckms_")).map(|line| line.trim().to_owned()).collect();
    let list = output_of(Command::new(root().join("scripts/symbols.sh")).arg("versions"));
    let mut expected: Vec<_> = list
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| format!("{name}@{version} {}.0", version.trim_start_matches("TCKMS_")))
        .collect();
    expected.sort();
    let mut sorted = listed;
    sorted.sort();
    assert_eq!(sorted, expected);
    assert!(control(&library(), "shlibs").starts_with(&format!("libtckms {} {} (>= ", abi(), library())));
    assert_eq!(control(&library(), "triggers").trim(), "activate-noawait ldconfig");
}

#[test]
fn the_same_files_make_the_same_packages() {
    let before: Vec<_> = packages().iter().map(|file| fs::read(file).unwrap()).collect();
    let again = Scratch::new();
    let target = dist("libtckms.a").ancestors().nth(2).unwrap().to_owned();
    for name in ["dist", "release", "reference"] {
        std::os::unix::fs::symlink(target.join(name), again.path().join(name)).unwrap();
    }
    output_of(Command::new(root().join("scripts/deb.sh")).env("CARGO_TARGET_DIR", again.path()));
    for (file, before) in packages().iter().zip(before) {
        let now = fs::read(again.path().join("deb").join(file.file_name().unwrap())).unwrap();
        assert!(now == before, "{} differs when it is built again", file.display());
    }
}

/// A fresh Debian with a C compiler, created once for each target folder, from the archive that this machine's apt uses.
fn clean_root() -> PathBuf {
    let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clean-root.tar");
    if !archive.exists() {
        let release = fs::read_to_string("/etc/os-release").unwrap();
        let name = |line: &str| line.strip_prefix("VERSION_CODENAME=").map(str::to_owned);
        let suite = release.lines().find_map(name).expect("Debian has a code name");
        let format = ["indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"];
        let sources = output_of(Command::new("apt-get").args(format));
        let source = sources.lines().filter_map(|line| line.split_once(' ')).find(|(_, codename)| *codename == suite);
        let (mirror, _) = source.unwrap_or_else(|| panic!("apt knows no source of {suite}:\n{sources}"));
        let made = Scratch::new();
        let mut debootstrap = Command::new("/usr/sbin/debootstrap");
        debootstrap.args(["--variant=minbase", "--include=gcc,libc6-dev,pkg-config,libgcc-s1", &suite]);
        output_of(debootstrap.arg(made.path().join("root")).arg(mirror));
        let fresh = archive.with_extension("new");
        output_of(Command::new("tar").arg("-cf").arg(&fresh).arg("-C").arg(made.path()).arg("root"));
        fs::rename(&fresh, &archive).unwrap();
    }
    archive
}

#[test]
fn a_clean_debian_installs_uses_and_removes_them() {
    // SAFETY: it only returns a number.
    if unsafe { libc::geteuid() } != 0 {
        // Written directly, since the test runner hides the output of passing tests.
        let text =
            "NOT TESTED: the packages in a clean Debian; only root can make one. Run tests/packages.rs as root.\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return;
    }
    let scratch = Scratch::new();
    output_of(Command::new("tar").arg("-xf").arg(clean_root()).arg("-C").arg(scratch.path()));
    let clean = scratch.path().join("root");
    fs::create_dir(clean.join("packages")).unwrap();
    for file in packages() {
        fs::copy(file, clean.join("packages").join(file.file_name().unwrap())).unwrap();
    }
    let script = "in_a_clean_root.sh";
    fs::copy(root().join("tests/packages").join(script), clean.join(script)).unwrap();
    let mut chroot = Command::new("chroot");
    chroot.arg(&clean).args(["/bin/sh", &format!("/{script}")]).env_clear();
    chroot.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root").env("DEBIAN_FRONTEND", "noninteractive");
    let output = chroot.output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let same_text = "The decrypted text equals the original.\n";
    let expected = format!("# install\n# compile\n# run\n{same_text}{same_text}# remove\n# done\n");
    assert!(output.status.success() && said == expected, "{}\n{said}\n{complained}", output.status);
}
