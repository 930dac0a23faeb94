//! Deciding a tenant's part of a batch. Pure: state and commands in, rows and answers out.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::cache::Tenant;
use super::error::Error;
use super::handle::{Answer, Outcome};
use crate::audit::leaf;
use crate::audit::merkle::Frontier;
use crate::audit::row::Meta;
use crate::domain::codec;
use crate::domain::command::{Action, Command};
use crate::domain::decider::{Undecided, goods_named, handle, subject};
use crate::domain::event::{Recorded, Subject, stream_key};
use crate::domain::id::{CommandId, Position, TenantId};
use crate::domain::rejection::Refusal;
use crate::domain::time::Timestamp;
use crate::store::append::{Batch, EventRow};
use crate::store::command_log::QuietRow;

/// What is to be answered once the batch is durable.
#[derive(Debug)]
pub(super) struct Part {
    /// Per command of the part.
    pub(super) answers: Vec<Result<Answer, Error>>,
    /// The tree after it.
    pub(super) frontier: Frontier,
    /// Where the log stood before it.
    pub(super) expected: Position,
    /// Anything to write.
    pub(super) is_empty: bool,
}

/// Why a part could not be decided at all.
#[derive(Debug)]
pub(super) struct Stopped(pub(super) String);

/// Decides `commands` in order, folds their facts into the tenant's state and adds the rows to `batch`.
pub(super) fn decide(
    tenant: TenantId,
    state: &mut Tenant,
    commands: &[&Command],
    now: Timestamp,
    batch: &mut Batch,
) -> Result<Part, Stopped> {
    let expected = state.ledger.position();
    let mut part =
        Part { answers: Vec::with_capacity(commands.len()), frontier: state.frontier.clone(), expected, is_empty: true };
    let mut running: FxHashSet<CommandId> = FxHashSet::default();
    let mut scratch = Vec::with_capacity(256);
    for command in commands {
        if command.dry_run {
            let answer = try_out(state, command, now)?;
            part.answers.push(Ok(answer));
            continue;
        }
        if !running.insert(command.id) {
            part.answers.push(Err(Error::InProgress));
            continue;
        }
        part.is_empty = false;
        if command.steps.iter().any(|step| matches!(step, Action::ClosePeriod(_))) {
            state.ledger.witness(state.ledger.position(), part.frontier.root());
        }
        let outcome = match handle(&mut state.ledger, command, now) {
            Ok(events) if events.is_empty() => Outcome::Unchanged,
            Ok(events) => Outcome::Accepted { events },
            Err(Undecided::Refused(refusal)) => Outcome::Refused(refusal),
            Err(Undecided::Misfit(misfit)) => return Err(Stopped(misfit.to_string())),
        };
        match &outcome {
            Outcome::Accepted { events } => {
                let mut meta = Some(meta_of(command, events.len())?);
                for recorded in events {
                    let mut row = row_of(recorded, command, meta.take())?;
                    let leaf_hash = leaf_of(tenant, &row).hash(&mut scratch);
                    row.leaf_check = leaf::check(&leaf_hash);
                    part.frontier.push(leaf_hash);
                    batch.event(tenant, row);
                }
            }
            Outcome::Unchanged => quiet(tenant, state, command, None, batch)?,
            Outcome::Refused(refusal) => quiet(tenant, state, command, Some(refusal.clone()), batch)?,
        }
        part.answers.push(Ok(Answer { position: state.ledger.position(), replayed: false, outcome }));
    }
    if !part.is_empty {
        batch.head(tenant, expected, state.ledger.position(), state.ledger.recorded_at(), part.frontier.to_bytes());
    }
    Ok(part)
}

/// What a command would do, on the state as it is with the commands before it; nothing of it stays.
fn try_out(state: &mut Tenant, command: &Command, now: Timestamp) -> Result<Answer, Stopped> {
    let (mark, position) = (state.ledger.mark(), state.ledger.position());
    let outcome = match handle(&mut state.ledger, command, now) {
        Ok(events) if events.is_empty() => Outcome::Unchanged,
        Ok(events) => Outcome::Accepted { events },
        Err(Undecided::Refused(refusal)) => Outcome::Refused(refusal),
        Err(Undecided::Misfit(misfit)) => return Err(Stopped(misfit.to_string())),
    };
    state.ledger.rollback(mark);
    Ok(Answer { position, replayed: false, outcome })
}

fn quiet(
    tenant: TenantId,
    state: &Tenant,
    command: &Command,
    refusal: Option<Refusal>,
    batch: &mut Batch,
) -> Result<(), Stopped> {
    let (position, recorded_at) = (state.ledger.position(), state.ledger.now());
    let row = QuietRow { tenant, id: command.id, fingerprint: command.fingerprint, position, recorded_at };
    let bytes = row.encode(refusal).map_err(|e| Stopped(e.to_string()))?;
    batch.answer(row, bytes);
    Ok(())
}

fn meta_of(command: &Command, events: usize) -> Result<Vec<u8>, Stopped> {
    let metadata: BTreeMap<_, _> =
        (0_u32..).zip(&command.steps).filter_map(|(step, action)| Some((step, action.common().metadata?.clone()))).collect();
    let meta = Meta {
        events: u32::try_from(events).map_err(|e| Stopped(e.to_string()))?,
        context: (*command.context).clone(),
        metadata: (!metadata.is_empty()).then_some(metadata),
    };
    minicbor::to_vec(&meta).map_err(|e| Stopped(e.to_string()))
}

fn row_of(recorded: &Recorded, command: &Command, meta: Option<Vec<u8>>) -> Result<EventRow, Stopped> {
    let payload = codec::encode(&recorded.fact).map_err(|e| Stopped(e.to_string()))?;
    let is_first = recorded.stream_version == 1;
    Ok(EventRow {
        position: recorded.position,
        stream: recorded.stream,
        stream_version: recorded.stream_version,
        recorded_at: recorded.recorded_at,
        effective_at: recorded.fact.effective_at,
        type_number: codec::type_number(&recorded.fact.event),
        schema_version: codec::SCHEMA_VERSION,
        leaf_check: 0,
        payload,
        command: meta.map(|meta| (command.id, command.fingerprint, meta)),
        stream_key: is_first.then(|| stream_key(&recorded.fact.event.subject().to_string())),
    })
}

fn leaf_of(tenant: TenantId, row: &EventRow) -> leaf::Row<'_> {
    leaf::Row {
        tenant: tenant.0,
        position: row.position,
        stream: row.stream,
        stream_version: row.stream_version,
        recorded_at: row.recorded_at.0,
        effective_at: row.effective_at.map(|t| t.0),
        type_number: row.type_number,
        schema_version: row.schema_version,
        payload: &row.payload,
        command_id: row.command.as_ref().map(|(id, _, _)| &id.0),
        fingerprint: row.command.as_ref().map(|(_, fingerprint, _)| fingerprint),
        stream_key: row.stream_key.as_ref(),
        meta: row.command.as_ref().map(|(_, _, meta)| meta.as_slice()),
    }
}

/// Keys of the streams a command names that are not in memory: what is closed, or none at all.
pub(super) fn missing_streams(state: &Tenant, command: &Command) -> Vec<[u8; 16]> {
    // Nothing tells a dry run, which is not appended, that what it begins is there already.
    let of = |action| if command.dry_run { subject(action).filter(may_be_dropped) } else { named(action) };
    let subjects = command.steps.iter().filter_map(of);
    subjects.filter(|s| state.ledger.stream(s).version == 0).map(|s| stream_key(&s.to_string())).collect()
}

/// Positions of earlier events whose goods a command speaks of and that are not in memory.
pub(super) fn missing_goods(state: &Tenant, command: &Command) -> Vec<Position> {
    let positions = command.steps.iter().filter_map(goods_named);
    // A position that the log has not reached yet may become an event: nothing is known of it, not even that it moves
    // nothing.
    positions.filter(|p| *p > 0 && *p <= state.ledger.position() && state.ledger.goods(*p).is_none()).collect()
}

/// The stream an action needs that may have been dropped from memory. One that it begins needs nothing: should it be
/// there already, the append says so.
fn named(action: &Action) -> Option<Subject> {
    match action {
        Action::Reserve(_)
        | Action::PostEntry(_)
        | Action::RevalueCurrency(_)
        | Action::Expect(_)
        | Action::DispatchTransfer(_)
        | Action::OpenCount(_)
        | Action::AddCost(_) => None,
        Action::Receive(c) => c.expectation.clone().map(Subject::Expectation),
        another => subject(another).filter(may_be_dropped),
    }
}

/// Whether a stream is dropped from memory some time after it is closed.
const fn may_be_dropped(subject: &Subject) -> bool {
    match subject {
        Subject::Reservation(_)
        | Subject::Entry(_)
        | Subject::Expectation(_)
        | Subject::Transfer(_)
        | Subject::Count(_)
        | Subject::Person(_) => true,
        Subject::Tenant
        | Subject::Item(_)
        | Subject::Location(_)
        | Subject::Account(_)
        | Subject::PostingRule(..)
        | Subject::AccountSet(_)
        | Subject::Dimension(_)
        | Subject::TaxCode(_)
        | Subject::Periods
        | Subject::Goods(_) => false,
    }
}
