//! How the tenant's ledger is, on one screen.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::event::event_row;
use crate::console::Console;
use crate::console::ask::Fields;
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{Bars, Show, Table, Tile, Tiles, bars, figures, number, status, text, time, words};
use crate::console::session::Session;

/// Newest events shown.
const EVENTS: &str = "10";

pub(in crate::console) async fn show(session: Session, State(console): State<Console>) -> Response {
    let shown = view(&console, &session).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session) -> Shown {
    let newest = format!("/v1/events?order=newest&limit={EVENTS}");
    let (overview, health, newest, checkpoints, verifications) = tokio::join!(
        console.get(session, "/v1/overview"),
        console.get(session, "/health/ready"),
        console.get(session, &newest),
        console.get_if_there(session, "/v1/audit/checkpoints?limit=1"),
        console.get_if_there(session, "/v1/audit/verifications?limit=1"),
    );
    let (overview, health, newest) = (overview?, health?, newest?);
    // What is shown beside must not keep the page from being shown.
    let first = |found: Result<Option<_>, _>| -> Option<Value> {
        let answer: crate::console::ask::Answer = found.ok().flatten()?;
        answer.json.list("data").first().cloned()
    };
    let (checkpoint, verification) = (first(checkpoints), first(verifications));
    let mut tiles = log_tiles(&overview.json);
    tiles.extend(work_tiles(&overview.json));
    tiles.extend(part_tiles(&health.json));
    tiles.extend(audit_tiles(checkpoint.as_ref(), verification.as_ref()));
    let columns = [figures("Position"), words("Recorded"), words("What"), words("Stream"), words("Reference")];
    let table =
        Table::new("newest", "Newest events", columns).empty("The log is empty.").fill(newest.json.list("data"), event_row);
    Ok(View::new(Section::Overview, "Overview")
        .at(overview.position)
        .part(Tiles { tiles })
        .part(throughput(&overview.json))
        .part(table))
}

fn tile(label: &'static str, figure: Show, beside: impl Into<Vec<Show>>) -> Tile {
    let mut beside = beside.into();
    beside.retain(|show| !show.html().is_empty());
    Tile { label, figure, beside, href: None }
}

fn leads(mut tile: Tile, href: &str) -> Tile {
    tile.href = Some(href.to_owned());
    tile
}

/// How far something is behind the log, in words.
fn lag(part: &Value) -> Show {
    match part.text("behind").as_str() {
        "" => text(""),
        "0" => text("Nothing waits"),
        behind => Show::Many(vec![number(behind), text("events behind")]),
    }
}

fn log_tiles(overview: &Value) -> Vec<Tile> {
    let (head, views, feed) = (&overview["head"], &overview["views"], &overview["feed"]);
    vec![
        leads(tile("Log", number(head.text("position")), [time(head.text("recorded_at"))]), "/console/events"),
        tile("Views", number(views.text("position")), [lag(views)]),
        if feed.is_null() {
            tile("Feed", text("Off"), [text("Nothing was published yet")])
        } else {
            tile("Feed", number(feed.text("position")), [lag(feed)])
        },
    ]
}

/// A count that stops at a limit.
fn count(overview: &Value, name: &str) -> Show {
    let counted = &overview[name];
    let shown = number(counted.text("count"));
    if counted["is_cut"] == true { Show::Many(vec![shown, text("or more")]) } else { shown }
}

fn work_tiles(overview: &Value) -> Vec<Tile> {
    vec![
        leads(tile("Open holds", count(overview, "open_holds"), []), "/console/reservations?show=open"),
        leads(tile("Pending entries", count(overview, "pending_entries"), []), "/console/journal?status=pending"),
    ]
}

fn part_tiles(health: &Value) -> Vec<Tile> {
    let part = |name: &str, words: &str| match health.text(name).as_str() {
        "" | "up" => text(""),
        how => text(format!("{words} {how}")),
    };
    let beside = [part("database", "Database"), part("writer", "Writer"), part("cache", "Cache"), part("broker", "Broker")];
    let is_well = beside.iter().all(|show| show.html().is_empty());
    let mut beside = Vec::from(beside);
    if is_well {
        beside.push(text("All parts are up"));
    }
    let stopped = number(health["projector"].text("stopped"));
    vec![
        tile("Service", status(health.text("status")), beside),
        tile("Tenants stopped", stopped, [text("Of all on this service")]),
    ]
}

fn audit_tiles(checkpoint: Option<&Value>, verification: Option<&Value>) -> Vec<Tile> {
    let checkpoint = checkpoint.map(|c| tile("Last checkpoint", number(c.text("size")), [time(c.text("signed_at"))]));
    let verification = verification.map(|v| {
        let at = if v.has("finished_at") { v.text("finished_at") } else { v.text("created_at") };
        tile("Last verification", status(super::audit::verdict(v)), [time(at)])
    });
    checkpoint.into_iter().chain(verification).map(|tile| leads(tile, "/console/audit")).collect()
}

/// Events per minute, from the log itself.
fn throughput(overview: &Value) -> Bars {
    let minutes = overview.list("activity");
    let minute = |point: &Value| {
        let clock = point.text("minute").get(11..16).unwrap_or("").to_owned();
        (clock, point["events"].as_u64().unwrap_or(0))
    };
    let counts: Vec<(String, u64)> = minutes.iter().map(minute).collect();
    let sum = counts.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let ends = |point: Option<&(String, u64)>| point.map_or_else(String::new, |(clock, _)| clock.clone());
    let ends = (ends(counts.first()), ends(counts.last()));
    bars("Events per minute", format!("{sum} events in the last {} minutes", counts.len()), &counts, ends)
}
