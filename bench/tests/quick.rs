//! Runs a short measurement of all parts, so that a change of the library that breaks the benchmark is noticed.

use std::fs;
use std::path::Path;
use std::process::Command;

use support::dist;

#[test]
fn a_quick_measurement_has_figures_of_all_parts() {
    // The program writes its figures next to its own folder. A copy does not overwrite those of the last `make bench`.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quick-bench");
    let program = folder.join("release/tckms-bench");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_tckms-bench"), &program).unwrap();

    let output = Command::new(&program).arg("--quick").arg("--library").arg(dist("libtckms.so")).output().unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    for part in ["Local verification", "queue", "tckms_seal"] {
        assert!(table.contains(part), "no {part} in:\n{table}");
    }
    for file in ["encrypt.json", "queue.json", "sealing.json"] {
        let figures: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join("bench").join(file)).unwrap()).unwrap();
        assert!(figures.is_object(), "{file}");
    }
}
