//! TCP connections: to the first of a name's addresses that accepts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::sys::descriptor;

/// The delay before the next address is tried in parallel (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);
/// How many addresses are tried at the same time.
const AT_ONCE: usize = 4;

/// TCP keepalive: the idle time before the first probe …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// … and the interval between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_PROBES: u32 = 3;
/// A connection is closed if nothing was acknowledged for this long: the time of all the probes.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(8);

/// Connects to one of the addresses. The error is that of the first.
pub(crate) async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    match addresses[..] {
        [address] => connect_to(address).await,
        _ => connect_to_any(interleaved(addresses)).await,
    }
}

async fn connect_to_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut first_error = None;
    loop {
        let more = attempts.len() < AT_ONCE && addresses.len() > 0;
        if more && let Some(address) = addresses.next() {
            attempts.spawn(connect_to(address));
        }
        let wait = if attempts.len() < AT_ONCE && addresses.len() > 0 { STAGGER } else { Duration::MAX };
        match tokio::time::timeout(wait, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => first_error = first_error.or(Some(error)),
            Ok(Some(Err(panic))) => first_error = first_error.or(Some(io::Error::other(panic))),
            Ok(None) => return Err(first_error.unwrap_or_else(|| io::Error::other("the host has no address"))),
            Err(_) => {}
        }
    }
}

/// The addresses of both families alternately, beginning with the family of the first.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut ordered = Vec::with_capacity(preferred.len() + others.len());
    while preferred.len() + others.len() > 0 {
        ordered.extend(preferred.next());
        ordered.extend(others.next());
    }
    ordered
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    let socket = descriptor::above_standard(socket.into())?;
    set_options(&SockRef::from(&socket))?;
    TcpSocket::from_std_stream(std::net::TcpStream::from(socket)).connect(address).await
}

fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_get_their_turn() {
        let parse = |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let addresses = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"]);
        assert_eq!(interleaved(addresses), parse(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]));
    }
}
