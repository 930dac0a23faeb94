//! People: their data lie beside the log, which holds an opaque id and a commitment.
//!
//! **Shape**: store data and salt → record the commitment → make the stored row final; for an erasure: mark → record →
//! remove. Either runs in a task of its own to its end, whether or not the client waits; [`ledger_core::store::person`] says why it is
//! whole however it is cut off.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::command::{Action, Metadata};
use ledger_core::domain::id::{CommandId, PersonId, ReasonCode, TenantId, Text};
use ledger_core::domain::limit::{PERSON_PAIRS_MAX, TEXT_BYTES_MAX};
use ledger_core::domain::person::command::{ErasePerson, RecordPerson};
use ledger_core::domain::person::commitment::{Salt, canonical, commitment};
use ledger_core::domain::rejection::{Refusal, Rejection};
use ledger_core::domain::time::Timestamp;
use ledger_core::pipeline::{Answer, Outcome};
use ledger_core::store::person::{self as kept, Begun};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::answer::{self, Form, Manner};
use super::{Body, BodyOrNone, Caller, command, fill};
use crate::openapi::{CommandAnswers, CommandHeaders, PersonResult};
use crate::path::Named;
use crate::problem::{Fault, Flaw, Problem};
use crate::state::Api;

/// All that is to be known of a person. The log gets none of `data`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutPerson {
    /// When it happened in the world; the recording time if absent.
    #[serde(default)]
    #[schema(nullable = false)]
    effective_at: Option<Timestamp>,
    /// The caller's document. It stays in the log: nothing personal belongs here.
    #[serde(default)]
    #[schema(nullable = false)]
    reference: Option<Text>,
    /// Why, as a code.
    #[serde(default)]
    #[schema(nullable = false)]
    reason: Option<ReasonCode>,
    /// The stream version the caller decided on; 0 means the stream must not exist.
    #[serde(default)]
    #[schema(nullable = false)]
    expected_version: Option<u64>,
    /// Free pairs, kept with the command. They stay in the log: nothing personal belongs here.
    #[serde(default)]
    #[schema(nullable = false, value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// The person; the path says it.
    #[serde(default)]
    id: PersonId,
    /// Free texts by name, 1 to 64: name, address, whatever must be erasable.
    #[schema(schema_with = pairs_schema, required = true)]
    data: Metadata,
}

fn pairs_schema() -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(TEXT_BYTES_MAX));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(text))
        .min_properties(Some(1))
        .max_properties(Some(PERSON_PAIRS_MAX))
        .description(Some("Free texts by name, 1 to 64: name, address, whatever must be erasable"))
}

/// Records who a person is
///
/// All of the data; the same again changes nothing. Data and a random salt lie beside the log, which gets the id and a
/// commitment: SHA-256 over the deterministic CBOR (RFC 8949) of `["ledgerd-person-1", tenant, id, salt, data]`. The id stays
/// for ever, so it must tell nothing: a random one, not an e-mail address. Where other calls take a name (`owner`, `party`),
/// give them the id. An erased person is not recorded again.
#[utoipa::path(put, path = "/v1/people/{id}", tag = "People",
    params(("id" = PersonId, Path, description = "The person"), CommandHeaders),
    request_body = PutPerson, responses(CommandAnswers<PersonResult>))]
pub(crate) async fn put_person(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<PersonId>,
    mut body: Body<PutPerson>,
) -> Result<Response, Problem> {
    fill(&mut body.value.id, id)?;
    caller.expect_version(&mut body.value.expected_version)?;
    if body.value.data.is_empty() || body.value.data.len() > PERSON_PAIRS_MAX {
        let detail = format!("from 1 to {PERSON_PAIRS_MAX} pairs are taken");
        return Err(Problem::malformed(Flaw { pointer: "/data".into(), detail }));
    }
    let dry_run = caller.dry_run;
    let answer = to_its_end(record(api, caller, body.value)).await?;
    answer::respond(answer, Manner { form: Form::Single, dry_run })
}

async fn record(api: Api, caller: Caller, body: PutPerson) -> Result<Answer, Problem> {
    let (tenant, id, person) = (caller.tenant, caller.id, body.id.clone());
    let data = canonical(&body.data).map_err(|_| internal())?;
    let begun = match caller.dry_run {
        true => tried(&api, tenant, &person, &data).await?,
        false => begun(&api, tenant, &person, id, &data).await?,
    };
    let salt = match begun {
        Begun::With(salt) => salt,
        Begun::Erased => return Err(refused(Rejection::PersonErased { person })),
        Begun::Differs => return Err(refused(Rejection::CommandIdReused)),
    };
    let commitment = commitment(tenant, &person, &salt, &data).map_err(|_| internal())?;
    let step = Action::RecordPerson(RecordPerson {
        effective_at: body.effective_at,
        reference: body.reference,
        reason: body.reason,
        expected_version: body.expected_version,
        metadata: body.metadata,
        id: person.clone(),
        commitment,
    });
    let dry_run = caller.dry_run;
    let answer = api.pipeline.submit(tenant, command(id, caller.context, vec![step], dry_run)).await?;
    if !dry_run {
        let pool = api.pool.clone();
        let settled = api.detached(async move { kept::settle(&pool, tenant, &person, id).await }).await;
        // What the log says is answered all the same; the row is looked at again by the sweep.
        if let Err(problem) = settled {
            tracing::warn!(status = %problem.status(), "what is kept of a person was not settled");
        }
    }
    Ok(answer)
}

async fn begun(api: &Api, tenant: TenantId, person: &PersonId, id: CommandId, data: &[u8]) -> Result<Begun, Problem> {
    let (pool, person, data) = (api.pool.clone(), person.clone(), data.to_vec());
    api.detached(async move { kept::begin(&pool, tenant, &person, id, &data).await }).await
}

/// What a call would find: nothing of it stays.
async fn tried(api: &Api, tenant: TenantId, person: &PersonId, data: &[u8]) -> Result<Begun, Problem> {
    let (pool, person, data) = (api.pool.clone(), person.clone(), data.to_vec());
    let salt: Option<Salt> = api.detached(async move { kept::salt_for(&pool, tenant, &person, &data).await }).await?;
    Ok(salt.map_or(Begun::Erased, Begun::With))
}

/// Erases a person
///
/// Needs a `reason`. Data and salts of every version are gone when this is answered, and then nothing can tell what the
/// commitments in the log were made of; the log, its hashes and its proofs are as before. Backups of the database keep what
/// they hold until they are thrown away. The id is not free again.
#[utoipa::path(delete, path = "/v1/people/{id}", tag = "People",
    params(("id" = PersonId, Path, description = "The person"), CommandHeaders),
    request_body = ErasePerson, responses(CommandAnswers<PersonResult>))]
pub(crate) async fn erase_person(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<PersonId>,
    BodyOrNone(mut body): BodyOrNone<ErasePerson>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    caller.expect_version(&mut body.expected_version)?;
    let dry_run = caller.dry_run;
    let answer = to_its_end(erase(api, caller, body)).await?;
    answer::respond(answer, Manner { form: Form::Single, dry_run })
}

async fn erase(api: Api, caller: Caller, body: ErasePerson) -> Result<Answer, Problem> {
    let (tenant, person, dry_run) = (caller.tenant, body.id.clone(), caller.dry_run);
    if !dry_run {
        let (pool, person) = (api.pool.clone(), person.clone());
        api.detached(async move { kept::mark_erasure(&pool, tenant, &person).await }).await?;
    }
    let command = command(caller.id, caller.context, vec![Action::ErasePerson(body)], dry_run);
    let answer = api.pipeline.submit(tenant, command).await?;
    let is_erased = match &answer.outcome {
        Outcome::Accepted { .. } | Outcome::Refused(Refusal { rejection: Rejection::PersonErased { .. }, .. }) => true,
        Outcome::Unchanged | Outcome::Refused(_) => false,
    };
    if is_erased && !dry_run {
        // Not answered before it is so: asked again with the same key, this is done again.
        let pool = api.pool.clone();
        api.detached(async move { kept::erase(&pool, tenant, &person).await }).await?;
    }
    Ok(answer)
}

/// Runs in a task of its own: a client that goes away must not leave half of it.
async fn to_its_end<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Problem>> + Send + 'static,
{
    tokio::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a command about a person ended before its time");
        Err(internal())
    })
}

fn refused(rejection: Rejection) -> Problem {
    Problem::refused(&Refusal { step: None, rejection }, false)
}

fn internal() -> Problem {
    Problem::new(Fault::Internal, Fault::Internal.sentence())
}
