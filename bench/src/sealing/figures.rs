//! The figures of sealing, as a table, as JSON and for the plots.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::turns::{Cost, Series};
use crate::error::Result;
use crate::rounds::median;

/// The figures of one run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    pub openssl: String,
    /// The load average of the machine, before and after.
    pub load: String,
    pub sections: Vec<Section>,
}

/// Candidates that alternated.
#[derive(Serialize, Deserialize)]
pub struct Section {
    /// The name of the plot's file, without extension.
    pub name: String,
    pub title: String,
    pub unit: String,
    pub rounds: usize,
    /// Whether rates are by wall-clock time, as with several threads, or by CPU time.
    pub by_wall: bool,
    pub rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    /// Medians in the section's unit, by CPU time and by wall-clock time.
    pub cpu_rate: f64,
    pub wall_rate: f64,
    pub ratios: Vec<Ratio>,
}

/// The speed of a row as a multiple of another's: the median over the rounds of the ratio within a round.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ratio {
    pub to: String,
    pub by_cpu: f64,
    pub by_wall: f64,
}

impl Section {
    /// A section in which each turn processed `amount`, in the unit without its "per second".
    pub fn new(name: &str, title: &str, unit: &str, amount: f64, series: &[Series]) -> Self {
        let row = |series: &Series| Row {
            name: series.name.to_owned(),
            cpu_rate: amount / median(series.costs.iter().map(|cost| cost.cpu)),
            wall_rate: amount / median(series.costs.iter().map(|cost| cost.wall)),
            ratios: Vec::new(),
        };
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            unit: unit.to_owned(),
            rounds: series.first().map_or(0, |series| series.costs.len()),
            by_wall: false,
            rows: series.iter().map(row).collect(),
        }
    }

    /// Adds the ratio of two candidates, which are named as in `series`.
    pub fn compare(&mut self, series: &[Series], ours: &str, to: &str) {
        let costs = |name: &str| series.iter().find(|series| series.name == name).map(|series| series.costs.as_slice());
        let (Some(our_costs), Some(their_costs)) = (costs(ours), costs(to)) else { return };
        let by = |of: fn(&Cost) -> f64| median(our_costs.iter().zip(their_costs).map(|(us, them)| of(them) / of(us)));
        let ratio = Ratio { to: to.to_owned(), by_cpu: by(|cost| cost.cpu), by_wall: by(|cost| cost.wall) };
        self.add_ratio(ours, ratio);
    }

    /// Compares a row with a rate from another run, and adds that rate as a row.
    pub fn compare_with_rate(&mut self, ours: &str, to: &str, rate: f64) {
        if let Some(row) = self.rows.iter().find(|row| row.name == ours) {
            let (by_cpu, by_wall) = (row.cpu_rate / rate, row.wall_rate / rate);
            self.add_ratio(ours, Ratio { to: to.to_owned(), by_cpu, by_wall });
        }
        if self.rows.iter().all(|row| row.name != to) {
            self.rows.push(Row { name: to.to_owned(), cpu_rate: rate, wall_rate: rate, ratios: Vec::new() });
        }
    }

    fn add_ratio(&mut self, ours: &str, ratio: Ratio) {
        self.rows.iter_mut().filter(|row| row.name == ours).for_each(|row| row.ratios.push(ratio.clone()));
    }

    /// The kind of time that [`Self::rate`] uses.
    pub fn clock(&self) -> &'static str {
        if self.by_wall { "by wall-clock time" } else { "by CPU time" }
    }

    pub fn rate(&self, row: &Row) -> f64 {
        if self.by_wall { row.wall_rate } else { row.cpu_rate }
    }
}

impl Report {
    pub fn table(&self) -> String {
        let mut text = format!("\nSealing, compared with {}; load of the machine: {}\n", self.openssl, self.load);
        for section in &self.sections {
            let _ = writeln!(text, "\n{}, {}, medians of {} rounds", section.title, section.clock(), section.rounds);
            for row in &section.rows {
                let _ = writeln!(text, "  {:<44} {:>10} {}", row.name, short(section.rate(row)), section.unit);
                for Ratio { to, by_cpu, by_wall } in &row.ratios {
                    let _ = writeln!(text, "      {by_cpu:.2} by CPU time, {by_wall:.2} by wall-clock time, of {to}");
                }
            }
        }
        text
    }

    /// Writes everything to `sealing.json` in `folder`.
    pub fn write_json(&self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join("sealing.json");
        std::fs::write(&file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(file)
    }
}

/// Three or four significant digits, with commas between groups of three digits.
pub fn short(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{:.0}", if value < 10_000.0 { value } else { (value / 100.0).round() * 100.0 });
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_does_not_move_the_ratio() {
        let series = |name, cpu: [f64; 3]| Series { name, costs: cpu.map(|cpu| Cost { cpu, wall: cpu }).into() };
        let series = [series("ours", [1.0, 9.0, 2.0]), series("theirs", [2.0, 1.0, 4.0])];
        let mut section = Section::new("", "", "", 1.0, &series);
        section.compare(&series, "ours", "theirs");
        assert_eq!(section.rows[0].ratios[0].by_cpu, 2.0);
    }

    #[test]
    fn numbers_have_few_digits() {
        assert_eq!([0.5, 19.64, 812.3, 234_567.0].map(short), ["0.50", "19.64", "812", "234,600"]);
    }
}
