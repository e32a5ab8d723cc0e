//! The figures of calls, as tables and as JSON.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::Result;
use crate::plan::{SIGN_TARGET, TARGET, VERIFY_TARGET};
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
        "scheme  bytes  threads  libtckms  bare loop  ratio       signing loop  ratio       C++ SDK / reqwest",
        "  without wiping  wiping costs",
    );
    for row in &measured.rows {
        line(&cells(row), &wiping_cells(row));
    }
    let _ = write!(
        text,
        "\nratio: libtckms / the loop in the column before it; the target is at most {TARGET:.2}.\n\
         bare loop: reqwest::blocking sends the same request, signed in advance, and reads the replies.\n\
         signing loop: the same, but each call encodes, signs and parses, as every client must.\n\
         C++ SDK / reqwest: Tencent's SDK with keep-alive and a reqwest loop, from another run; see docs/performance.md.\n"
    );
    let over = |ratio: fn(&Row) -> f64| measured.rows.iter().filter(|row| ratio(row) > TARGET).count();
    let (bare, signing) = (over(|row| row.ratio), over(|row| row.signing_ratio));
    let _ = writeln!(
        text,
        "Rows over the target, of {}: {bare} with the bare loop, {signing} with the signing loop.",
        measured.rows.len()
    );
    text + &asymmetric_table(measured)
}

fn asymmetric_table(measured: &Measured) -> String {
    let mut text = String::from(
        "\nOne signature of a digest (P-256, verified before it is returned) compared with one Encrypt call of 32 bytes:\n\
         CPU microseconds\n\nscheme  threads  sign a digest  Encrypt  ratio\n",
    );
    for row in &measured.sign_rows {
        let (scheme, threads) = (row.configuration.scheme.name(), row.configuration.threads);
        let (sign, encrypt) = (row.sign.cpu_us_per_call, row.encrypt.cpu_us_per_call);
        let mark = if row.ratio > SIGN_TARGET { " over" } else { "" };
        let _ = writeln!(text, "{scheme:<6}  {threads:>7}  {sign:>13.1}  {encrypt:>7.1}  {:>5.3}{mark}", row.ratio);
    }
    let (verify, slow) = (&measured.verify, measured.verify.speed < VERIFY_TARGET);
    let _ = writeln!(
        text,
        "\nThe target is at most {SIGN_TARGET:.2}.\n\nLocal verification (P-256): {:.1} us, by bare aws-lc-rs {:.1} us. The speed is \
         {:.3} of that of aws-lc-rs{}; the target is at least {VERIFY_TARGET:.2}.",
        verify.tckms.cpu_us_per_call,
        verify.bare.cpu_us_per_call,
        verify.speed,
        if slow { ", too slow" } else { "" },
    );
    text
}

fn cells(row: &Row) -> String {
    let mark = |ratio: f64| if ratio > TARGET { " over" } else { "" };
    let cpp_sdk = row.cpp_sdk_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    format!(
        "{:<6} {:>6}  {:>7}  {:>8.1}  {:>9.1}  {:>5.3}{:<5}  {:>12.1}  {:>5.3}{:<5}  {cpp_sdk:>17}",
        row.configuration.scheme.name(),
        row.configuration.plaintext_len,
        row.configuration.threads,
        row.tckms.cpu_us_per_call,
        row.bare.cpu_us_per_call,
        row.ratio,
        mark(row.ratio),
        row.signing.cpu_us_per_call,
        row.signing_ratio,
        mark(row.signing_ratio),
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
    let document = json!({ "target_ratio": TARGET, "effort": measured.effort, "rows": measured.rows,
        "sign_target_ratio": SIGN_TARGET, "sign_rows": measured.sign_rows,
        "verify_target_speed": VERIFY_TARGET, "verify": measured.verify });
    std::fs::write(&file, serde_json::to_string_pretty(&document)? + "\n")?;
    Ok(file)
}
