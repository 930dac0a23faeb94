//! The log itself: by position, by stream, filtered.

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header as names};
use axum::response::Response;
use ledger_core::domain::command::Metadata;
use ledger_core::domain::event::Event;
use ledger_core::domain::id::{Position, StreamVersion, Text};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::store::read::{self, Stored, StoredCommand};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Reading, Version, event_type, feed};
use crate::command::answer::Displayed;
use crate::header;
use crate::limit::EVENTS_SCANNED_MAX;
use crate::openapi::{EventsAnswer, ReadHeaders, StreamAnswer};
use crate::path::{self, Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// One event of the log.
#[derive(Serialize)]
pub(crate) struct EventBody<'a> {
    position: Position,
    stream: Displayed<ledger_core::domain::event::Subject>,
    version: StreamVersion,
    r#type: &'static str,
    recorded_at: Timestamp,
    effective_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// On the first event of a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandBody<'a>>,
    data: &'a Event,
}

/// What is known of the command that made some events.
#[derive(Serialize)]
struct CommandBody<'a> {
    id: Uuid,
    events: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a std::collections::BTreeMap<u32, Metadata>>,
}

impl<'a> From<&'a StoredCommand> for CommandBody<'a> {
    fn from(command: &'a StoredCommand) -> Self {
        Self {
            id: Uuid::from_bytes(command.id.0),
            events: command.meta.events,
            actor: command.meta.context.actor.as_ref(),
            traceparent: command.meta.context.traceparent.as_ref(),
            correlation_id: command.meta.context.correlation_id.as_ref(),
            causation_id: command.meta.context.causation_id.as_ref(),
            metadata: command.meta.metadata.as_ref(),
        }
    }
}

impl<'a> From<&'a Stored> for EventBody<'a> {
    fn from(stored: &'a Stored) -> Self {
        let recorded = &stored.recorded;
        let fact = &recorded.fact;
        Self {
            position: recorded.position,
            stream: Displayed(fact.event.subject()),
            version: recorded.stream_version,
            r#type: fact.event.type_name(),
            recorded_at: recorded.recorded_at,
            effective_at: recorded.effective_at(),
            reference: fact.note.reference.as_ref(),
            reason: fact.note.reason.as_ref().map(ToString::to_string),
            command: stored.command.as_ref().map(CommandBody::from),
            data: &fact.event,
        }
    }
}

/// A page of events.
#[derive(Serialize)]
struct EventsBody<'a> {
    data: Vec<EventBody<'a>>,
    /// `after` of the next page.
    next_after: i64,
    /// False when the log, as it was read, ends here.
    more: bool,
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Events after this position; 0 if absent. An event stream takes `Last-Event-ID` first.
    #[param(minimum = 0, nullable = false)]
    after: Option<u64>,
    /// Events of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// Events of this type only.
    #[param(schema_with = event_type::schema, required = false)]
    r#type: Option<String>,
    /// Events of this stream only, such as `item-ABC`.
    #[param(max_length = 256, nullable = false)]
    stream: Option<String>,
}

/// A page's filter, checked.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) r#type: Option<String>,
    pub(super) stream: Option<String>,
    pub(super) rows: i64,
}

impl TryFrom<EventQuery> for Filter {
    type Error = Problem;

    fn try_from(query: EventQuery) -> Result<Self, Problem> {
        if let Some(name) = query.r#type.as_deref().filter(|name| !event_type::is_known(name)) {
            return Err(Problem::new(Fault::ParameterInvalid, format!("there is no event type {name:?}")));
        }
        Ok(Self { r#type: query.r#type, stream: query.stream, rows: path::rows(query.limit)? })
    }
}

/// Events found, and how far the log was looked at.
pub(super) struct Found {
    pub(super) events: Vec<Stored>,
    pub(super) scanned_to: Position,
    pub(super) is_more: bool,
}

/// Reads the log
///
/// Events in the order of their positions, which have no gaps. With a `type`, at most 10,000 events are looked at per
/// call; `next_after` says how far. With `Accept: text/event-stream` the answer stays open and sends each event as it
/// is recorded, `id` being its position; `Last-Event-ID` goes on from there.
#[utoipa::path(get, path = "/v1/events", tag = "Log", params(EventQuery, ReadHeaders,
        ("Last-Event-ID" = Option<u64>, Header, description = "Event streams only: go on after this position", nullable = false)),
    responses(EventsAnswer))]
pub(crate) async fn list_events(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<EventQuery>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let after = query.after.map(as_position).transpose()?.unwrap_or(0);
    let filter = Filter::try_from(query)?;
    if header::accepts(&headers, "text/event-stream") {
        let after = header::last_event_id(&headers)?.unwrap_or(after);
        return feed::open(&api, reading.tenant, filter, after);
    }
    let found = api.detached(find(api.pool.clone(), reading.tenant, filter, after)).await?;
    show(&reading, &found, &uri)
}

fn as_position(number: u64) -> Result<Position, Problem> {
    Position::try_from(number).map_err(|_| Problem::new(Fault::ParameterInvalid, "after is not a position"))
}

/// The log is read directly, so the answer includes what is committed; it shows the position it was looked at to.
fn show(reading: &Reading, found: &Found, uri: &Uri) -> Result<Response, Problem> {
    let data = found.events.iter().map(EventBody::from).collect();
    let body = EventsBody { data, next_after: found.scanned_to, more: found.is_more };
    let unbounded = Reading { position_min: None, tags: Vec::new(), ..*reading };
    let mut response = unbounded.show(found.scanned_to, Version::None, &body)?;
    if found.is_more
        && let Some(link) = next_link(uri, found.scanned_to)
    {
        response.headers_mut().insert(names::LINK, link);
    }
    Ok(response)
}

fn next_link(uri: &Uri, after: Position) -> Option<axum::http::HeaderValue> {
    let pairs = uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let kept: String = pairs.map(|pair| format!("{pair}&")).collect();
    let target = format!("{}?{kept}after={after}", uri.path()).replace('<', "%3C").replace('>', "%3E");
    axum::http::HeaderValue::try_from(format!("<{target}>; rel=\"next\"")).ok()
}

/// A page of the log.
pub(super) async fn find(
    pool: PgPool,
    tenant: ledger_core::domain::id::TenantId,
    filter: Filter,
    after: Position,
) -> Result<Found, store::Error> {
    let is_wanted = |stored: &Stored| filter.r#type.as_deref().is_none_or(|name| stored.recorded.fact.event.type_name() == name);
    let scan = if filter.r#type.is_some() { EVENTS_SCANNED_MAX } else { filter.rows };
    let events = match &filter.stream {
        None => read::page(&pool, tenant, after, scan).await?,
        Some(name) => {
            let version = version_at(&pool, tenant, name, after).await?;
            read::stream(&pool, tenant, name, version, scan).await?
        }
    };
    let was_full = i64::try_from(events.len()).is_ok_and(|count| count >= scan);
    let mut scanned_to = events.last().map_or(after, |stored| stored.recorded.position);
    let mut wanted: Vec<Stored> = events.into_iter().filter(is_wanted).collect();
    let rows = usize::try_from(filter.rows).unwrap_or(usize::MAX);
    let is_cut = wanted.len() > rows;
    wanted.truncate(rows);
    if is_cut && let Some(last) = wanted.last() {
        scanned_to = last.recorded.position;
    }
    Ok(Found { events: wanted, scanned_to, is_more: was_full || is_cut })
}

/// The newest version of a stream at or before a position, by halving: versions and positions rise together.
async fn version_at(
    pool: &PgPool,
    tenant: ledger_core::domain::id::TenantId,
    name: &str,
    position: Position,
) -> Result<StreamVersion, store::Error> {
    let Some(first) = read::stream(pool, tenant, name, 0, 1).await?.into_iter().next() else { return Ok(0) };
    // Of the events from the first one's position on, not more than these can be the stream's.
    let mut high = position.saturating_sub(first.recorded.position).saturating_add(1).max(0);
    let mut low = 0;
    while low < high {
        let middle = low.saturating_add(high.saturating_sub(low).saturating_sub(1) / 2);
        let next = read::stream(pool, tenant, name, middle, 1).await?;
        match next.first() {
            Some(stored) if stored.recorded.position <= position => low = middle.saturating_add(1),
            _later_or_none => high = middle,
        }
    }
    Ok(low)
}

/// Which part of a stream.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Events after this version; 0 if absent.
    #[param(minimum = 0, nullable = false)]
    after: Option<u64>,
    /// Events of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
}

/// Reads a stream
///
/// The events of one item, location, account, posting rule, reservation or entry, by version.
#[utoipa::path(get, path = "/v1/streams/{stream}", tag = "Log",
    params(("stream" = String, Path, description = "Its name, such as `item-ABC`", max_length = 256), StreamQuery, ReadHeaders),
    responses(StreamAnswer))]
pub(crate) async fn get_stream(
    State(api): State<Api>,
    reading: Reading,
    Named(stream): Named<String>,
    Asked(query): Asked<StreamQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let (after, rows) = (query.after.map(as_position).transpose()?.unwrap_or(0), path::rows(query.limit)?);
    let (pool, tenant) = (api.pool.clone(), reading.tenant);
    let found = api.detached(async move { page_of(&pool, tenant, &stream, after, rows).await }).await?;
    let (found, last_version) = found.ok_or_else(|| Problem::new(Fault::UnknownStream, Fault::UnknownStream.sentence()))?;
    let data = found.events.iter().map(EventBody::from).collect();
    let body = EventsBody { data, next_after: last_version, more: found.is_more };
    let unbounded = Reading { position_min: None, tags: Vec::new(), ..reading };
    let mut response = unbounded.show(found.scanned_to, Version::None, &body)?;
    if found.is_more
        && let Some(link) = next_link(&uri, last_version)
    {
        response.headers_mut().insert(names::LINK, link);
    }
    Ok(response)
}

/// A page of a stream and the version it ends at; `None` when there is no such stream.
async fn page_of(
    pool: &PgPool,
    tenant: ledger_core::domain::id::TenantId,
    name: &str,
    after: StreamVersion,
    rows: i64,
) -> Result<Option<(Found, StreamVersion)>, store::Error> {
    let events = read::stream(pool, tenant, name, after, rows).await?;
    if events.is_empty() && (after == 0 || read::stream(pool, tenant, name, 0, 1).await?.is_empty()) {
        return Ok(None);
    }
    let scanned_to = events.last().map_or(0, |stored| stored.recorded.position);
    let version = events.last().map_or(after, |stored| stored.recorded.stream_version);
    let is_more = i64::try_from(events.len()).is_ok_and(|count| count >= rows);
    Ok(Some((Found { events, scanned_to, is_more }, version)))
}

/// One event of the log.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of what `EventBody` writes")]
pub(crate) struct EventSchema {
    /// Place in the tenant's log: 1, 2, 3 … without gaps.
    position: i64,
    /// What it is about.
    stream: String,
    /// Place in the stream.
    version: i64,
    /// What happened.
    #[schema(schema_with = event_type::schema)]
    r#type: String,
    /// When the log accepted it; never runs backwards.
    recorded_at: Timestamp,
    /// When it happened in the world.
    effective_at: Timestamp,
    /// The caller's document.
    #[schema(nullable = false)]
    reference: Option<String>,
    /// Why, as a code.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// On the first event of a command.
    #[schema(nullable = false)]
    command: Option<CommandSchema>,
    /// What the fact says; its fields depend on the type. Quantities and amounts are decimal strings.
    #[schema(value_type = Object)]
    data: (),
}

/// What is known of the command that made some events.
#[derive(ToSchema)]
#[schema(as = EventCommand)]
#[allow(dead_code, reason = "the schema of what `CommandBody` writes")]
pub(crate) struct CommandSchema {
    /// Identity made of the caller's idempotency key.
    #[schema(value_type = String, example = "018f8e3a-0000-0000-0000-000000000000")]
    id: Uuid,
    /// Events it made, this one included; they stand one after another.
    events: u32,
    /// Who asked.
    #[schema(nullable = false)]
    actor: Option<String>,
    /// W3C trace context.
    #[schema(nullable = false)]
    traceparent: Option<String>,
    /// What ties the commands of one conversation together.
    #[schema(nullable = false)]
    correlation_id: Option<String>,
    /// What made the caller ask.
    #[schema(nullable = false)]
    causation_id: Option<String>,
    /// Free pairs by step of the transaction.
    #[schema(nullable = false, value_type = Option<Object>)]
    metadata: Option<()>,
}

/// A page of events.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of what `EventsBody` writes")]
pub(crate) struct EventsPage {
    /// In order.
    data: Vec<EventSchema>,
    /// `after` of the next page.
    next_after: i64,
    /// False when the log, as it was read, ends here.
    more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_go_on_from_where_the_page_ends() {
        let link = |uri: &str| next_link(&uri.parse().unwrap(), 7).unwrap();
        assert_eq!(link("/v1/events?after=3&type=stock_received"), "</v1/events?type=stock_received&after=7>; rel=\"next\"");
    }

    #[test]
    fn unknown_types_are_refused() {
        let query = |name: &str| EventQuery { r#type: Some(name.into()), ..EventQuery::default() };
        assert!(Filter::try_from(query("stock_received")).is_ok());
        assert_eq!(Filter::try_from(query("stock_eaten")).unwrap_err().code(), "parameter_invalid");
    }
}
