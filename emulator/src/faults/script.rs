//! Scripts of faults: the kinds of faults, and the queue of pending ones.

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One fault; README.md describes the effect of each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    // On one request:
    Pass {},
    Delay {
        ms: u64,
    },
    CloseBeforeReading {},
    ResetRequest {
        after_bytes: usize,
    },
    CloseAfterReading {},
    ResetReply {
        after_bytes: usize,
    },
    TruncateBody {
        keep_bytes: usize,
    },
    DelayBody {
        ms: u64,
        after_bytes: Option<usize>,
    },
    Drip {
        bytes: NonZeroUsize,
        every_ms: u64,
    },
    ContentLength {
        value: usize,
    },
    Chunked {
        bytes: NonZeroUsize,
    },
    Gzip {},
    Status {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        body: String,
    },
    BadGateway {},
    Garbage {
        body: Option<String>,
    },
    NoResponse {},
    Error {
        code: String,
        #[serde(default)]
        message: String,
    },
    ReplaceFields {
        fields: Map<String, Value>,
    },
    TruncateField {
        field: String,
        keep: usize,
    },
    Pad {
        bytes: usize,
    },
    ExpireToken {},
    Signature {
        flaw: SignatureFlaw,
    },
    PublicKeyPem {
        flaw: PemFlaw,
    },

    // On one connection:
    CloseConnection {},
    CutHandshake {},
    Certificate {
        flaw: Flaw,
    },

    // Active until removed:
    Throttle {
        per_second: u32,
    },
    ClockShift {
        seconds: i64,
    },
}

/// A flaw of a server certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    Expired,
    WrongHost,
    UnknownCa,
}

/// A flaw of a signature of SignByAsymmetricKey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureFlaw {
    /// r and s concatenated, not DER.
    Raw,
    OtherKey,
    PssNoSalt,
    PssLongestSalt,
}

/// A flaw of the PublicKeyPem of GetPublicKey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PemFlaw {
    /// Line ends are a backslash and an n.
    EscapedLineEnds,
    /// The body is base64 of the base64.
    DoubleBase64,
}

/// The target of a fault.
#[derive(Debug, PartialEq, Eq)]
enum Scope {
    Request,
    Connection,
    UntilRemoved,
}

impl Fault {
    fn scope(&self) -> Scope {
        match self {
            Self::CloseConnection {} | Self::CutHandshake {} | Self::Certificate { .. } => Scope::Connection,
            Self::Throttle { .. } | Self::ClockShift { .. } => Scope::UntilRemoved,
            _ => Scope::Request,
        }
    }

    /// Whether the fault only makes sense where connections begin with a TLS handshake.
    fn needs_tls(&self) -> bool {
        matches!(self, Self::CutHandshake {} | Self::Certificate { .. })
    }

    /// How much of the request's body is read before the connection ends; None if all of it is read.
    pub fn read_limit(&self) -> Option<usize> {
        match self {
            Self::CloseBeforeReading {} => Some(0),
            Self::ResetRequest { after_bytes } => Some(*after_bytes),
            _ => None,
        }
    }

    /// The flaw that the fault adds to a signature.
    pub fn signature_flaw(&self) -> Option<SignatureFlaw> {
        match self {
            Self::Signature { flaw } => Some(*flaw),
            _ => None,
        }
    }

    /// The fault's name in scripts.
    pub fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["kind"].as_str().unwrap_or_default().to_owned()
    }
}

/// Longest delay, in milliseconds.
const MAX_MS: u64 = 3_600_000;

/// Largest reply that padding can make.
const MAX_PADDING: u64 = 64 << 20;

/// The limit of other counts of bytes or characters. Nothing of this length is ever allocated.
const MAX_COUNT: u64 = 1 << 40;

/// The largest shift of the clock, in seconds: a century, so that every date can be printed.
const MAX_CLOCK_SHIFT: i64 = 3_155_760_000;

const MAX_PER_SECOND: u64 = 1_000_000;

/// How often one entry may act.
const MAX_TIMES: u64 = 1_000_000;

/// Most entries that are pending or active.
const MAX_ENTRIES: usize = 10_000;

impl Fault {
    /// The fault's numbers, by their names in scripts, each with its largest value.
    fn numbers(&self) -> Vec<(&'static str, u64, u64)> {
        let ms = |value: u64| ("ms", value, MAX_MS);
        let count = |name: &'static str, value: usize| (name, value as u64, MAX_COUNT);
        match self {
            Self::Delay { ms: pause } => vec![ms(*pause)],
            Self::DelayBody { ms: pause, after_bytes } => {
                vec![ms(*pause), count("after_bytes", after_bytes.unwrap_or_default())]
            }
            Self::Drip { bytes, every_ms } => vec![count("bytes", bytes.get()), ("every_ms", *every_ms, MAX_MS)],
            Self::ResetRequest { after_bytes } | Self::ResetReply { after_bytes } => {
                vec![count("after_bytes", *after_bytes)]
            }
            Self::TruncateBody { keep_bytes } => vec![count("keep_bytes", *keep_bytes)],
            Self::TruncateField { keep, .. } => vec![count("keep", *keep)],
            Self::ContentLength { value } => vec![count("value", *value)],
            Self::Chunked { bytes } => vec![count("bytes", bytes.get())],
            Self::Pad { bytes } => vec![("bytes", *bytes as u64, MAX_PADDING)],
            Self::Throttle { per_second } => vec![("per_second", u64::from(*per_second), MAX_PER_SECOND)],
            Self::ClockShift { seconds } => vec![("seconds", seconds.unsigned_abs(), MAX_CLOCK_SHIFT.unsigned_abs())],
            _ => Vec::new(),
        }
    }
}

/// One entry of a script.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The action of the requests that it acts on, or `*` for all requests.
    #[serde(default = "any_action")]
    action: String,
    fault: Fault,
    /// How many requests, or connections, it acts on.
    #[serde(default = "once")]
    times: NonZeroU32,
}

fn any_action() -> String {
    ANY_ACTION.to_owned()
}

fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

const ANY_ACTION: &str = "*";

impl Entry {
    fn matches(&self, action: &str) -> bool {
        self.action == ANY_ACTION || self.action == action
    }

    /// Returns the reason if the entry cannot be used; `tls` says whether connections begin with a TLS handshake.
    fn validate(&self, tls: bool) -> Result<(), String> {
        let kind = self.fault.kind();
        if self.fault.needs_tls() && !tls {
            return Err(format!("{kind} needs an emulator started with --tls"));
        }
        let per_action = self.fault.scope() == Scope::Request || matches!(self.fault, Fault::Throttle { .. });
        if !per_action && self.action != ANY_ACTION {
            return Err(format!("{kind} cannot be bound to an action"));
        }
        let times = ("times", u64::from(self.times.get()), MAX_TIMES);
        let numbers = self.fault.numbers();
        if let Some((name, _, most)) = numbers.iter().chain([&times]).find(|(_, value, most)| value > most) {
            return Err(format!("`{name}` of {kind} can be {most} at most"));
        }
        match &self.fault {
            Fault::Status { status, headers, .. } => validate_status(*status, headers),
            _ => Ok(()),
        }
    }
}

fn validate_status(status: u16, headers: &BTreeMap<String, String>) -> Result<(), String> {
    if !(200..=599).contains(&status) {
        return Err(format!("{status} is not a final HTTP status"));
    }
    let is_wrong = |name: &str, value: &str| !is_settable(name) || HeaderValue::try_from(value).is_err();
    match headers.iter().find(|(name, value)| is_wrong(name, value)) {
        Some((name, _)) => Err(format!("`{name}` is not a header that can be set, or its value is invalid")),
        None => Ok(()),
    }
}

/// Whether a script may set this header. The framing of a body has its own faults.
fn is_settable(name: &str) -> bool {
    HeaderName::try_from(name).is_ok_and(|name| ![CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name))
}

/// Reads a script: a JSON list of entries.
pub fn parse(script: &[u8], tls: bool) -> Result<Vec<Entry>, String> {
    let entries: Vec<Entry> = serde_json::from_slice(script).map_err(|error| error.to_string())?;
    entries.iter().try_for_each(|entry| entry.validate(tls))?;
    Ok(entries)
}

/// The pending and the active faults.
#[derive(Default)]
pub struct Faults(Mutex<State>);

#[derive(Default)]
struct State {
    pending: VecDeque<Entry>,
    throttles: Vec<Throttle>,
}

/// A limit on matching requests, counted in windows of one second.
struct Throttle {
    entry: Entry,
    per_second: u32,
    window_start: Instant,
    count: u32,
}

impl Faults {
    /// Appends entries. Returns the last clock shift among them, which the caller sets.
    pub fn append(&self, entries: Vec<Entry>) -> Result<Option<i64>, String> {
        let mut state = self.state();
        if state.pending.len() + state.throttles.len() + entries.len() > MAX_ENTRIES {
            return Err(format!("a script has at most {MAX_ENTRIES} entries"));
        }
        let mut shift = None;
        for entry in entries {
            match entry.fault {
                Fault::ClockShift { seconds } => shift = Some(seconds),
                Fault::Throttle { per_second } => {
                    state.throttles.push(Throttle { entry, per_second, window_start: Instant::now(), count: 0 })
                }
                _ => state.pending.push_back(entry),
            }
        }
        Ok(shift)
    }

    /// Removes everything.
    pub fn clear(&self) {
        *self.state() = State::default();
    }

    /// The pending faults and the active throttles.
    pub fn list(&self) -> Vec<Entry> {
        let state = self.state();
        state.pending.iter().chain(state.throttles.iter().map(|throttle| &throttle.entry)).cloned().collect()
    }

    /// The fault of a request for `action`: a throttle that it exceeds, else the first pending fault for such
    /// a request.
    pub fn next_for_request(&self, action: &str) -> Option<Fault> {
        let mut state = self.state();
        let mut throttles = state.throttles.iter_mut().filter(|throttle| throttle.entry.matches(action));
        throttles
            .find_map(|throttle| (!throttle.admits()).then(|| throttle.entry.fault.clone()))
            .or_else(|| state.take(|entry| entry.fault.scope() == Scope::Request && entry.matches(action)))
    }

    /// Takes the first pending fault for a connection.
    pub fn next_for_connection(&self) -> Option<Fault> {
        self.state().take(|entry| entry.fault.scope() == Scope::Connection)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<Fault> {
        let index = self.pending.iter().position(wanted)?;
        let entry = &mut self.pending[index];
        match NonZeroU32::new(entry.times.get() - 1) {
            Some(left) => {
                entry.times = left;
                Some(entry.fault.clone())
            }
            None => self.pending.remove(index).map(|entry| entry.fault),
        }
    }
}

impl Throttle {
    fn admits(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.window_start) >= Duration::from_secs(1) {
            self.window_start = now;
            self.count = 0;
        }
        self.count += 1;
        self.count <= self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(script: &str) -> Faults {
        let faults = Faults::default();
        faults.append(parse(script.as_bytes(), true).unwrap()).unwrap();
        faults
    }

    fn next(faults: &Faults, action: &str) -> Option<String> {
        faults.next_for_request(action).map(|fault| fault.kind())
    }

    #[test]
    fn each_request_takes_the_first_entry_that_matches() {
        let faults = faults(
            r#"[
                {"action": "Encrypt", "fault": {"kind": "garbage"}, "times": 2},
                {"action": "*", "fault": {"kind": "pass"}},
                {"action": "Decrypt", "fault": {"kind": "gzip"}}
            ]"#,
        );
        assert_eq!(next(&faults, "Encrypt").as_deref(), Some("garbage"));
        assert_eq!(next(&faults, "Decrypt").as_deref(), Some("pass"));
        assert_eq!(next(&faults, "Encrypt").as_deref(), Some("garbage"));
        assert_eq!(next(&faults, "Encrypt"), None);
        assert_eq!(next(&faults, "Decrypt").as_deref(), Some("gzip"));
        assert_eq!(next(&faults, "Decrypt"), None);
    }

    #[test]
    fn connections_and_requests_do_not_take_each_others_faults() {
        let faults = faults(r#"[{"fault": {"kind": "cut_handshake"}}, {"fault": {"kind": "pass"}}]"#);
        assert_eq!(next(&faults, "Encrypt").as_deref(), Some("pass"));
        assert!(matches!(faults.next_for_connection(), Some(Fault::CutHandshake {})));
        assert!(faults.next_for_connection().is_none());
    }

    #[test]
    fn a_throttle_limits_requests_in_each_second_until_it_is_removed() {
        let faults = faults(r#"[{"action": "Encrypt", "fault": {"kind": "throttle", "per_second": 2}}]"#);
        let four = || [(); 4].map(|()| next(&faults, "Encrypt").is_some());
        assert_eq!(four(), [false, false, true, true]);
        assert_eq!(next(&faults, "Decrypt"), None);
        faults.state().throttles[0].window_start -= Duration::from_secs(1);
        assert_eq!(four(), [false, false, true, true]);
        faults.clear();
        assert_eq!(four(), [false; 4]);
    }

    #[test]
    fn scripts_with_mistakes_are_refused() {
        for bad in [
            r#"{}"#,
            r#"[{"fault": {"kind": "no_such_fault"}}]"#,
            r#"[{"fault": {"kind": "pass", "ms": 1}}]"#,
            r#"[{"fault": {"kind": "delay"}}]"#,
            r#"[{"fault": {"kind": "delay", "ms": 1, "s": 1}}]"#,
            r#"[{"fault": {"kind": "pass"}, "times": 0}]"#,
            r#"[{"fault": {"kind": "pass"}, "more": 1}]"#,
            r#"[{"fault": {"kind": "status", "status": 101}}]"#,
            r#"[{"fault": {"kind": "status", "status": 200, "headers": {"a b": "c"}}}]"#,
            r#"[{"fault": {"kind": "drip", "bytes": 0, "every_ms": 1}}]"#,
            r#"[{"fault": {"kind": "status", "status": 200, "headers": {"Content-Length": "5"}}}]"#,
            r#"[{"fault": {"kind": "status", "status": 200, "headers": {"transfer-encoding": "chunked"}}}]"#,
            r#"[{"action": "Encrypt", "fault": {"kind": "clock_shift", "seconds": 1}}]"#,
            r#"[{"action": "Encrypt", "fault": {"kind": "close_connection"}}]"#,
        ] {
            assert!(parse(bad.as_bytes(), true).is_err(), "{bad}");
        }
        let tls_only = br#"[{"fault": {"kind": "certificate", "flaw": "expired"}}]"#;
        assert!(parse(tls_only, true).is_ok() && parse(tls_only, false).is_err());
    }

    /// Each fault with numbers, and the largest value of each.
    const NUMBERS: [(&str, i128); 14] = [
        (r#""delay", "ms": N"#, MAX_MS as i128),
        (r#""delay_body", "ms": N"#, MAX_MS as i128),
        (r#""delay_body", "ms": 1, "after_bytes": N"#, MAX_COUNT as i128),
        (r#""drip", "bytes": N, "every_ms": 1"#, MAX_COUNT as i128),
        (r#""drip", "bytes": 1, "every_ms": N"#, MAX_MS as i128),
        (r#""chunked", "bytes": N"#, MAX_COUNT as i128),
        (r#""pad", "bytes": N"#, MAX_PADDING as i128),
        (r#""reset_request", "after_bytes": N"#, MAX_COUNT as i128),
        (r#""reset_reply", "after_bytes": N"#, MAX_COUNT as i128),
        (r#""truncate_body", "keep_bytes": N"#, MAX_COUNT as i128),
        (r#""truncate_field", "field": "x", "keep": N"#, MAX_COUNT as i128),
        (r#""content_length", "value": N"#, MAX_COUNT as i128),
        (r#""throttle", "per_second": N"#, MAX_PER_SECOND as i128),
        (r#""clock_shift", "seconds": N"#, MAX_CLOCK_SHIFT as i128),
    ];

    #[test]
    fn every_number_is_bounded() {
        for (fault, most) in NUMBERS {
            let is_accepted = |value: i128| {
                let fault = fault.replace('N', &value.to_string());
                parse(format!(r#"[{{"fault": {{"kind": {fault}}}}}]"#).as_bytes(), true).is_ok()
            };
            assert!(is_accepted(most) && is_accepted(1), "{fault}");
            let too_large = [most + 1, i64::MAX.into(), i64::MIN.into(), u64::MAX.into(), i128::from(u64::MAX) + 1];
            for value in too_large {
                assert!(!is_accepted(value), "{fault}: {value}");
            }
        }
        assert!(parse(br#"[{"fault": {"kind": "pass"}, "times": 1000001}]"#, true).is_err());
    }

    #[test]
    fn the_script_is_bounded() {
        let entry: Entry = serde_json::from_str(r#"{"fault": {"kind": "pass"}}"#).unwrap();
        let faults = Faults::default();
        faults.append(vec![entry.clone(); MAX_ENTRIES]).unwrap();
        assert!(faults.append(vec![entry]).is_err());
        assert_eq!(faults.list().len(), MAX_ENTRIES);
    }
}
