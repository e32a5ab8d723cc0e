//! The server: connections, the way of a request, the admin API, TLS.

mod admin;
mod connection;
mod handler;
pub mod tls;

pub use connection::Server;
