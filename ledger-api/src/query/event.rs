//! The log itself: by position, by stream, filtered.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header as names};
use axum::response::Response;
use ledger_core::domain::command::Metadata;
use ledger_core::domain::event::Event;
use ledger_core::domain::id::{Position, StreamVersion, TenantId, Text};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::store::read::{self, Raw, Stored, StoredCommand};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::Age;
use super::{Reading, Version, event_type, feed, replica};
use crate::command::answer::Displayed;
use crate::header;
use crate::limit::{EVENTS_AT_ONCE_MAX, EVENTS_SCANNED_MAX};
use crate::openapi::{EventsAnswer, ReadAnswer, ReadHeaders, StreamAnswer};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<i64>,
    /// `before` of the next page, of one that has the newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
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
    /// With `order=newest`: events before this position; the newest ones if absent.
    #[param(minimum = 1, nullable = false)]
    before: Option<u64>,
    /// The oldest first if absent.
    #[param(inline, nullable = false)]
    order: Option<Age>,
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
/// Events in the order of their positions, which have no gaps, or the newest first. With a `type`, at most 10,000 events are looked at per
/// call; `next_after` or `next_before` says how far. With `Accept: text/event-stream` the answer stays open and sends each event as it
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
    let (after, before) = (query.after.map(as_position).transpose()?, query.before.map(as_position).transpose()?);
    let order = query.order.unwrap_or_default();
    let filter = Filter::try_from(query)?;
    match (order, after, before) {
        (Age::Oldest, _, Some(_)) => return Err(Problem::new(Fault::ParameterInvalid, "before: with order=newest only")),
        (Age::Newest, Some(_), _) => return Err(Problem::new(Fault::ParameterInvalid, "after: not with order=newest")),
        (Age::Newest, None, before) => {
            let (found, head) = api.detached(find_newest(api.pool.clone(), reading.tenant, filter, before)).await?;
            return show_newest(&reading, &found, head, &uri);
        }
        (Age::Oldest, _, None) => {}
    }
    let after = after.unwrap_or(0);
    if header::accepts(&headers, "text/event-stream") {
        let after = header::last_event_id(&headers)?.unwrap_or(after);
        return feed::open(&api, reading.tenant, filter, after);
    }
    let scan = if filter.r#type.is_some() { EVENTS_SCANNED_MAX } else { filter.rows };
    let replica = reading.log_at(&api, after.saturating_add(scan)).await;
    // The log never changes: a full page is the same everywhere, and so is one whose end the caller has named.
    let is_whole = |found: &Found| found.is_more || reading.position_min.is_some();
    let tenant = reading.tenant;
    let found = replica::of_log(&api, replica, is_whole, |pool| find(pool, tenant, filter.clone(), after)).await?;
    show(&reading, &found, &uri)
}

fn as_position(number: u64) -> Result<Position, Problem> {
    Position::try_from(number).map_err(|_| Problem::new(Fault::ParameterInvalid, "not a position"))
}

/// The log is read directly, so the answer includes what is committed; it shows the position it was looked at to.
fn show(reading: &Reading, found: &Found, uri: &Uri) -> Result<Response, Problem> {
    let data = found.events.iter().map(EventBody::from).collect();
    let body = EventsBody { data, next_after: Some(found.scanned_to), next_before: None, more: found.is_more };
    let mut response = reading.unbounded().show(found.scanned_to, Version::None, &body)?;
    if found.is_more
        && let Some(link) = next_link(uri, "after", found.scanned_to)
    {
        response.headers_mut().insert(names::LINK, link);
    }
    Ok(response)
}

fn next_link(uri: &Uri, name: &str, place: Position) -> Option<axum::http::HeaderValue> {
    let is_kept = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(name);
    let kept: String = uri.query().unwrap_or("").split('&').filter(is_kept).map(|pair| format!("{pair}&")).collect();
    let target = format!("{}?{kept}{name}={place}", uri.path()).replace('<', "%3C").replace('>', "%3E");
    axum::http::HeaderValue::try_from(format!("<{target}>; rel=\"next\"")).ok()
}

/// As [`show`], the newest first; what is shown includes everything recorded when it was asked.
fn show_newest(reading: &Reading, found: &Found, head: Position, uri: &Uri) -> Result<Response, Problem> {
    let data = found.events.iter().map(EventBody::from).collect();
    let body = EventsBody { data, next_after: None, next_before: Some(found.scanned_to), more: found.is_more };
    let mut response = reading.unbounded().show(head, Version::None, &body)?;
    let link = found.is_more.then(|| next_link(uri, "before", found.scanned_to)).flatten();
    response.headers_mut().extend(link.map(|link| (names::LINK, link)));
    Ok(response)
}

/// A page of the log from its end, or from before a position, and the log's head.
async fn find_newest(
    pool: PgPool,
    tenant: TenantId,
    filter: Filter,
    before: Option<Position>,
) -> Result<(Found, Position), store::Error> {
    let head = read::head(&pool, tenant).await?.map_or(0, |head| head.position);
    let before = before.unwrap_or(Position::MAX).min(head.saturating_add(1));
    let rows = usize::try_from(filter.rows).unwrap_or(usize::MAX);
    let is_wanted = |stored: &Stored| filter.r#type.as_deref().is_none_or(|name| stored.recorded.fact.event.type_name() == name);
    let number = filter.r#type.as_deref().and_then(event_type::number);
    // Positions, and versions in a stream, have no gaps: the ones before a number are so many less.
    let mut upto = match &filter.stream {
        None => before.saturating_sub(1),
        Some(name) => version_at(&pool, tenant, name, before.saturating_sub(1)).await?,
    };
    let mut found = Found { events: Vec::new(), scanned_to: before, is_more: false };
    // What is asked for is mostly near: a few are read first, then more and more.
    let (mut scanned, mut at_once) = (0_i64, filter.rows);
    while upto > 0 && found.events.len() < rows && scanned < EVENTS_SCANNED_MAX {
        let after = upto.saturating_sub(at_once).max(0);
        let count = upto.saturating_sub(after);
        let events = match &filter.stream {
            None => {
                found.scanned_to = after.saturating_add(1);
                let rows = read::raw_page(&pool, tenant, after, count).await?;
                let of_type = rows.iter().filter(|row| number.is_none_or(|number| row.type_number == number));
                of_type.map(Raw::decode).collect::<Result<Vec<_>, _>>()?
            }
            Some(name) => {
                let events = read::stream(&pool, tenant, name, after, count).await?;
                found.scanned_to = events.first().map_or(found.scanned_to, |stored| stored.recorded.position);
                events
            }
        };
        found.events.extend(events.into_iter().rev().filter(is_wanted));
        (upto, scanned) = (after, scanned.saturating_add(count));
        at_once = at_once.saturating_mul(2).min(EVENTS_AT_ONCE_MAX);
    }
    found.is_more = upto > 0;
    if found.events.len() > rows {
        found.events.truncate(rows);
        found.is_more = true;
        found.scanned_to = found.events.last().map_or(found.scanned_to, |stored| stored.recorded.position);
    }
    Ok((found, head))
}

/// One event, with the whole of its command.
#[derive(Serialize)]
struct OneEventBody<'a> {
    #[serde(flatten)]
    event: EventBody<'a>,
    /// The first event of the command; the command is shown here whichever of its events this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_position: Option<Position>,
}

/// Shows an event
///
/// One event by its position, with the command it is of, whichever of the command's events it is.
#[utoipa::path(get, path = "/v1/events/{position}", tag = "Log", operation_id = "get_event",
    params(("position" = u64, Path, description = "Its place in the log", minimum = 1), ReadHeaders),
    responses(ReadAnswer<OneEvent>))]
pub(crate) async fn get_event(
    State(api): State<Api>,
    reading: Reading,
    Named(position): Named<u64>,
) -> Result<Response, Problem> {
    let position = as_position(position)?;
    let unknown = || Problem::new(Fault::NotFound, format!("there is no event at position {position}"));
    let (pool, tenant) = (api.pool.clone(), reading.tenant);
    let read = async move {
        let head = read::head(&pool, tenant).await?.map_or(0, |head| head.position);
        let found = match position {
            0 => None,
            position => read::page(&pool, tenant, position.saturating_sub(1), 1).await?.into_iter().next(),
        };
        let first = match &found {
            Some(stored) if stored.command.is_none() => read::command_of(&pool, tenant, position).await?,
            _with_its_command => None,
        };
        Ok((head, found.filter(|stored| stored.recorded.position == position), first))
    };
    let (head, found, first) = api.detached(read).await?;
    let found = found.ok_or_else(unknown)?;
    let mut event = EventBody::from(&found);
    let with_command = first.as_ref().unwrap_or(&found);
    event.command = with_command.command.as_ref().map(CommandBody::from);
    let command_position = event.command.as_ref().map(|_| with_command.recorded.position);
    let unbounded = reading.unbounded();
    unbounded.show(head, Version::None, &OneEventBody { event, command_position })
}

/// A page of the log.
pub(super) async fn find(pool: PgPool, tenant: TenantId, filter: Filter, after: Position) -> Result<Found, store::Error> {
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
async fn version_at(pool: &PgPool, tenant: TenantId, name: &str, position: Position) -> Result<StreamVersion, store::Error> {
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
    let replica = match reading.position_min {
        Some(min) => reading.log_at(&api, min).await,
        None => None,
    };
    let (tenant, stream) = (reading.tenant, Arc::<str>::from(stream));
    let read = |pool: PgPool| {
        let stream = Arc::clone(&stream);
        async move { page_of(&pool, tenant, &stream, after, rows).await }
    };
    let found = replica::of_log(&api, replica, |_| true, read).await?;
    let (found, last_version) = found.ok_or_else(|| Problem::new(Fault::UnknownStream, Fault::UnknownStream.sentence()))?;
    let data = found.events.iter().map(EventBody::from).collect();
    let body = EventsBody { data, next_after: Some(last_version), next_before: None, more: found.is_more };
    let mut response = reading.unbounded().show(found.scanned_to, Version::None, &body)?;
    if found.is_more
        && let Some(link) = next_link(&uri, "after", last_version)
    {
        response.headers_mut().insert(names::LINK, link);
    }
    Ok(response)
}

/// A page of a stream and the version it ends at; `None` when there is no such stream.
async fn page_of(
    pool: &PgPool,
    tenant: TenantId,
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
    #[schema(schema_with = crate::openapi::data_schema)]
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
    /// `after` of the next page; absent where the newest come first.
    #[schema(required = false)]
    next_after: i64,
    /// `before` of the next page; present where the newest come first.
    #[schema(required = false)]
    next_before: i64,
    /// False when the log, as it was read, ends here.
    more: bool,
}

/// An event with the whole of its command.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of what `OneEventBody` writes")]
pub(crate) struct OneEvent {
    #[schema(inline)]
    #[serde(flatten)]
    event: EventSchema,
    /// The first event of the command.
    #[schema(required = false)]
    command_position: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_go_on_from_where_the_page_ends() {
        let link = |uri: &str| next_link(&uri.parse().unwrap(), "after", 7).unwrap();
        assert_eq!(link("/v1/events?after=3&type=stock_received"), "</v1/events?type=stock_received&after=7>; rel=\"next\"");
    }

    #[test]
    fn unknown_types_are_refused() {
        let query = |name: &str| EventQuery { r#type: Some(name.into()), ..EventQuery::default() };
        assert!(Filter::try_from(query("stock_received")).is_ok());
        assert_eq!(Filter::try_from(query("stock_eaten")).unwrap_err().code(), "parameter_invalid");
    }
}
