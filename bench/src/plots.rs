//! Draws the plots of docs/performance.md from the JSON files of a measurement.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::chart::{Bar, Chart};
use crate::error::Result;
use crate::sealing::figures::{Report, Row, Section, short};

/// Draws the figures that `results` has, and returns the files that it wrote.
pub fn draw(results: &Path) -> Result<Vec<PathBuf>> {
    let mut charts = Vec::new();
    if let Some(json) = read(results, "encrypt.json")? {
        charts.push(("encrypt".to_owned(), encrypt(&serde_json::from_str(&json)?)?));
    }
    if let Some(json) = read(results, "sealing.json")? {
        let report: Report = serde_json::from_str(&json)?;
        charts.extend(report.sections.iter().map(|section| (section.name.clone(), sealing(section, &report))));
    }
    if charts.is_empty() {
        return Err(format!("{} has no figures; run a measurement first", results.display()).into());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("docs").join("performance");
    fs::create_dir_all(&folder)?;
    let write = |(name, chart): (String, Chart)| {
        let file = folder.join(format!("{name}.svg"));
        fs::write(&file, chart.svg())?;
        Ok(file)
    };
    charts.into_iter().map(write).collect()
}

fn read(results: &Path, name: &str) -> Result<Option<String>> {
    match fs::read_to_string(results.join(name)) {
        Ok(json) => Ok(Some(json)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

/// The length of a bar is the rate of its row.
fn sealing(section: &Section, report: &Report) -> Chart {
    let bar = |row: &Row| Bar {
        label: row.name.clone(),
        value: section.rate(row),
        text: short(section.rate(row)),
        ours: row.name.starts_with("tckms_"),
        begins_group: row.name.starts_with("tckms_"),
    };
    Chart {
        title: section.title.clone(),
        subtitle: format!("Medians of {} alternating rounds, {}; {}", section.rounds, section.clock(), report.openssl),
        unit: section.unit.clone(),
        bars: section.rows.iter().map(bar).collect(),
    }
}

fn encrypt(figures: &Value) -> Result<Chart> {
    let number = |value: &Value| value.as_f64().ok_or("encrypt.json lacks a number");
    let mut bars = Vec::new();
    for row in figures["rows"].as_array().ok_or("encrypt.json has no rows")? {
        let scheme = row["scheme"].as_str().unwrap_or_default().to_uppercase();
        let threads = number(&row["threads"])?;
        let what = format!("{scheme}, {} B, {threads} thread{}", row["plaintext_len"], plural(threads));
        let mut add = |label: &str, ratio: f64, ours: bool, begins_group: bool| {
            bars.push(Bar { label: label.to_owned(), value: ratio, text: format!("{ratio:.2}"), ours, begins_group });
        };
        add(&format!("{what}: to the signing loop"), number(&row["signing_ratio"])?, true, true);
        add("to the bare loop", number(&row["ratio"])?, true, false);
        if let Some(ratio) = row["cpp_sdk_ratio"].as_f64() {
            add("Tencent's C++ SDK, in another run", ratio, false, false);
        }
    }
    Ok(Chart {
        title: "One Encrypt call: CPU time compared with a reqwest::blocking loop".to_owned(),
        subtitle: format!("Medians of {} alternating rounds; less is better", figures["effort"]["rounds"]),
        unit: "times the CPU time of the loop".to_owned(),
        bars,
    })
}

fn plural(count: f64) -> &'static str {
    if count == 1.0 { "" } else { "s" }
}
