//! The way of a request through the emulator: noted, answered, and spoiled if a fault is waiting for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{Request, request};
use axum::response::Response;

use crate::actions::Answer;
use crate::auth::header;
use crate::emulator::Emulator;
use crate::faults::Fault;
use crate::http::{Reply, discard, read_body};
use crate::journal::{Record, field_names};
use crate::wire::{Step, Wire};
use crate::{envelope, gateway, metadata, random, spoil};

/// What a request handler knows of the connection it serves.
#[derive(Clone)]
pub struct Connection {
    pub peer: SocketAddr,
    pub wire: Wire,
}

impl Connection {
    /// Has `steps` played in place of a reply. The response returned only makes the HTTP layer flush.
    fn play(&self, steps: Vec<Step>) -> Response {
        self.wire.play(steps);
        Response::default()
    }
}

/// Answers any request to `/`: a call of the KMS or STS API.
pub async fn api(
    State(emulator): State<Arc<Emulator>>,
    Extension(connection): Extension<Connection>,
    request: Request<Body>,
) -> Response {
    enter(Door::Api, &emulator, &connection, request).await
}

/// Answers a request for the credentials of the machine's role.
pub async fn metadata(
    State(emulator): State<Arc<Emulator>>,
    Extension(connection): Extension<Connection>,
    request: Request<Body>,
) -> Response {
    enter(Door::Metadata, &emulator, &connection, request).await
}

/// Who is to answer.
#[derive(Clone, Copy)]
enum Door {
    Api,
    Metadata,
}

async fn enter(door: Door, emulator: &Arc<Emulator>, connection: &Connection, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let action = match door {
        Door::Api => header(&head.headers, "x-tc-action").unwrap_or_default(),
        Door::Metadata => metadata::ACTION,
    };
    let mut record = Record::new(action, connection.peer, &head, &random::request_id());
    let fault = emulator.faults.next_for_request(action).inspect(|fault| record.fault = Some(fault.kind()));
    let fault = fault.unwrap_or(Fault::Pass {});
    if let Some(limit) = fault.read_limit() {
        discard(body, limit).await;
        emulator.journal.push(record);
        return connection.play(vec![spoil::abrupt_end(&fault)]);
    }
    let reply = answer(door, emulator, &head, body, &fault, &mut record).await;
    deliver(emulator, connection, reply, &fault, record).await
}

/// Makes the reply to a request, and notes in `record` how it was answered.
async fn answer(
    door: Door,
    emulator: &Arc<Emulator>,
    head: &request::Parts,
    body: Body,
    fault: &Fault,
    record: &mut Record,
) -> Reply {
    let body = read_body(body).await;
    let params = gateway::params(head, body.as_deref().unwrap_or_default());
    record.fields = params.as_ref().map(|params| field_names(params.names())).unwrap_or_default();
    if matches!(fault, Fault::ExpireToken {}) {
        emulator.identities.expire(&record.secret_id);
    }
    if let Some(reply) = spoil::stand_in(fault) {
        return reply;
    }
    let answer = match (spoil::refusal(fault), door) {
        (Some(error), _) => Err(error),
        (None, Door::Metadata) => return metadata::answer(emulator, head),
        (None, Door::Api) => gateway::answer(emulator, head, body.as_deref(), params).await,
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

/// Sends a reply the way the fault wants it. It is noted before, for a client may give up waiting.
async fn deliver(
    emulator: &Emulator,
    connection: &Connection,
    reply: Reply,
    fault: &Fault,
    mut record: Record,
) -> Response {
    let reply = spoil::alter(fault, reply).dated_by(&emulator.clock);
    if !matches!(fault, Fault::CloseAfterReading {}) {
        record.status = Some(reply.status.as_u16());
    }
    emulator.journal.push(record);
    if let Fault::Delay { ms } = fault {
        tokio::time::sleep(Duration::from_millis(*ms)).await;
    }
    match spoil::script(fault, &reply) {
        Some(steps) => connection.play(steps),
        None => reply.into(),
    }
}
