use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::{io, thread};

/// An HTTP proxy that supports only CONNECT, and requires a password.
pub struct Proxy {
    address: String,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub const USER: &str = "user:p%40ssword";
    /// The same user in `Proxy-Authorization`.
    const AUTHORIZATION: &str = "Basic dXNlcjpwQHNzd29yZA==";

    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let requests = Arc::default();
        let record = Arc::clone(&requests);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record: Arc<Mutex<Vec<String>>> = Arc::clone(&record);
                // An error only means that one side has disconnected.
                thread::spawn(move || serve(client, &record));
            }
        });
        Self { address, scheme: "http", requests }
    }

    /// The same over TLS: a server in front of it terminates TLS. Its certificate is written to `certificate`.
    pub fn start_under_tls(certificate: &Path) -> Self {
        let plain = Self::start();
        let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate can be made");
        std::fs::write(certificate, key.cert.pem()).expect("the certificate can be written");
        let private = rustls_pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the versions are known")
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .expect("the certificate is valid");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let inner = plain.address;
        thread::spawn(move || terminate_tls(listener, Arc::new(config), &inner));
        Self { address, scheme: "https", ..plain }
    }

    pub fn url_for(&self, user: &str) -> String {
        format!("{}://{user}@{}", self.scheme, self.address)
    }

    /// The request lines of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn terminate_tls(listener: TcpListener, config: Arc<rustls::ServerConfig>, inner: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let listener = tokio::net::TcpListener::from_std(listener).expect("the runtime accepts the listener");
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, inner) = (acceptor.clone(), inner.to_owned());
            // An error only means that one side has disconnected.
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await?;
                let mut server = tokio::net::TcpStream::connect(inner).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
}

fn serve(mut client: TcpStream, record: &Mutex<Vec<String>>) -> io::Result<()> {
    let head: Vec<_> =
        BufReader::new(client.try_clone()?).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let request = head.first().cloned().unwrap_or_default();
    record.lock().unwrap().push(request.clone());
    if !head.contains(&format!("Proxy-Authorization: {}", Proxy::AUTHORIZATION)) {
        return client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        );
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let Some(Ok(server)) = target.map(TcpStream::connect) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || forward(from_client, to_server));
    forward(server, client)
}

fn forward(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
