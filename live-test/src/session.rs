//! A connection to the service under test, and the keys that questions need.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tckms::{Client, Config, Error};

use crate::cases::{Case, Needs};
use crate::cli::Options;

/// The most requests that one run sends.
const REQUESTS_MAX: u32 = 300;
/// How many requests a typed call sends at most, with those for the public key and the usage of a key.
const REQUESTS_OF_A_CALL: u32 = 3;
/// How often one request is sent at most.
const ATTEMPTS_MAX: u32 = 2;
/// What deleting the keys and the data key of a run takes: two requests for each.
const CLEAN_UP_REQUESTS: u32 = 2 * 10;
/// How many requests the questions may send, so that a typed call and the clean-up stay below the limit.
const QUESTIONS_MAX: u32 = REQUESTS_MAX - ATTEMPTS_MAX * (REQUESTS_OF_A_CALL + CLEAN_UP_REQUESTS);
/// The most requests a second.
const RATE: u32 = 5;
/// How many requests are sent at once where that is allowed.
const BURST: u32 = 120;
/// The action of those requests: it only reads, and concerns no key.
const BURST_ACTION: &str = "GetServiceStatus";

/// The result of a question.
pub enum Answer {
    /// The observed behaviour.
    Observed(String),
    /// The question was not asked, with the reason.
    NotAllowed(String),
    /// The question could not be answered, because the service could not be reached or permission is missing.
    Failed(String),
}

/// The entry among the keys by usage for the key with imported material.
const EXTERNAL: &str = "EXTERNAL";

/// One run.
pub struct Session {
    client: Client,
    /// A client without a rate limit and without retries.
    burst_client: Client,
    symmetric: Option<String>,
    allow_changes: bool,
    allow_burst: bool,
    last_date: Option<SystemTime>,
    requests: u32,
    prefix: String,
    /// By usage.
    keys: BTreeMap<&'static str, String>,
    data_key: Option<String>,
}

/// The result of one request: the object under `Response`, or the service's error code.
pub type Reply = Result<Value, String>;

impl Session {
    pub fn new(options: &Options) -> tckms::Result<Self> {
        let mut config = Config::from_env()?;
        config.set_max_attempts(ATTEMPTS_MAX)?;
        let mut without_limit = config.clone();
        without_limit.set_max_attempts(1)?;
        without_limit.set_max_connections(BURST)?;
        if !options.unlimited {
            config.set_rate_limit(RATE, 1)?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Ok(Self {
            client: Client::new(&config)?,
            burst_client: Client::new(&without_limit)?,
            symmetric: options.key_id.clone(),
            allow_changes: options.allow_changes,
            allow_burst: options.allow_burst,
            last_date: None,
            requests: 0,
            prefix: format!("tckms-live-test-{now}"),
            keys: BTreeMap::new(),
            data_key: None,
        })
    }

    /// Asks one question, if this run has the permission.
    pub fn run(&mut self, case: &Case) -> Answer {
        let missing = match case.needs {
            Needs::Nothing => None,
            Needs::SymmetricKey if self.symmetric.is_some() || self.allow_changes => None,
            Needs::SymmetricKey => Some("it needs --key-id or --allow-changes"),
            Needs::Changes if self.allow_changes => None,
            Needs::Changes => Some("it needs --allow-changes"),
            Needs::Burst if self.allow_burst => None,
            Needs::Burst => Some("it needs --allow-burst"),
        };
        match missing {
            Some(reason) => Answer::NotAllowed(reason.to_owned()),
            None => (case.run)(self).map_or_else(Answer::Failed, Answer::Observed),
        }
    }

    /// Sends one action. A reply of the service, including one of its errors, is `Ok`; any other failure ends the question.
    pub fn send(&mut self, action: &str, request: &Value) -> Result<Reply, String> {
        if self.requests() >= QUESTIONS_MAX {
            return Err(format!("the run has sent {} requests, and may send {REQUESTS_MAX} in all", self.requests()));
        }
        self.requests += 1;
        match self.client.call(action, &request.to_string()) {
            Ok(response) => {
                self.last_date = response.service_time;
                serde_json::from_slice(response.json.expose()).map(Ok).map_err(|error| error.to_string())
            }
            Err(error) => {
                self.last_date = error.service_time();
                code_of(&error).map(Err)
            }
        }
    }

    /// Sends one action that has to succeed for the question to be meaningful.
    pub fn expect(&mut self, action: &str, request: &Value) -> Result<Value, String> {
        self.send(action, request)?.map_err(|code| format!("{action} was refused with {code}"))
    }

    /// "OK", or the code of the refusal.
    pub fn outcome(&mut self, action: &str, request: &Value) -> Result<String, String> {
        Ok(self.send(action, request)?.map_or_else(|code| code, |_| "OK".to_owned()))
    }

    /// The first refusal among many requests that are sent at once.
    pub fn burst(&mut self) -> Result<String, String> {
        if self.requests() + BURST > QUESTIONS_MAX {
            return Err(format!("the run has too few of its {REQUESTS_MAX} requests left"));
        }
        self.requests += BURST;
        let client = &self.burst_client;
        let refusals = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..BURST).map(|_| scope.spawn(|| client.call(BURST_ACTION, "{}").err())).collect();
            calls.into_iter().filter_map(|call| call.join().ok().flatten()).collect::<Vec<_>>()
        });
        let Some(first) = refusals.first() else { return Ok(format!("{BURST} were answered")) };
        let code = first.service_code().map_or_else(|| first.to_string(), str::to_owned);
        Ok(format!("{code}, HTTP status {}", first.http_status().unwrap_or_default()))
    }

    /// The `Date` of the last reply.
    pub fn last_date(&self) -> Option<SystemTime> {
        self.last_date
    }

    /// A symmetric CMK.
    pub fn symmetric_key(&mut self) -> Result<String, String> {
        match &self.symmetric {
            Some(key_id) => Ok(key_id.clone()),
            None => self.key("ENCRYPT_DECRYPT"),
        }
    }

    /// The CMK of this usage. The run creates it once.
    pub fn key(&mut self, usage: &'static str) -> Result<String, String> {
        if let Some(key_id) = self.keys.get(usage) {
            return Ok(key_id.clone());
        }
        let key_id = self.new_key(usage)?;
        self.keys.insert(usage, key_id.clone());
        Ok(key_id)
    }

    /// "OK", or the code of the refusal of a CMK of this usage.
    pub fn key_outcome(&mut self, usage: &'static str) -> Result<String, String> {
        let created = self.send("CreateKey", &json!({"Alias": self.alias(usage), "KeyUsage": usage}))?;
        created.map_or_else(Ok, |reply| {
            self.keys.insert(usage, new_key_id(&reply)?);
            Ok("OK".to_owned())
        })
    }

    /// The CMK for imported material. The run creates it once.
    pub fn external_key(&mut self) -> Result<String, String> {
        if let Some(key_id) = self.keys.get(EXTERNAL) {
            return Ok(key_id.clone());
        }
        let key_id = self.create(&json!({"Alias": self.alias(EXTERNAL), "Type": 2}))?;
        self.keys.insert(EXTERNAL, key_id.clone());
        Ok(key_id)
    }

    /// The hosted data key. The run creates it once.
    pub fn data_key(&mut self) -> Result<String, String> {
        if let Some(id) = &self.data_key {
            return Ok(id.clone());
        }
        let request = json!({"KeyId": self.key("ENCRYPT_DECRYPT")?, "NumberOfBytes": 32, "IsHostedByKms": 1,
            "DataKeyName": self.alias("data-key")});
        let reply = self.expect("GenerateDataKey", &request)?;
        let id = reply["DataKeyId"].as_str().ok_or("the reply to GenerateDataKey has no DataKeyId")?.to_owned();
        self.data_key = Some(id.clone());
        Ok(id)
    }

    fn new_key(&mut self, usage: &str) -> Result<String, String> {
        self.create(&json!({"Alias": self.alias(usage), "KeyUsage": usage}))
    }

    fn create(&mut self, request: &Value) -> Result<String, String> {
        new_key_id(&self.expect("CreateKey", request)?)
    }

    /// An alias that no other run uses.
    pub fn alias(&self, name: &str) -> String {
        format!("{}-{}", self.prefix, name.replace('_', "-").to_lowercase()).chars().take(60).collect()
    }

    /// For a typed call, which sends a few requests.
    pub fn client(&mut self) -> Client {
        self.requests += REQUESTS_OF_A_CALL;
        self.client.clone()
    }

    /// How many requests were sent, at most.
    pub fn requests(&self) -> u32 {
        self.requests.saturating_add(u32::try_from(self.client.stats().retries).unwrap_or(u32::MAX))
    }

    /// Schedules every key of this run for deletion. A key for which this fails is reported, so that it can be deleted by hand.
    pub fn clean_up(&mut self) {
        if let Some(data_key) = self.data_key.take() {
            self.requests += 2;
            let _ = self.client.call("DisableDataKey", &json!({"DataKeyId": data_key}).to_string());
            let request = json!({"DataKeyId": data_key, "PendingWindowInDays": 7});
            if let Err(error) = self.client.call("ScheduleDataKeyDeletion", &request.to_string()) {
                eprintln!("tckms-live-test: the data key {data_key} has to be deleted by hand: {error}");
            }
        }
        for (usage, key_id) in std::mem::take(&mut self.keys) {
            self.requests += 2;
            // One without material cannot be disabled, and need not be.
            let _ = self.client.disable_key(&key_id);
            let removed = self.client.schedule_key_deletion(&key_id, 7);
            if let Err(error) = removed {
                eprintln!("tckms-live-test: the key {key_id} ({usage}) has to be deleted by hand: {error}");
            }
        }
    }
}

fn new_key_id(reply: &Value) -> Result<String, String> {
    reply["KeyId"].as_str().map(str::to_owned).ok_or_else(|| "CreateKey gave no KeyId".to_owned())
}

/// The service's own code; a failure that is not about this question otherwise.
pub fn code_of(error: &Error) -> Result<String, String> {
    match error.service_code() {
        Some(code) if !code.starts_with("AuthFailure") && !code.starts_with("UnauthorizedOperation") => {
            Ok(code.to_owned())
        }
        _ => Err(error.to_string()),
    }
}
