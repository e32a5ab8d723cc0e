//! The figures for people and for programs.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::Result;
use crate::plan::TARGET;
use crate::rounds::{Measured, Row};

/// A table with its legend.
pub fn table(measured: &Measured) -> String {
    let effort = measured.effort;
    let with_wiping = measured.rows.iter().any(|row| row.wiping_ratio.is_some());
    let mut text = format!(
        "\nOne Encrypt call: CPU microseconds (user + system) of the client process, medians of {} rounds of {} calls\n\n",
        effort.rounds, effort.calls_per_round
    );
    let mut line = |cells: &str, wiping: &str| {
        let _ = writeln!(text, "{cells}{}", if with_wiping { wiping } else { "" });
    };
    line(
        "scheme  bytes  threads  libtckms  bare reqwest  ratio          C++ SDK / reqwest",
        "  without wiping  wiping costs",
    );
    for row in &measured.rows {
        line(&cells(row), &wiping_cells(row));
    }
    let _ = write!(
        text,
        "\nratio: libtckms / bare reqwest loop with the same request; the target is at most {TARGET:.2}.\n\
         C++ SDK / reqwest: Tencent's own SDK with keep-alive, measured once beside a reqwest loop; see docs/performance.md.\n"
    );
    let over = measured.rows.iter().filter(|row| row.ratio > TARGET).count();
    let _ = match over {
        0 => writeln!(text, "Every row is within the target."),
        _ => writeln!(text, "{over} of {} rows are over the target.", measured.rows.len()),
    };
    text
}

fn cells(row: &Row) -> String {
    let mark = if row.ratio > TARGET { " over" } else { "" };
    let cpp_sdk = row.cpp_sdk_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    format!(
        "{:<6} {:>6}  {:>7}  {:>8.1}  {:>12.1}  {:>5.3}{mark:<5}  {cpp_sdk:>21}",
        row.configuration.scheme.name(),
        row.configuration.plaintext_len,
        row.configuration.threads,
        row.tckms.cpu_us_per_call,
        row.bare.cpu_us_per_call,
        row.ratio,
    )
}

fn wiping_cells(row: &Row) -> String {
    match (row.without_wiping, row.wiping_ratio) {
        (Some(figures), Some(ratio)) => {
            format!("  {:>14.1}  {:>11.1}%", figures.cpu_us_per_call, (ratio - 1.0) * 100.0)
        }
        _ => String::new(),
    }
}

/// Writes everything to `encrypt.json` in `folder`.
pub fn write_json(folder: &Path, measured: &Measured) -> Result<PathBuf> {
    let file = folder.join("encrypt.json");
    let document = json!({ "target_ratio": TARGET, "effort": measured.effort, "rows": measured.rows });
    std::fs::write(&file, serde_json::to_string_pretty(&document)? + "\n")?;
    Ok(file)
}
