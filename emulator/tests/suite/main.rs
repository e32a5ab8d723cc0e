//! Drives the built emulator as its users do: over HTTP, with signed requests.

mod asymmetric;
mod credentials;
mod crypt;
mod export;
mod faults;
mod lifecycle;
mod listing;
mod process;
mod protocol;
mod request_log;
mod structure;
mod support;
mod web_pages;
