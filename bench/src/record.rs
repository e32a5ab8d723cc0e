//! Catches one request of the library, so that the bare loop can send the very same bytes.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;

use crate::caller::{ClientKind, Cost, Spec};
use crate::error::Result;
use crate::http::{RawRequest, Requests};
use crate::process::ChildProcess;
use crate::server::ANSWER;

/// What the library sends to encrypt a plaintext of so many bytes.
pub fn request(library: &Path, plaintext_len: usize) -> Result<RawRequest> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let spec = Spec {
        client: ClientKind::LibTckms { library: library.to_owned(), plaintext_len },
        endpoint: format!("http://{}", listener.local_addr()?),
        ca_file: None,
        threads: 1,
    };
    let catcher = std::thread::spawn(move || catch(&listener));
    let mut client = ChildProcess::start(&["work", &serde_json::to_string(&spec)?])?;
    client.request::<Cost>(&1)?;
    catcher.join().map_err(|_| "the catcher of the request panicked")?
}

fn catch(listener: &TcpListener) -> Result<RawRequest> {
    let (stream, _) = listener.accept()?;
    let mut requests = Requests::new(stream);
    let request = requests.next()?.ok_or("the library closed its connection")?;
    requests.stream_mut().write_all(&ANSWER)?;
    Ok(request)
}
