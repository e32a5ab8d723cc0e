//! The admin API under `/_admin/`: faults, received requests, key rotation, temporary credentials. README.md has
//! its reference.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::behaviour::Switches;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::faults::script;
use crate::http::Reply;
use crate::identity::host_check;
use crate::identity::issuer::{DEFAULT_LIFETIME, Settings};
use crate::keys::cmk::Cmk;

type Admin = State<Arc<Emulator>>;

/// The routes below `/_admin`.
pub fn routes(emulator: Arc<Emulator>) -> Router<Arc<Emulator>> {
    Router::new()
        .route("/faults", get(list_faults).put(set_faults).post(add_faults).delete(clear_faults))
        .route("/requests", get(list_requests).delete(forget_requests))
        .route("/keys/{key_id}/rotate", post(rotate_key))
        .route("/behaviour", get(show_behaviour).put(set_behaviour))
        .route("/credentials", get(credential_settings).put(set_credential_settings).post(issue_credentials))
        .layer(middleware::from_fn_with_state(emulator, refuse_web_pages))
}

async fn refuse_web_pages(State(emulator): Admin, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if let Some(reason) = emulator.host_check.refusal(&head, None) {
        return json_reply(StatusCode::FORBIDDEN, json!({ "error": reason }));
    }
    if !host_check::is_json(&head.method, &head.headers) {
        let reason = "POST and PUT need the header `Content-Type: application/json`";
        return json_reply(StatusCode::UNSUPPORTED_MEDIA_TYPE, json!({ "error": reason }));
    }
    next.run(Request::from_parts(head, body)).await
}

async fn list_faults(State(emulator): Admin) -> Response {
    fault_list(&emulator)
}

async fn set_faults(State(emulator): Admin, body: Bytes) -> Response {
    match script::parse(&body, emulator.tls).and_then(|entries| emulator.set_faults(entries)) {
        Ok(()) => fault_list(&emulator),
        Err(message) => refusal(&message),
    }
}

async fn add_faults(State(emulator): Admin, body: Bytes) -> Response {
    match script::parse(&body, emulator.tls).and_then(|entries| emulator.add_faults(entries)) {
        Ok(()) => fault_list(&emulator),
        Err(message) => refusal(&message),
    }
}

async fn clear_faults(State(emulator): Admin) -> Response {
    emulator.clear_faults();
    fault_list(&emulator)
}

fn fault_list(emulator: &Emulator) -> Response {
    json_reply(StatusCode::OK, json!({ "faults": emulator.faults.list(), "clock_shift": emulator.clock.shift() }))
}

async fn list_requests(State(emulator): Admin) -> Response {
    json_reply(StatusCode::OK, emulator.request_log.to_json())
}

async fn forget_requests(State(emulator): Admin) -> Response {
    emulator.request_log.reset();
    nothing()
}

async fn rotate_key(State(emulator): Admin, Path(key_id): Path<String>) -> Response {
    let rotated = tokio::task::spawn_blocking(move || emulator.keys.rotate(&key_id, Cmk::require_rotatable)).await;
    match rotated.unwrap_or_else(|panic| Err(ApiError::internal(panic))) {
        Ok(()) => nothing(),
        Err(error) => refusal(&format!("{}: {}", error.code, error.message)),
    }
}

async fn show_behaviour(State(emulator): Admin) -> Response {
    json_reply(StatusCode::OK, json!(emulator.behaviour.switches()))
}

async fn set_behaviour(State(emulator): Admin, body: Bytes) -> Response {
    match serde_json::from_slice::<Switches>(&body) {
        Ok(switches) => {
            emulator.behaviour.set(switches);
            show_behaviour(State(emulator)).await
        }
        Err(error) => refusal(&error.to_string()),
    }
}

async fn credential_settings(State(emulator): Admin) -> Response {
    json_reply(StatusCode::OK, json!(emulator.issuer.settings()))
}

async fn set_credential_settings(State(emulator): Admin, settings: Bytes) -> Response {
    let settings: Settings = match serde_json::from_slice(&settings) {
        Ok(settings) => settings,
        Err(error) => return refusal(&error.to_string()),
    };
    if let Err(message) = settings.validate() {
        return refusal(&message);
    }
    emulator.issuer.set(settings);
    credential_settings(State(emulator)).await
}

async fn issue_credentials(State(emulator): Admin) -> Response {
    json_reply(StatusCode::OK, json!(emulator.issue_credentials(DEFAULT_LIFETIME)))
}

fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

fn refusal(message: &str) -> Response {
    json_reply(StatusCode::BAD_REQUEST, json!({ "error": message }))
}

fn json_reply(status: StatusCode, body: Value) -> Response {
    Reply::new(status, "application/json", body.to_string()).into()
}
