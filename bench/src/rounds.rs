//! The measurement of calls. The clients alternate, so that other load on the machine affects all of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::artifact::Artifacts;
use crate::caller::{ClientKind, Cost, Spec};
use crate::cli::Options;
use crate::error::Result;
use crate::http::RawRequest;
use crate::plan::{self, Configuration, Effort, Scheme};
use crate::process::ChildProcess;
use crate::quiet;
use crate::record;
use crate::server::Ready;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub effort: Effort,
    pub rows: Vec<Row>,
    pub sign_rows: Vec<SignRow>,
    pub verify: VerifyRow,
}

/// Signing a digest with a P-256 key, compared with Encrypt of 32 bytes.
#[derive(Debug, Serialize)]
pub struct SignRow {
    #[serde(flatten)]
    pub configuration: Configuration,
    pub sign: Figures,
    pub encrypt: Figures,
    /// Median over the rounds of sign / encrypt within the round.
    pub ratio: f64,
}

/// Local verification with a P-256 key, compared with that of aws-lc-rs.
#[derive(Debug, Serialize)]
pub struct VerifyRow {
    pub tckms: Figures,
    pub bare: Figures,
    /// Median over the rounds of bare / tckms within the round: the library's speed as a multiple of that of aws-lc-rs.
    pub speed: f64,
}

/// The figures of one configuration.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(flatten)]
    pub configuration: Configuration,
    pub tckms: Figures,
    pub bare: Figures,
    /// Median over the rounds of tckms / bare within the round.
    pub ratio: f64,
    pub signing: Figures,
    /// Median over the rounds of tckms / signing within the round.
    pub signing_ratio: f64,
    pub cpp_sdk_ratio: Option<f64>,
    pub without_wiping: Option<Figures>,
    /// Median over the rounds of tckms / without_wiping within the round.
    pub wiping_ratio: Option<f64>,
}

/// Medians over the rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Figures {
    pub cpu_us_per_call: f64,
    pub wall_us_per_call: f64,
}

/// Measures all configurations, and prints the current one on standard error.
pub fn run(artifacts: &Artifacts, options: &Options) -> Result<Measured> {
    let effort = if options.quick { plan::QUICK } else { plan::FULL };
    let server = Server::start(artifacts)?;
    let rows = plan::configurations().map(|configuration| {
        let Configuration { scheme, plaintext_len, threads } = configuration;
        eprintln!("measuring {} with {plaintext_len} bytes and {threads} threads", scheme.name());
        measure(&server, artifacts, configuration, effort)
    });
    let rows = rows.collect::<Result<_>>()?;
    let signed = plan::configurations().filter(|configuration| configuration.plaintext_len == DIGEST_LEN);
    let sign_rows = signed.map(|configuration| {
        eprintln!("measuring signatures over {} with {} threads", configuration.scheme.name(), configuration.threads);
        measure_signing(&server, &artifacts.shipped, configuration, effort)
    });
    let sign_rows = sign_rows.collect::<Result<_>>()?;
    eprintln!("measuring local verification");
    Ok(Measured { effort, rows, sign_rows, verify: measure_verification(&server, &artifacts.shipped, effort)? })
}

/// The length of a digest, and of the plaintexts of the Encrypt calls that signing is compared with.
const DIGEST_LEN: usize = 32;

fn measure_signing(server: &Server, library: &Path, configuration: Configuration, effort: Effort) -> Result<SignRow> {
    let library = library.to_owned();
    let encrypt = ClientKind::LibTckms { library: library.clone(), plaintext_len: DIGEST_LEN };
    let kinds = [ClientKind::SignDigest { library }, encrypt];
    let clients = kinds.into_iter().map(|kind| server.start_client(kind, configuration)).collect::<Result<Vec<_>>>()?;
    let series = alternate(clients, server.id(), effort)?;
    let (sign, encrypt) = (effort.figures(&series[0]), effort.figures(&series[1]));
    Ok(SignRow { configuration, sign, encrypt, ratio: paired_ratio(&series[0], &series[1]) })
}

fn measure_verification(server: &Server, library: &Path, effort: Effort) -> Result<VerifyRow> {
    let configuration = Configuration { scheme: Scheme::Http, plaintext_len: 0, threads: 1 };
    let kinds = [ClientKind::VerifyDigest { library: library.to_owned() }, ClientKind::BareVerify];
    let clients = kinds.into_iter().map(|kind| server.start_client(kind, configuration)).collect::<Result<Vec<_>>>()?;
    let series = alternate(clients, server.id(), effort)?;
    let (tckms, bare) = (effort.figures(&series[0]), effort.figures(&series[1]));
    Ok(VerifyRow { tckms, bare, speed: paired_ratio(&series[1], &series[0]) })
}

/// The server's process, and what its clients need to connect.
pub struct Server {
    ready: Ready,
    process: ChildProcess,
    ca_file: PathBuf,
}

impl Server {
    pub fn start(artifacts: &Artifacts) -> Result<Self> {
        let ca_file = artifacts.results.join("ca.pem");
        let ca_path = ca_file.to_str().ok_or("the target folder's name is not UTF-8")?;
        let mut process = ChildProcess::start(&["serve", ca_path])?;
        Ok(Self { ready: process.receive()?, process, ca_file })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Starts a client with one thread, whose replies the server delays.
    pub fn start_slow_client(&self, client: ClientKind) -> Result<ChildProcess> {
        let spec = Spec { client, endpoint: format!("http://{}", self.ready.slow), ca_file: None, threads: 1 };
        ChildProcess::start(&["work", &serde_json::to_string(&spec)?])
    }

    pub fn start_client(&self, client: ClientKind, configuration: Configuration) -> Result<ChildProcess> {
        let Configuration { scheme, threads, .. } = configuration;
        let (address, ca_file) = match scheme {
            Scheme::Http => (self.ready.http, None),
            Scheme::Https => (self.ready.https, Some(self.ca_file.clone())),
        };
        let spec = Spec { client, endpoint: format!("{}://{address}", scheme.name()), ca_file, threads };
        ChildProcess::start(&["work", &serde_json::to_string(&spec)?])
    }
}

fn measure(server: &Server, artifacts: &Artifacts, configuration: Configuration, effort: Effort) -> Result<Row> {
    let plaintext_len = configuration.plaintext_len;
    let libtckms = |library: &Path| ClientKind::LibTckms { library: library.to_owned(), plaintext_len };
    let RawRequest { head, body } = record::request(&artifacts.shipped, plaintext_len)?;
    let signing = ClientKind::SigningLoop { head: head.clone(), plaintext_len };
    let bare = ClientKind::BareLoop { head, body: String::from_utf8(body)? };
    let mut kinds = vec![libtckms(&artifacts.shipped), bare, signing];
    kinds.extend(artifacts.without_wiping.as_deref().map(libtckms));

    let clients = kinds.into_iter().map(|kind| server.start_client(kind, configuration)).collect::<Result<Vec<_>>>()?;
    let series = alternate(clients, server.id(), effort)?;
    let figures = |costs: &[Cost]| effort.figures(costs);
    Ok(Row {
        configuration,
        tckms: figures(&series[0]),
        bare: figures(&series[1]),
        ratio: paired_ratio(&series[0], &series[1]),
        signing: figures(&series[2]),
        signing_ratio: paired_ratio(&series[0], &series[2]),
        cpp_sdk_ratio: plan::cpp_sdk_ratio(configuration),
        without_wiping: series.get(3).map(|costs| figures(costs)),
        wiping_ratio: series.get(3).map(|costs| paired_ratio(&series[0], costs)),
    })
}

impl Effort {
    pub fn figures(self, costs: &[Cost]) -> Figures {
        let per_call = |time: fn(&Cost) -> Duration| {
            median(costs.iter().map(|cost| time(cost).as_secs_f64() * 1e6 / self.calls_per_round as f64))
        };
        Figures { cpu_us_per_call: per_call(|cost| cost.cpu), wall_us_per_call: per_call(|cost| cost.wall) }
    }
}

/// The costs of each client's rounds. The client that begins changes from round to round.
pub fn alternate(mut clients: Vec<ChildProcess>, server: u32, effort: Effort) -> Result<Vec<Vec<Cost>>> {
    for client in &mut clients {
        client.request::<Cost>(&effort.warm_up_calls)?;
    }
    let processes: Vec<_> = clients.iter().map(ChildProcess::id).chain([server]).collect();
    let rounds = quiet::rounds(effort.rounds, &processes, |round| -> Result<Vec<Cost>> {
        let mut costs = vec![Cost::default(); clients.len()];
        for turn in 0..clients.len() {
            let index = (round + turn) % clients.len();
            costs[index] = clients[index].request(&effort.calls_per_round)?;
        }
        Ok(costs)
    })?;
    Ok((0..clients.len()).map(|client| rounds.iter().map(|costs| costs[client]).collect()).collect())
}

/// The median of the ratios within the rounds. Other load usually lasts longer than a round, and so affects both costs of a ratio.
pub fn paired_ratio(ours: &[Cost], theirs: &[Cost]) -> f64 {
    median(ours.iter().zip(theirs).map(|(ours, theirs)| ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64()))
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_does_not_move_the_ratio() {
        let costs =
            |micros: [u64; 3]| micros.map(|micros| Cost { cpu: Duration::from_micros(micros), wall: Duration::ZERO });
        assert_eq!(paired_ratio(&costs([20, 900, 40]), &costs([10, 10, 20])), 2.0);
    }
}
