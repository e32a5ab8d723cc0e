//! No call lasts longer than it may, and one that is canceled ends at once, whatever it waits for.

use std::ffi::CString;
use std::net::{SocketAddr, TcpListener};
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use tckms::Status;
use tckms::ffi::*;

use super::api::Client;

const KEY_ID: &str = "93866e69-9755-11ef-8e65-52540089bc41";

/// A service that takes connections and never answers.
pub struct SilentService {
    listener: TcpListener,
}

impl SilentService {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepting = listener.try_clone().unwrap();
        thread::spawn(move || {
            let mut kept = Vec::new();
            while let Ok((connection, _)) = accepting.accept() {
                kept.push(connection);
            }
        });
        Self { listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub fn client(&self, change: impl FnOnce(*mut tckms_config)) -> Client {
        client_of(self.address(), |config| {
            let (id, key) = (c"AKIDexample", c"secret");
            ok(unsafe { tckms_config_set_credentials(config, id.as_ptr(), key.as_ptr(), ptr::null()) });
            change(config);
        })
    }
}

pub fn client_of(address: SocketAddr, change: impl FnOnce(*mut tckms_config)) -> Client {
    let mut client = ptr::null_mut();
    let endpoint = CString::new(format!("http://{address}")).unwrap();
    unsafe {
        let config = tckms_config_new();
        ok(tckms_config_set_region(config, c"ap-guangzhou".as_ptr()));
        ok(tckms_config_set_endpoint(config, endpoint.as_ptr()));
        change(config);
        ok(tckms_client_new(config, &mut client));
        tckms_config_free(config);
    }
    Client(client)
}

fn ok(status: Status) {
    assert_eq!(status, Status::Ok);
}

fn derived(client: &Client, timeout_ms: i64) -> Client {
    let mut out = ptr::null_mut();
    ok(unsafe { tckms_client_derive_timeout_ms(client.0, timeout_ms, &mut out) });
    Client(out)
}

fn encrypt(client: &Client) -> Status {
    let key_id = CString::new(KEY_ID).unwrap();
    let mut out = tckms_buffer { data: ptr::null_mut(), len: 0 };
    let status = unsafe { tckms_encrypt(client.0, key_id.as_ptr(), b"x".as_ptr().cast(), 1, ptr::null(), &mut out) };
    unsafe { tckms_buffer_free(&mut out) };
    status
}

/// How long a call goes on after it was canceled from another thread.
fn time_to_cancel(client: &Client, call: impl Fn(&Client) -> Status + Sync) -> Duration {
    let one_call = derived(client, 30_000);
    let took = thread::scope(|scope| {
        let calling = scope.spawn(|| call(&one_call));
        thread::sleep(Duration::from_millis(150));
        assert!(!calling.is_finished(), "the call did not wait: {:?}", calling.join());
        let begun = Instant::now();
        ok(unsafe { tckms_client_cancel(one_call.0) });
        assert_eq!(calling.join().unwrap(), Status::Canceled);
        begun.elapsed()
    });
    let begun = Instant::now();
    assert_eq!(call(&one_call), Status::Canceled, "later calls are refused");
    assert!(begun.elapsed() < Duration::from_millis(50));
    took
}

const AT_ONCE: Duration = Duration::from_millis(100);

#[test]
fn a_canceled_call_does_not_wait_for_its_reply() {
    let service = SilentService::start();
    assert!(time_to_cancel(&service.client(|_| {}), encrypt) < AT_ONCE);
}

#[test]
fn a_canceled_call_does_not_wait_for_the_rate_limit() {
    let service = SilentService::start();
    let client = service.client(|config| {
        ok(unsafe { tckms_config_set_rate_limit(config, 1, 1) });
        ok(unsafe { tckms_config_set_total_timeout_ms(config, 3_600_000) });
    });
    // Those before it have the tokens of the next seconds.
    for _ in 0..3 {
        assert_eq!(encrypt(&derived(&client, 1)), Status::TimedOut);
    }
    assert!(time_to_cancel(&client, encrypt) < AT_ONCE);
}

#[test]
fn a_canceled_call_does_not_wait_for_its_next_attempt() {
    // Nobody listens there, so each attempt fails at once, and the call is in a pause most of the time.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client_of(nobody, |config| unsafe {
        ok(tckms_config_set_credentials(config, c"AKIDexample".as_ptr(), c"secret".as_ptr(), ptr::null()));
        ok(tckms_config_set_max_attempts(config, 10));
    });
    assert!(time_to_cancel(&client, encrypt) < AT_ONCE);
}

#[test]
fn a_canceled_call_does_not_wait_for_credentials() {
    let (service, metadata) = (SilentService::start(), SilentService::start());
    let client = client_of(service.address(), |config| unsafe {
        let url = CString::new(format!("http://{}", metadata.address())).unwrap();
        ok(tckms_config_set_metadata_endpoint(config, url.as_ptr()));
        ok(tckms_config_set_cvm_role_credentials(config, c"role".as_ptr()));
    });
    // One call renews them and another one waits for that.
    thread::scope(|scope| {
        let first = scope.spawn(|| time_to_cancel(&client, encrypt));
        assert!(time_to_cancel(&client, encrypt) < AT_ONCE);
        assert!(first.join().unwrap() < AT_ONCE);
    });
}

#[test]
fn canceling_a_client_ends_those_derived_from_it_and_no_other() {
    let service = SilentService::start();
    let root = service.client(|_| {});
    let (parent, sibling) = (derived(&root, 200), derived(&root, 200));
    let child = derived(&parent, 200);
    ok(unsafe { tckms_client_cancel(parent.0) });
    assert_eq!(
        [&parent, &child, &sibling, &root].map(|client| encrypt(&derived(client, 200))),
        [Status::Canceled, Status::Canceled, Status::TimedOut, Status::TimedOut]
    );
    assert_eq!(unsafe { tckms_client_cancel(ptr::null()) }, Status::NullPointer);
    for out_of_range in [0, -1, 3_600_001, i64::MIN] {
        let mut out = ptr::dangling_mut();
        let status = unsafe { tckms_client_derive_timeout_ms(root.0, out_of_range, &mut out) };
        assert_eq!((status, out.is_null()), (Status::OutOfRange, true));
    }
}
