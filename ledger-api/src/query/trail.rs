//! Who did what: events by actor, document, reason, conversation, type, stream and time, the newest first.
//!
//! **Shape**: what leads to the fewest events leads: a stream, or runs of 256 events that mention the words asked for
//! ([`Search::fitting`]); their rows are read ([`store::trail`]) and each is looked at ([`Wanted::is_met`]).
//! **Correctness**: 1. Runs only say where to look; what is answered is decided on the events themselves. 2. What the trail
//! does not have yet, the newest events, is looked through whole. So a page leaves nothing out down to `looked_to`, however
//! far the trail is behind. 3. Everything is read from one snapshot. 4. One page looks at a bounded number of events; where
//! that was not enough its cursor goes on from there, also when it found nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::Response;
use ledger_core::domain::id::{Position, ReasonCode, TenantId, Text};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::store::read::{self, Raw, StoredCommand};
use ledger_core::store::trail::Deed;
use ledger_core::view::trail::{Mention, RUN, run_of, run_start, words};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, Row};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::moment::{Since, Until};
use super::page::Place;
use super::{Reading, Version, event_type, replica};
use crate::limit::{EVENTS_SCANNED_MAX, TRAIL_RUNS_AT_ONCE, TRAIL_RUNS_LOOKED_AT_MAX};
use crate::openapi::{LinkedAnswer, ReadHeaders};
use crate::path::Asked;
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// A snapshot that nothing is written in.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What to look for; an event is found when all of it fits.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrailQuery {
    /// Who asked, such as `key:<id of an API key>`.
    #[param(value_type = Option<String>, nullable = false, max_length = 256)]
    actor: Option<Text>,
    /// The caller's document.
    #[param(value_type = Option<String>, nullable = false, max_length = 256)]
    reference: Option<Text>,
    /// Why, as a code.
    #[param(value_type = Option<String>, nullable = false, max_length = 64)]
    reason: Option<ReasonCode>,
    /// `X-Correlation-Id` of the commands.
    #[param(value_type = Option<String>, nullable = false, max_length = 256)]
    correlation: Option<Text>,
    /// What happened.
    #[param(schema_with = event_type::schema, required = false)]
    r#type: Option<String>,
    /// What it happened to, such as `item-ABC`.
    #[param(max_length = 256, nullable = false)]
    stream: Option<String>,
    /// Recorded at this instant or later; or a day (UTC).
    #[param(value_type = Option<Since>, nullable = false)]
    from: Option<Since>,
    /// Recorded at this instant or earlier; or a day (UTC).
    #[param(value_type = Option<Until>, nullable = false)]
    to: Option<Until>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// Something somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrailEntry {
    /// Place in the tenant's log.
    position: i64,
    /// When the log accepted it.
    recorded_at: Timestamp,
    /// When it happened in the world.
    effective_at: Timestamp,
    /// What happened.
    #[schema(schema_with = event_type::schema)]
    r#type: &'static str,
    /// What it happened to.
    stream: String,
    /// Place in the stream.
    version: i64,
    /// The command that did it: an identity made of the caller's idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, example = "018f8e3a-0000-0000-0000-000000000000", nullable = false)]
    command: Option<Uuid>,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    actor: Option<Text>,
    /// The caller's document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reference: Option<Text>,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reason: Option<ReasonCode>,
    /// What ties the commands of one conversation together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    correlation: Option<Text>,
    /// W3C trace context of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    traceparent: Option<Text>,
}

/// A page of what was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrailPage {
    /// The newest first.
    data: Vec<TrailEntry>,
    /// Everything after this position that fits is in this page or one before it.
    looked_to: i64,
    /// Where the next page begins; absent when everything was looked at. A page may be short, or empty, and have a next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

/// Searches for who did what
///
/// Events that fit all of the filters, the newest first. Actors, documents, reasons and conversations are found at once
/// wherever they are in the log; other filters look through it, 10,000 events or so per page. The answer is complete up to
/// `Ledger-Position`, which is where the log ended when it was asked.
#[utoipa::path(get, path = "/v1/audit/trail", tag = "Audit", operation_id = "search_trail",
    params(TrailQuery, ReadHeaders), responses(LinkedAnswer<TrailPage>))]
pub(crate) async fn search_trail(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<TrailQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let place = Place::new(&reading, &uri, &scope(&query), query.limit)?;
    let upto = place.after::<Position>(query.cursor.as_deref())?;
    let rows = place.rows();
    let wanted = Wanted::try_from(query)?;
    // What a later page may show was in the log when the first one was read.
    let replica = match upto.or(reading.position_min) {
        Some(position) => reading.log_at(&api, position).await,
        None => None,
    };
    let (tenant, wanted) = (reading.tenant, Arc::new(wanted));
    let read = |pool| find(pool, tenant, Arc::clone(&wanted), upto, rows);
    let found = replica::of_log(&api, replica, |_| true, read).await?;
    let next_cursor = found.is_more.then(|| place.cursor(&found.looked_to)).flatten();
    let link = next_cursor.as_deref().and_then(|cursor| place.link(cursor));
    let body = TrailPage { data: found.entries, looked_to: found.looked_to, next_cursor };
    let mut response = reading.show(found.head, Version::Body, &body)?;
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The filters, for the cursor.
fn scope(query: &TrailQuery) -> String {
    let unpaged = TrailQuery { limit: None, cursor: None, ..query.clone() };
    format!("{unpaged:?}")
}

/// What to look for, checked.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// The first leads to the fewest events.
    words: Vec<(Mention, String)>,
    r#type: Option<String>,
    stream: Option<String>,
    from: Option<Since>,
    to: Option<Until>,
}

impl TryFrom<TrailQuery> for Wanted {
    type Error = Problem;

    fn try_from(query: TrailQuery) -> Result<Self, Problem> {
        if let Some(name) = query.r#type.as_deref().filter(|name| !event_type::is_known(name)) {
            return Err(Problem::new(Fault::ParameterInvalid, format!("there is no event type {name:?}")));
        }
        let words = [
            query.reference.map(|t| (Mention::Reference, t.to_string())),
            query.correlation.map(|t| (Mention::Correlation, t.to_string())),
            query.reason.map(|r| (Mention::Reason, r.to_string())),
            query.actor.map(|t| (Mention::Actor, t.to_string())),
        ];
        let words = words.into_iter().flatten().collect();
        Ok(Self { words, r#type: query.r#type, stream: query.stream, from: query.from, to: query.to })
    }
}

impl Wanted {
    /// The stream to follow: a document or a conversation leads to fewer events than a stream, a reason or an actor to more.
    fn leading_stream(&self) -> Option<&str> {
        let is_rare = |(kind, _): &(Mention, String)| matches!(kind, Mention::Reference | Mention::Correlation);
        self.stream.as_deref().filter(|_| !self.words.first().is_some_and(is_rare))
    }

    /// The event, if it is wanted. Words are looked at first, because they need no more than the row's last bytes.
    fn is_met(&self, deed: &Deed) -> Result<Option<TrailEntry>, store::Error> {
        let (row, command) = (&deed.row, deed.command.as_deref());
        let note = row.note()?;
        let context = command.map(|c| c.meta.context.clone()).unwrap_or_default();
        let has = |(kind, word): &(Mention, String)| words(&context, &note).any(|(k, w)| k == *kind && w == word);
        let r#type = event_type::name(row.type_number);
        if !self.words.iter().all(has) || self.r#type.is_some() && self.r#type.as_deref() != r#type {
            return Ok(None);
        }
        let event = row.decode()?.recorded.fact.event;
        let stream = event.subject().to_string();
        if self.stream.as_ref().is_some_and(|wanted| *wanted != stream) {
            return Ok(None);
        }
        Ok(Some(TrailEntry {
            position: row.position,
            recorded_at: row.recorded_at,
            effective_at: row.effective_at.unwrap_or(row.recorded_at),
            r#type: event.type_name(),
            stream,
            version: row.stream_version,
            command: command.map(|StoredCommand { id, .. }| Uuid::from_bytes(id.0)),
            actor: context.actor,
            reference: note.reference,
            reason: note.reason,
            correlation: context.correlation_id,
            traceparent: context.traceparent,
        }))
    }
}

/// What a page found.
struct Found {
    entries: Vec<TrailEntry>,
    /// Where the log ended.
    head: Position,
    looked_to: Position,
    is_more: bool,
}

/// A page: at most `rows` entries of the positions up to `upto`.
async fn find(
    pool: PgPool,
    tenant: TenantId,
    wanted: Arc<Wanted>,
    upto: Option<Position>,
    rows: usize,
) -> Result<Found, store::Error> {
    let mut tx = pool.begin_with(SNAPSHOT).await?;
    let head = read::head(&mut *tx, tenant).await?.map_or(0, |head| head.position);
    let low = match wanted.from {
        Some(Since(from)) => read::position_before(&mut *tx, tenant, from).await?,
        None => 0,
    };
    let high = match wanted.to {
        Some(Until(to)) => read::position_before(&mut *tx, tenant, Timestamp(to.0.saturating_add(1))).await?,
        None => head,
    };
    let indexed: Option<Position> = sqlx::query_scalar("SELECT position FROM trail_cursor WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_optional(&mut *tx)
        .await?;
    let mut search = Search {
        tenant,
        wanted,
        low,
        top: high.min(upto.unwrap_or(head)).min(head),
        indexed_runs: run_of(indexed.unwrap_or(0).saturating_add(1)),
        fitting: VecDeque::new(),
        floor: None,
        at_once: 1,
    };
    let found = search.page(&mut tx, rows).await?;
    tx.commit().await?;
    let (entries, looked_to) = found;
    Ok(Found { entries, head, looked_to, is_more: looked_to > low })
}

/// A search under way, from the newest event down.
struct Search {
    tenant: TenantId,
    wanted: Arc<Wanted>,
    /// Nothing at or before this is wanted.
    low: Position,
    /// Everything after this was looked at.
    top: Position,
    /// Runs before this one are in the trail.
    indexed_runs: i64,
    /// Runs that mention every word, newest first, not looked at yet.
    fitting: VecDeque<i64>,
    /// Beside those no run from this one up to where they were asked for mentions every word.
    floor: Option<i64>,
    /// Runs to read next: more each time, because a word that is everywhere fills its page from the first.
    at_once: usize,
}

impl Search {
    /// Entries, and how far down they leave nothing out.
    async fn page(&mut self, db: &mut PgConnection, rows: usize) -> Result<(Vec<TrailEntry>, Position), store::Error> {
        let (mut entries, mut scanned) = (Vec::new(), 0_i64);
        while self.top > self.low && entries.len() < rows && scanned < EVENTS_SCANNED_MAX {
            let (deeds, next_top) = self.next(db).await?;
            scanned = scanned.saturating_add(i64::try_from(deeds.len()).unwrap_or(i64::MAX)).saturating_add(1);
            for deed in deeds.iter().rev().filter(|d| self.is_open(&d.row)) {
                if let Some(entry) = self.wanted.is_met(deed)? {
                    if entries.len() == rows {
                        // Looked at, and left for the next page.
                        return Ok((entries, deed.row.position));
                    }
                    entries.push(entry);
                }
            }
            self.top = next_top;
        }
        Ok((entries, self.top.max(self.low)))
    }

    /// Whether a row is in the span that is still to be looked at.
    const fn is_open(&self, row: &Raw) -> bool {
        row.position <= self.top && row.position > self.low
    }

    /// The next events to look at, in order, and how far down that was everything there is.
    async fn next(&mut self, db: &mut PgConnection) -> Result<(Vec<Deed>, Position), store::Error> {
        if let Some(stream) = self.wanted.leading_stream() {
            let deeds = store::trail::stream_upto(db, self.tenant, stream, self.top, RUN).await?;
            let is_all = i64::try_from(deeds.len()).is_ok_and(|n| n < RUN);
            let first = deeds.first().filter(|_| !is_all).map_or(self.low, |d| d.row.position.saturating_sub(1));
            return Ok((deeds, first));
        }
        let last = run_of(self.top);
        let (runs, rest) = match self.wanted.words.is_empty() || last >= self.indexed_runs {
            true => self.neighbours(last),
            false => self.fitting(db, last).await?,
        };
        self.at_once = self.at_once.saturating_mul(2).min(TRAIL_RUNS_AT_ONCE);
        let deeds = if runs.is_empty() { Vec::new() } else { store::trail::runs(db, self.tenant, &runs).await? };
        Ok((deeds, rest))
    }

    /// The next runs, whatever they mention: of those the trail does not have, down to the last it has.
    fn neighbours(&self, last: i64) -> (Vec<i64>, Position) {
        let lowest = if self.wanted.words.is_empty() { 0 } else { self.indexed_runs.min(last) };
        let count = i64::try_from(self.at_once).unwrap_or(1);
        let first = last.saturating_sub(count.saturating_sub(1)).max(lowest).max(run_of(self.low.saturating_add(1)));
        ((first..=last).collect(), run_start(first))
    }

    /// The next runs that mention every word.
    async fn fitting(&mut self, db: &mut PgConnection, last: i64) -> Result<(Vec<i64>, Position), store::Error> {
        if self.fitting.is_empty() && self.floor.is_none_or(|floor| floor > last) {
            self.ask(db, last).await?;
        }
        let count = self.at_once.min(self.fitting.len());
        let runs: Vec<i64> = self.fitting.drain(..count).collect();
        let rest = match (self.fitting.is_empty(), runs.last(), self.floor) {
            (false, Some(first), _) => run_start(*first),
            (_, _, Some(floor)) => run_start(floor),
            (_, _, None) => self.low,
        };
        Ok((runs, rest))
    }

    /// Asks the trail for runs up to `last` that mention every word.
    async fn ask(&mut self, db: &mut PgConnection, last: i64) -> Result<(), store::Error> {
        let lowest = run_of(self.low.saturating_add(1));
        let Some(((kind, word), others)) = self.wanted.words.split_first() else { return Ok(()) };
        let row = sqlx::query(include_str!("trail_runs.sql"))
            .bind(self.tenant.0)
            .bind(kind.number())
            .bind(word)
            .bind(others.iter().map(|(kind, _)| kind.number()).collect::<Vec<_>>())
            .bind(others.iter().map(|(_, word)| word.as_str()).collect::<Vec<_>>())
            .bind(lowest)
            .bind(last)
            .bind(TRAIL_RUNS_LOOKED_AT_MAX)
            .fetch_one(db)
            .await?;
        self.fitting = row.try_get::<Vec<i64>, _>(0)?.into();
        let is_all = row.try_get::<i64, _>(2)? < TRAIL_RUNS_LOOKED_AT_MAX;
        self.floor = Some(if is_all { lowest } else { row.try_get(1)? });
        Ok(())
    }
}
