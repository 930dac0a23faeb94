//! People: what lies beside the log, proven by what is in it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderValue, header as names};
use axum::response::Response;
use ledger_core::domain::event::Event;
use ledger_core::domain::id::{PersonId, TenantId};
use ledger_core::domain::person::commitment::{commitment, read};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::person::{Found, Kept, find};
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::hex;
use super::{Reading, Version, corrupt};
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonBody {
    /// The person.
    id: String,
    /// `recorded` or `erased`.
    status: &'static str,
    /// As recorded; absent once erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    data: Option<BTreeMap<String, String>>,
    /// That these are the data that were recorded; absent once erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    proof: Option<PersonProof>,
    /// When the log learnt of the newest data, or of the erasure.
    recorded_at: Timestamp,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Version of its stream: what `If-Match` takes.
    stream_version: i64,
    /// The event that says so.
    position: i64,
}

/// With it anybody can compute the commitment again: SHA-256 over the deterministic CBOR (RFC 8949) of
/// `["ledgerd-person-1", tenant, id, salt, data]`. That the event at `position` holds it, an inclusion proof shows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonProof {
    /// The tenant's number.
    tenant: i64,
    /// 32 bytes in hexadecimal; nobody else has them.
    salt: String,
    /// 32 bytes in hexadecimal, as the event holds them.
    commitment: String,
}

/// Shows a person
///
/// With the proof that these are the data that were recorded, or that they are erased. Read from the log itself: the answer
/// includes everything committed before it was asked for. It is never cached.
#[utoipa::path(get, path = "/v1/people/{id}", tag = "People",
    params(("id" = PersonId, Path, description = "The person"), ReadHeaders), responses(ReadAnswer<PersonBody>))]
pub(crate) async fn get_person(
    State(api): State<Api>,
    reading: Reading,
    Named(id): Named<PersonId>,
) -> Result<Response, Problem> {
    let (pool, tenant, person) = (api.pool.clone(), reading.tenant, id.clone());
    let found = api.detached(async move {
        let found = find(&pool, tenant, &person).await?;
        found
            .map(|found| body(tenant, &person, &found).map(|body| (found.as_of, body)).ok_or_else(|| corrupt("person_data")))
            .transpose()
    });
    let (as_of, body) = found.await?.ok_or_else(|| Problem::unknown(Rejection::UnknownPerson { person: id }))?;
    let mut response = reading.show(as_of, Version::Stream(body.stream_version), &body)?;
    response.headers_mut().insert(names::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `None` where what lies beside the log is not what the log says.
fn body(tenant: TenantId, person: &PersonId, found: &Found) -> Option<PersonBody> {
    let recorded = &found.newest.recorded;
    let (status, shown) = match (&recorded.fact.event, &found.kept) {
        (Event::PersonErased(_), _) => ("erased", None),
        (Event::PersonRecorded(event), Some(Kept { salt, data })) => {
            let made = commitment(tenant, person, salt, data).ok()?;
            let pairs = read(data).filter(|_| made == event.commitment)?;
            let pairs = pairs.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            ("recorded", Some((pairs, PersonProof { tenant: tenant.0, salt: hex(&salt.0), commitment: made.to_string() })))
        }
        _without_its_data => return None,
    };
    let (data, proof) = shown.unzip();
    Some(PersonBody {
        id: person.to_string(),
        status,
        data,
        proof,
        recorded_at: recorded.recorded_at,
        reason: recorded.fact.note.reason.as_ref().map(ToString::to_string),
        stream_version: recorded.stream_version,
        position: recorded.position,
    })
}
