//! The server: connections, request handling, the admin API, TLS.

mod admin;
mod connection;
mod handler;
pub mod tls;

pub use connection::Server;
