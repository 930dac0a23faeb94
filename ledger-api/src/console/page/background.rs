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
        let done = match progress.text("of") {
            of if of.is_empty() => number(progress.text("done")),
            of => Show::Many(vec![number(progress.text("done")), text("of"), number(of)]),
        };
        Row::of([
            code(job.text("id")),
            text(phrase(&job.text("kind"))),
            status(if job["cancelling"] == true { "cancelling".to_owned() } else { job.text("status") }),
            done,
            Show::Many(vec![number(job.text("attempts")), text("of"), number(job.text("attempts_max"))]),
            time(job.text("created_at")),
            text(if job.has("last_error") { job.text("last_error") } else { progress.text("note") }),
        ])
    };
    let columns = [
        words("Job"),
        words("Kind"),
        words("Status"),
        figures("Done"),
        figures("Attempts"),
        words("Asked for"),
        words("What it says"),
    ];
    Table::new("jobs", "Jobs", columns).empty("No job was asked for.").fill(found.list("data"), row)
}

/// What of the log a webhook gets.
fn filter(hook: &Value) -> String {
    let names = ["types", "categories", "streams"]
        .map(|field| hook.list(field).iter().map(crate::console::ask::plain).collect::<Vec<_>>().join(", "));
    let named: Vec<String> = names.into_iter().filter(|names| !names.is_empty()).collect();
    if named.is_empty() { "All events".to_owned() } else { named.join(" · ") }
}

fn webhook_table(found: &Value) -> Table {
    let row = |hook: &Value| {
        let state = match (hook["enabled"] == true, hook.has("failing_since")) {
            (false, _) => "disabled",
            (true, true) => "retrying",
            (true, false) => "enabled",
        };
        let why = ["disabled_why", "last_error", "description"].into_iter().map(|field| hook.text(field));
        Row::of([
            code(hook.text("id")),
            status(state),
            text(hook.text("url")),
            text(filter(hook)),
            number(hook.text("position")),
            number(hook.text("failures")),
            time(hook.text("failing_since")),
            text(why.into_iter().find(|words| !words.is_empty()).unwrap_or_default()),
        ])
    };
    let columns = [
        words("Webhook"),
        words("Status"),
        words("Address"),
        words("Sends"),
        figures("Up to"),
        figures("Failures"),
        extra("Failing since"),
        words("Why"),
    ];
    Table::new("webhooks", "Webhooks", columns).empty("No webhook is set up.").fill(found.list("data"), row)
}
