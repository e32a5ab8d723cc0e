use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::{io, thread};

/// An HTTP proxy that does nothing but tunnels, for those who know its password.
pub struct Proxy {
    address: String,
    asked_for: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub const USER: &str = "user:p%40ssword";
    /// The same as `Proxy-Authorization` has it.
    const AUTHORIZATION: &str = "Basic dXNlcjpwQHNzd29yZA==";

    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
        let address = listener.local_addr().expect("it has an address").to_string();
        let asked_for = Arc::default();
        let record = Arc::clone(&asked_for);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record: Arc<Mutex<Vec<String>>> = Arc::clone(&record);
                // That it ends with an error only means that somebody has gone.
                thread::spawn(move || serve(client, &record));
            }
        });
        Self { address, asked_for }
    }

    pub fn url_for(&self, user: &str) -> String {
        format!("http://{user}@{}", self.address)
    }

    /// The first lines of all requests so far.
    pub fn asked_for(&self) -> Vec<String> {
        self.asked_for.lock().unwrap().clone()
    }
}

fn serve(mut client: TcpStream, record: &Mutex<Vec<String>>) -> io::Result<()> {
    let head: Vec<_> =
        BufReader::new(client.try_clone()?).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let request = head.first().cloned().unwrap_or_default();
    record.lock().unwrap().push(request.clone());
    if !head.contains(&format!("Proxy-Authorization: {}", Proxy::AUTHORIZATION)) {
        return client
            .write_all(b"HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let Some(Ok(server)) = target.map(TcpStream::connect) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass_on(from_client, to_server));
    pass_on(server, client)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
