//! Tables as text.

use crate::report;
use crate::text::{safe, width};

/// Prints rows below a heading. Each column is as wide as its widest cell.
pub fn print(heading: &[&str], rows: &[Vec<String>]) {
    let safe_rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| safe(cell).into_owned()).collect()).collect();
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells = safe_rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
            cells.chain([width(heading[column])]).max().unwrap_or(0)
        })
        .collect();
    let heading = heading.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let first = formatted(&heading, &widths);
    report::line(&if report::stdout_has_colours() { format!("\x1b[1m{first}\x1b[0m") } else { first });
    for row in &safe_rows {
        report::line(&formatted(row, &widths));
    }
}

/// Prints names and values, one pair per line.
pub fn print_pairs(pairs: &[(&str, String)]) {
    let longest = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    for (name, value) in pairs {
        report::line(&format!("{name:<longest$}  {}", safe(value)));
    }
}

fn formatted(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, wanted) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', wanted - width(cell) + 2));
    }
    line.trim_end().to_owned()
}
