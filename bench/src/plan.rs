//! What is measured, and what it is measured against.

use serde::Serialize;

/// The most that the library may cost, as a multiple of the bare loop.
pub const TARGET: f64 = 1.10;

/// The most that a call that signs with a key on P-256 may cost, with the verification, as a multiple of Encrypt.
pub const SIGN_TARGET: f64 = 1.5;
/// The least speed of a local verification, as a multiple of bare aws-lc-rs.
pub const VERIFY_TARGET: f64 = 0.9;

/// One row of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Configuration {
    pub scheme: Scheme,
    pub plaintext_len: usize,
    pub threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// How much is measured of each configuration.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Effort {
    /// Calls that open the connections and fill the caches, and do not count.
    pub warm_up_calls: usize,
    pub rounds: usize,
    pub calls_per_round: usize,
}

/// Short rounds, and many of them: other work on the machine comes and goes, and few of its changes then fall between
/// two clients' turns in one round.
pub const FULL: Effort = Effort { warm_up_calls: 2000, rounds: 51, calls_per_round: 600 };
pub const QUICK: Effort = Effort { warm_up_calls: 400, rounds: 9, calls_per_round: 400 };

pub fn configurations() -> impl Iterator<Item = Configuration> {
    [Scheme::Http, Scheme::Https].into_iter().flat_map(|scheme| {
        [32, 4096].into_iter().flat_map(move |plaintext_len| {
            [1, 8].into_iter().map(move |threads| Configuration { scheme, plaintext_len, threads })
        })
    })
}

/// The official C++ SDK (keep-alive switched on) as a multiple of `reqwest::blocking`, from a run in which the two were
/// measured side by side: CPU microseconds per call on a 2-core EPYC, see docs/performance.md.
///
/// There the reqwest loop also built, signed and parsed, which makes these ratios a little too kind to the SDK.
pub fn cpp_sdk_ratio(configuration: Configuration) -> Option<f64> {
    let Configuration { scheme, plaintext_len, threads } = configuration;
    let (sdk, reqwest) = match (scheme, plaintext_len, threads) {
        (Scheme::Http, 32, 1) => (63.0, 48.0),
        (Scheme::Https, 32, 1) => (73.0, 53.0),
        (Scheme::Https, 32, 8) => (44.0, 31.0),
        (Scheme::Https, 4096, 1) => (80.0, 56.0),
        (Scheme::Https, 4096, 8) => (56.0, 39.0),
        _ => return None,
    };
    Some(sdk / reqwest)
}
