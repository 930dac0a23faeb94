//! Work in the background: jobs, and webhooks with what could not be delivered.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use crate::console::Console;
use crate::console::ask::Fields;
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{Note, Row, Show, Table, code, extra, figures, number, phrase, status, text, time, words};
use crate::console::session::Session;

/// Jobs and webhooks shown.
const NEWEST: &str = "50";

pub(in crate::console) async fn show(session: Session, State(console): State<Console>) -> Response {
    let shown = view(&console, &session).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session) -> Shown {
    let (jobs, webhooks) = (format!("/v1/jobs?limit={NEWEST}"), format!("/v1/webhooks?limit={NEWEST}"));
    let (jobs, webhooks, overview) = tokio::join!(
        console.get_if_there(session, &jobs),
        console.get_if_there(session, &webhooks),
        console.get(session, "/v1/overview"),
    );
    let (jobs, webhooks) = (jobs?, webhooks?);
    let mut view = View::new(Section::Background, "Background").at(overview?.position);
    if jobs.is_none() && webhooks.is_none() {
        view = view.part(Note { tone: "plain", words: "This service does no work in the background.".into() });
    }
    Ok(view.part_if(jobs.map(|found| job_table(&found.json))).part_if(webhooks.map(|found| webhook_table(&found.json))))
}

fn job_table(found: &Value) -> Table {
    let row = |job: &Value| {
        let progress = &job["progress"];
        let of = match (progress.text("done"), progress.text("total")) {
            (done, total) if !total.is_empty() => Show::Many(vec![number(done), text("of"), number(total)]),
            (done, _) => number(done),
        };
        Row::of([
            code(job.text("id")),
            text(phrase(&job.text("kind"))),
            status(job.text("status")),
            of,
            number(job.text("attempts")),
            time(job.text("created_at")),
            text(job.text("last_error")),
        ])
    };
    let columns = [
        words("Job"),
        words("Kind"),
        words("Status"),
        figures("Done"),
        figures("Attempts"),
        words("Asked for"),
        words("Last error"),
    ];
    Table::new("jobs", "Jobs", columns).empty("No job was asked for.").fill(found.list("data"), row)
}

fn webhook_table(found: &Value) -> Table {
    let row = |hook: &Value| {
        let is_on = if hook["enabled"] == true { "enabled" } else { "disabled" };
        let position = ["position", "delivered_to", "cursor"].into_iter().map(|name| hook.text(name)).find(|t| !t.is_empty());
        Row::of([
            code(hook.text("id")),
            status(is_on),
            text(hook.text("url")),
            number(position.unwrap_or_default()),
            text(hook.text("description")),
        ])
    };
    let columns = [words("Webhook"), words("Status"), words("Address"), figures("Delivered to"), extra("Description")];
    Table::new("webhooks", "Webhooks", columns).empty("No webhook is set up.").fill(found.list("data"), row)
}
