//! The configurations that are measured, and the targets.

use serde::Serialize;

/// The most CPU time that a call may take, as a multiple of the bare loop's.
pub const TARGET: f64 = 1.10;

/// The most CPU time that a signature with a P-256 key may take, including its verification, as a multiple of Encrypt's.
pub const SIGN_TARGET: f64 = 1.5;
/// The least speed of a local verification, as a multiple of that of bare aws-lc-rs.
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

/// How many calls are measured in each configuration.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Effort {
    /// Calls before the first round, which open connections and fill caches.
    pub warm_up_calls: usize,
    pub rounds: usize,
    pub calls_per_round: usize,
}

/// Many short rounds: the shorter a round, the less often other load on the machine changes between the turns of two clients.
pub const FULL: Effort = Effort { warm_up_calls: 2000, rounds: 51, calls_per_round: 600 };
pub const QUICK: Effort = Effort { warm_up_calls: 400, rounds: 9, calls_per_round: 400 };

pub fn configurations() -> impl Iterator<Item = Configuration> {
    [Scheme::Http, Scheme::Https].into_iter().flat_map(|scheme| {
        [32, 4096].into_iter().flat_map(move |plaintext_len| {
            [1, 8].into_iter().map(move |threads| Configuration { scheme, plaintext_len, threads })
        })
    })
}

/// The CPU time of the official C++ SDK with keep-alive, as a multiple of that of `reqwest::blocking`. Both are from another run,
/// in CPU microseconds per call on a 2-core EPYC; see docs/performance.md.
///
/// In that run the reqwest loop also built, signed and parsed, so these ratios favour the SDK a little.
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
