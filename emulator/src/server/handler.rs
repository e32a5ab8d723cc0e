//! Handles a request: makes the reply, applies a matching fault, and logs both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{Request, request};
use axum::response::Response;

use crate::api::answer::Answer;
use crate::api::dispatch;
use crate::api::envelope;
use crate::api::metadata;
use crate::emulator::Emulator;
use crate::faults::apply;
use crate::faults::script::Fault;
use crate::faults::scripted_stream::{ReplyScript, Step};
use crate::http::{Reply, discard, header, read_body};
use crate::random;
use crate::request_log::{Record, field_names};

/// The connection of a request handler.
#[derive(Clone)]
pub struct Connection {
    pub peer: SocketAddr,
    pub script: ReplyScript,
}

impl Connection {
    /// Runs `steps` instead of sending a reply. The response that it returns only makes the HTTP layer flush.
    fn carry_out(&self, steps: Vec<Step>) -> Response {
        self.script.carry_out(steps);
        Response::default()
    }
}

/// Handles a request to `/`: a call of the KMS or STS API.
pub async fn api(
    State(emulator): State<Arc<Emulator>>,
    Extension(connection): Extension<Connection>,
    request: Request<Body>,
) -> Response {
    handle(Route::Api, &emulator, &connection, request).await
}

/// Handles a request for the credentials of the machine's role.
pub async fn metadata(
    State(emulator): State<Arc<Emulator>>,
    Extension(connection): Extension<Connection>,
    request: Request<Body>,
) -> Response {
    handle(Route::Metadata, &emulator, &connection, request).await
}

/// Which service a request is for.
#[derive(Clone, Copy)]
enum Route {
    Api,
    Metadata,
}

async fn handle(route: Route, emulator: &Arc<Emulator>, connection: &Connection, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let action = match route {
        Route::Api => header(&head.headers, "x-tc-action").unwrap_or_default(),
        Route::Metadata => metadata::ACTION,
    };
    let mut record = Record::new(action, connection.peer, &head, &random::request_id());
    let fault = emulator.faults.next_for_request(action).inspect(|fault| record.fault = Some(fault.kind()));
    let fault = fault.unwrap_or(Fault::Pass {});
    if let Some(limit) = fault.read_limit() {
        discard(body, limit).await;
        emulator.request_log.push(record);
        return connection.carry_out(vec![apply::abrupt_end(&fault)]);
    }
    let reply = answer(route, emulator, &head, body, &fault, &mut record).await;
    send(emulator, connection, reply, &fault, record).await
}

/// Makes the reply to a request, and records the result in `record`.
async fn answer(
    route: Route,
    emulator: &Arc<Emulator>,
    head: &request::Parts,
    body: Body,
    fault: &Fault,
    record: &mut Record,
) -> Reply {
    let body = read_body(body).await;
    let mut params = dispatch::params(head, body.as_deref().unwrap_or_default());
    if let Ok(params) = &mut params {
        params.signature_flaw = fault.signature_flaw();
    }
    record.fields = params.as_ref().map(|params| field_names(params.names())).unwrap_or_default();
    if matches!(fault, Fault::ExpireToken {}) {
        emulator.identities.expire(&record.secret_id);
    }
    if let Some(reply) = apply::replacement(fault) {
        return reply;
    }
    let answer = match (apply::refusal(fault), route) {
        (Some(error), _) => Err(error),
        (None, Route::Metadata) => return metadata::answer(emulator, head),
        (None, Route::Api) => dispatch::answer(emulator, head, body.as_deref(), params).await,
    };
    record.code = Some(code(&answer).to_owned());
    if let Err(error) = &answer {
        log::info!("{}: {}: {}", record.request_id, error.code, error.message);
    }
    Reply::json(envelope::wrap(answer, &record.request_id))
}

fn code(answer: &Answer) -> &str {
    match answer {
        Ok(_) => "OK",
        Err(error) => &error.code,
    }
}

/// Sends a reply as the fault requires. The request is logged first, because the client may stop waiting.
async fn send(
    emulator: &Emulator,
    connection: &Connection,
    reply: Reply,
    fault: &Fault,
    mut record: Record,
) -> Response {
    let reply = apply::alter(fault, reply).dated_by(&emulator.clock);
    if !matches!(fault, Fault::CloseAfterReading {}) {
        record.status = Some(reply.status.as_u16());
    }
    emulator.request_log.push(record);
    if let Fault::Delay { ms } = fault {
        tokio::time::sleep(Duration::from_millis(*ms)).await;
    }
    match apply::script(fault, &reply) {
        Some(steps) => connection.carry_out(steps),
        None => reply.into(),
    }
}
