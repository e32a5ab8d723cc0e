//! Records one request of the library, so that the bare loop can send the same bytes.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;

use crate::caller::{ClientKind, Cost, Spec};
use crate::error::Result;
use crate::http::{RawRequest, Requests};
use crate::process::ChildProcess;
use crate::server::ENCRYPT_REPLY;

/// The request that the library sends to encrypt a plaintext of this length.
pub fn request(library: &Path, plaintext_len: usize) -> Result<RawRequest> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let spec = Spec {
        client: ClientKind::LibTckms { library: library.to_owned(), plaintext_len },
        endpoint: format!("http://{}", listener.local_addr()?),
        ca_file: None,
        threads: 1,
    };
    let recorder = std::thread::spawn(move || record(&listener));
    let mut client = ChildProcess::start(&["work", &serde_json::to_string(&spec)?])?;
    client.request::<Cost>(&1)?;
    recorder.join().map_err(|_| "the thread that records the request panicked")?
}

fn record(listener: &TcpListener) -> Result<RawRequest> {
    let (stream, _) = listener.accept()?;
    let mut requests = Requests::new(stream);
    let request = requests.next()?.ok_or("the library closed its connection without a request")?;
    requests.stream_mut().write_all(&ENCRYPT_REPLY)?;
    Ok(request)
}
