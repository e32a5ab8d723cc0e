//! Tests the built emulator as its users use it: over HTTP, with signed requests.

mod asymmetric;
mod citations;
mod credentials;
mod crypt;
mod data_keys;
mod deviations;
mod export;
mod faults;
mod import;
mod lifecycle;
mod listing;
mod post_quantum;
mod process;
mod protocol;
mod request_log;
mod support;
mod web_pages;
