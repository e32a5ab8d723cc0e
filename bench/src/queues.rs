//! Compares queued calls of one thread with blocking calls.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::artifact::Artifacts;
use crate::caller::{ClientKind, Cost};
use crate::cli::Options;
use crate::error::Result;
use crate::plan::{self, Configuration, Effort, Scheme};
use crate::rounds::{Figures, Server, alternate, median, paired_ratio};
use crate::server::SLOW_REPLY_MS;

/// The comparisons: a number of queued calls in flight, and a number of threads that make blocking calls.
const PAIRS: [(usize, usize); 2] = [(64, 8), (1, 1)];
const PLAINTEXT_LEN: usize = 32;
/// The calls in flight when the throughput is measured, with a server that takes [`SLOW_REPLY_MS`] for each.
const OUTSTANDING: usize = 500;
const THROUGHPUT: Effort = Effort { warm_up_calls: 2 * OUTSTANDING, rounds: 5, calls_per_round: 20 * OUTSTANDING };

#[derive(Debug, Serialize)]
pub struct Report {
    effort: Effort,
    rows: Vec<Row>,
    throughput: Throughput,
}

#[derive(Debug, Serialize)]
struct Row {
    scheme: Scheme,
    in_flight: usize,
    threads: usize,
    queued: Figures,
    blocking: Figures,
    /// Median over the rounds of the CPU time of queued / blocking within the round.
    cpu_ratio: f64,
    /// Median over the rounds of queued - blocking within the round, in wall-clock time.
    added_us_per_call: f64,
}

#[derive(Debug, Serialize)]
struct Throughput {
    outstanding: usize,
    calls_per_second: f64,
    /// The most calls per second that the server can reply to.
    limit: f64,
    cpu_us_per_call: f64,
}

pub fn run(artifacts: &Artifacts, options: &Options) -> Result<Report> {
    let effort = if options.quick { plan::QUICK } else { plan::FULL };
    let server = Server::start(artifacts)?;
    let schemes = [Scheme::Http, Scheme::Https].into_iter();
    let pairs = schemes.flat_map(|scheme| PAIRS.into_iter().map(move |pair| (scheme, pair)));
    let rows = pairs.map(|(scheme, pair)| measure(&server, &artifacts.shipped, scheme, pair, effort));
    let rows = rows.collect::<Result<_>>()?;
    Ok(Report { effort, rows, throughput: throughput(&server, &artifacts.shipped)? })
}

fn measure(server: &Server, library: &Path, scheme: Scheme, pair: (usize, usize), effort: Effort) -> Result<Row> {
    let (in_flight, threads) = pair;
    eprintln!("measuring {in_flight} queued calls and {threads} blocking threads over {}", scheme.name());
    let (library, plaintext_len) = (library.to_owned(), PLAINTEXT_LEN);
    let queued = ClientKind::Queue { library: library.clone(), plaintext_len, in_flight };
    let blocking = ClientKind::LibTckms { library, plaintext_len };
    let with = |threads| Configuration { scheme, plaintext_len, threads };
    let clients = vec![server.start_client(queued, with(1))?, server.start_client(blocking, with(threads))?];
    let series = alternate(clients, server.id(), effort)?;
    let wall = |cost: &Cost| cost.wall.as_secs_f64() * 1e6 / effort.calls_per_round as f64;
    Ok(Row {
        scheme,
        in_flight,
        threads,
        queued: effort.figures(&series[0]),
        blocking: effort.figures(&series[1]),
        cpu_ratio: paired_ratio(&series[0], &series[1]),
        added_us_per_call: median(series[0].iter().zip(&series[1]).map(|(ours, theirs)| wall(ours) - wall(theirs))),
    })
}

fn throughput(server: &Server, library: &Path) -> Result<Throughput> {
    eprintln!("measuring {OUTSTANDING} queued calls with a server that takes {SLOW_REPLY_MS} ms for each");
    let kind = ClientKind::Queue { library: library.to_owned(), plaintext_len: PLAINTEXT_LEN, in_flight: OUTSTANDING };
    let series = alternate(vec![server.start_slow_client(kind)?], server.id(), THROUGHPUT)?;
    let figures = THROUGHPUT.figures(&series[0]);
    Ok(Throughput {
        outstanding: OUTSTANDING,
        calls_per_second: 1e6 / figures.wall_us_per_call,
        limit: OUTSTANDING as f64 * 1e3 / SLOW_REPLY_MS as f64,
        cpu_us_per_call: figures.cpu_us_per_call,
    })
}

impl Report {
    pub fn table(&self) -> String {
        let mut text = String::from(
            "\nOne queued Encrypt call of 32 bytes compared with a blocking one: microseconds; CPU is user + system of the\n\
             process\n\nscheme  in flight  CPU   threads  CPU   ratio  added wall-clock\n",
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<6}  {:>9}  {:>4.1}  {:>7}  {:>4.1}  {:>5.3}  {:>16.1}",
                row.scheme.name(),
                row.in_flight,
                row.queued.cpu_us_per_call,
                row.threads,
                row.blocking.cpu_us_per_call,
                row.cpu_ratio,
                row.added_us_per_call,
            );
        }
        let Throughput { outstanding, calls_per_second, limit, cpu_us_per_call } = self.throughput;
        let _ = writeln!(
            text,
            "\n{outstanding} queued calls in flight with a server that takes {SLOW_REPLY_MS} ms for each: {calls_per_second:.0} calls \
             per second of at most {limit:.0}, {cpu_us_per_call:.1} us of CPU time per call."
        );
        text
    }

    /// Writes everything to `queue.json` in `folder`.
    pub fn write_json(&self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join("queue.json");
        std::fs::write(&file, serde_json::to_string_pretty(&json!(self))? + "\n")?;
        Ok(file)
    }
}
