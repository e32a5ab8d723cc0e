//! For the fuzz target: an emulator in the same process, with keys of every usage. Its runtime skips all waiting times.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base16ct::lower;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::behaviour::Behaviour;
use crate::clock::{Clock, utc_date};
use crate::emulator::Emulator;
use crate::faults::script::{self, Faults};
use crate::identity::auth::{hex_sha256, sign};
use crate::identity::host_check::HostCheck;
use crate::identity::issuer::Issuer;
use crate::identity::{Identities, KeyPair};
use crate::keys::CMK_LIMIT;
use crate::keys::key_usage::KeyUsage;
use crate::keys::{Keys, NewKey};
use crate::request_log::RequestLog;
use crate::server::Server;

/// Longer than any pause of a fault. The runtime's clock skips it as soon as no other task can run.
const LONGEST: Duration = Duration::from_secs(36_000);

/// A running emulator.
pub struct Target {
    runtime: Runtime,
    emulator: Arc<Emulator>,
    address: SocketAddr,
    credentials: KeyPair,
    /// A KeyId of each usage, in the order of [`KeyUsage::ALL`].
    key_ids: Vec<String>,
}

impl Target {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let clock = Arc::new(Clock::default());
        let keys = Keys::open(None, Arc::clone(&clock), CMK_LIMIT).expect("a store in memory");
        let key_ids = KeyUsage::ALL.into_iter().map(|usage| new_key(&keys, usage)).collect();
        let credentials = KeyPair::generate();
        let emulator = Arc::new(Emulator {
            region: "ap-guangzhou".to_owned(),
            tls: false,
            loopback: true,
            host_check: HostCheck::new(Vec::new()),
            clock,
            identities: Identities::default(),
            issuer: Issuer::default(),
            data_keys: keys.data_keys().expect("a store in memory"),
            keys,
            behaviour: Behaviour::default(),
            faults: Faults::default(),
            request_log: RequestLog::default(),
        });
        emulator.identities.add_long_term(credentials.clone());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(Server::new(Arc::clone(&emulator), None).run(listener, std::future::pending()));
        Self { runtime, emulator, address, credentials, key_ids }
    }

    /// Replaces the faults with a script. A script that is refused leaves no faults.
    pub fn set_faults(&self, text: &[u8]) {
        self.emulator.clear_faults();
        self.emulator.request_log.reset();
        if let Ok(entries) = script::parse(text, false) {
            // A script with too many entries is refused.
            let _ = self.emulator.set_faults(entries);
        }
    }

    /// Sends bytes over a new connection and returns the reply.
    pub fn send(&self, request: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut reply = Vec::new();
            let exchange = async {
                let mut stream = TcpStream::connect(self.address).await?;
                stream.write_all(request).await?;
                stream.read_to_end(&mut reply).await
            };
            // The exchange also ends with a reset, or with a request that stays incomplete.
            let _ = tokio::time::timeout(LONGEST, exchange).await;
            reply
        })
    }

    /// A signed request. `$0`, `$1` and so on are placeholders for the KeyIds of the emulator's keys.
    pub fn signed(&self, service: &str, version: &str, action: &str, query: &str, body: &str) -> Vec<u8> {
        let [query, body] = [query, body].map(|text| self.with_key_ids(text));
        let method = if query.is_empty() { "POST" } else { "GET" };
        let timestamp = self.emulator.clock.now();
        let date = utc_date(timestamp).unwrap_or_default();
        let host = self.address.to_string();
        let canonical = format!(
            "{method}\n/\n{query}\ncontent-type:application/json\nhost:{host}\n\ncontent-type;host\n{}",
            hex_sha256(body.as_bytes())
        );
        let scope = format!("{date}/{service}/tc3_request");
        let hash = hex_sha256(canonical.as_bytes());
        let to_sign = format!("TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hash}");
        let signature = sign(&self.credentials.secret_key, &date, service, &to_sign);
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=content-type;host, Signature={}",
            self.credentials.secret_id,
            lower::encode_string(signature.as_ref())
        );
        let target = if query.is_empty() { "/".to_owned() } else { format!("/?{query}") };
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nX-TC-Action: {action}\r\nX-TC-Version: {version}\r\nX-TC-Timestamp: {timestamp}\r\n\
             Authorization: {authorization}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn with_key_ids(&self, text: &str) -> String {
        let ids = self.key_ids.iter().enumerate();
        ids.fold(text.to_owned(), |text, (number, id)| text.replace(&format!("${number}"), id))
    }
}

impl Default for Target {
    fn default() -> Self {
        Self::new()
    }
}

fn new_key(keys: &Keys, usage: KeyUsage) -> String {
    let alias = usage.name().to_owned();
    let new = NewKey { alias, description: String::new(), usage, external: false, tags: Vec::new() };
    keys.create(new).expect("a key").key_id.clone()
}
