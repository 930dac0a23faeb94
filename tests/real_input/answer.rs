//! What the ledger answered to a command, in the part that a repetition must give again.

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::request::{Kind, Request};

/// The code of a command whose first attempt is not answered yet.
pub(crate) const IN_PROGRESS: &str = "command_in_progress";

/// The answer to a request whose commands were all taken.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The log includes what the request did up to here.
    pub(crate) position: u64,
    /// The ledger says that it had answered all of it before.
    pub(crate) replayed: bool,
    /// Position, events and result, without the marks of a repetition.
    body: Value,
}

/// What an answer comes to.
#[derive(Debug)]
pub(crate) enum Reading<T> {
    /// Every command was taken.
    Taken(T),
    /// An earlier attempt is not through yet; send again.
    InProgress,
    /// The ledger could not take some command now; send again.
    Unavailable,
}

/// Reads the answer to `request`; a refused command is an error.
pub(crate) fn read(request: &Request, headers: &HeaderMap, body: Value) -> Result<Reading<Answer>> {
    match request.kind {
        Kind::Command => command(headers, body).map(Reading::Taken),
        Kind::Batch => batch(body, request.commands),
    }
}

/// The position that an answer's header names.
pub(crate) fn position_shown(headers: &HeaderMap) -> Option<u64> {
    headers.get("ledger-position")?.to_str().ok()?.parse().ok()
}

fn position(answer: &Value) -> Result<u64> {
    answer.get("position").and_then(Value::as_u64).with_context(|| format!("no position in {answer}"))
}

fn command(headers: &HeaderMap, body: Value) -> Result<Answer> {
    let replayed = headers.get("idempotent-replayed").is_some_and(|value| value == "true");
    let position = position(&body)?;
    let header = position_shown(headers);
    ensure!(header == Some(position), "position {position} in the body, {header:?} in the header");
    Ok(Answer { position, replayed, body })
}

fn batch(mut body: Value, commands: usize) -> Result<Reading<Answer>> {
    let verdicts = body.get_mut("results").and_then(Value::as_array_mut).context("an answer without results")?;
    ensure!(verdicts.len() == commands, "{} results for {commands} commands", verdicts.len());
    let mut all = Answer { position: 0, replayed: true, body: Value::Null };
    let mut answers = Vec::with_capacity(commands);
    for verdict in verdicts.iter_mut() {
        let code = verdict.pointer("/problem/code").and_then(Value::as_str).unwrap_or_default();
        match verdict.get("status").and_then(Value::as_u64).context("a result without status")? {
            200 | 201 if code.is_empty() => {}
            503 => return Ok(Reading::Unavailable),
            409 if code == IN_PROGRESS => return Ok(Reading::InProgress),
            _refused => bail!("{verdict}"),
        }
        all.replayed &= verdict.get("replayed") == Some(&Value::Bool(true));
        let answer = verdict.get_mut("answer").map(Value::take).context("a result without answer")?;
        all.position = all.position.max(position(&answer)?);
        answers.push(answer);
    }
    all.body = Value::Array(answers);
    Ok(Reading::Taken(all))
}

/// Two answers to one key must say the same.
pub(crate) fn same(request: &Request, one: &Answer, other: &Answer) -> Result<()> {
    ensure!(
        one.position == other.position && one.body == other.body,
        "{}: one key, two answers:\n{}\n{}",
        request.key,
        one.body,
        other.body
    );
    Ok(())
}
