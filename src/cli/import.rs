//! `ledgerd import`: commands from a file, one per row.
//!
//! **Shape**: row → JSON object → [`Action`] → pipeline, in chunks, in the file's order → a report of refused rows.
//! **Correctness**: a row's id is its own, or the file's digest and the row's number: the same file sent again, or
//! after an interruption, finds its rows answered and changes nothing. A dry run decides on the state folded from the
//! log and writes nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::decider::{Undecided, goods_named, handle};
use ledger_core::domain::event::Subject;
use ledger_core::domain::id::{CommandId, Position, TenantId, Text, digest16};
use ledger_core::domain::rejection::Refusal;
use ledger_core::domain::state::Ledger;
use ledger_core::pipeline::{self, Outcome};
use ledger_core::store::read;
use serde_json::{Map, Value};
use sqlx::postgres::PgPool;

use super::connect::{self, Urls};
use super::output;

/// Rows sent together.
const CHUNK_ROWS: usize = 1_000;
/// Later events of one movement's goods that a dry run reads.
const GOODS_EVENTS_MAX: i64 = 65_536;
/// Bytes of one row: far more than any command needs.
const ROW_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code of the tenant.
    #[arg(long)]
    tenant: String,
    /// `.ndjson`: one command per line, with its `type` and, if wanted, a `key` of its own. `.csv`: a heading names the fields, `type` among them.
    file: PathBuf,
    /// Decide everything, write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where refused rows go, as NDJSON; `<file>.refused.ndjson` if absent.
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, Default, serde::Serialize)]
struct Summary {
    rows: usize,
    accepted: usize,
    replayed: usize,
    unchanged: usize,
    refused: usize,
}

/// A row, parsed or not.
struct Row {
    number: usize,
    command: Result<Command>,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let urls = args.urls.clone().resolve()?;
    let pool = urls.pool().await?;
    let tenant = connect::tenant(&pool, &args.tenant).await?;
    let rows = read_rows(&args.file)?;
    let report_path = args.report.clone().unwrap_or_else(|| {
        let mut name = args.file.clone().into_os_string();
        name.push(".refused.ndjson");
        name.into()
    });
    let mut report = Report { path: report_path, file: None };
    let bar = bar(rows.len())?;
    let summary = if args.dry_run {
        dry_run(&pool, tenant, rows, &mut report, &bar).await?
    } else {
        let (pipeline, tasks) =
            pipeline::start(pipeline::Options::for_cores(urls.database()?.to_owned(), 1), pool.clone()).await?;
        let summary = send(&pipeline, tenant, rows, &mut report, &bar).await?;
        drop(pipeline);
        for task in tasks {
            task.await?;
        }
        summary
    };
    bar.finish_and_clear();
    if json {
        output::print_json(&summary)?;
    } else {
        let Summary { rows, accepted, replayed, unchanged, refused } = &summary;
        let what = if args.dry_run { "would be accepted" } else { "accepted" };
        output::print(&format!(
            "{rows} rows: {accepted} {what}, {replayed} known before, {unchanged} already so, {refused} refused"
        ))?;
        if *refused > 0 {
            output::print(&format!("refused rows: {}", report.path.display()))?;
        }
    }
    Ok(if summary.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

fn bar(rows: usize) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(u64::try_from(rows)?).with_style(style))
}

struct Report {
    path: PathBuf,
    file: Option<File>,
}

impl Report {
    fn refused(&mut self, number: usize, why: &Value) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::create(&self.path).with_context(|| format!("writing {}", self.path.display()))?),
        };
        writeln!(file, "{}", serde_json::json!({"row": number, "refused": why}))?;
        Ok(())
    }

    fn refusal(&mut self, number: usize, refusal: &Refusal) -> Result<()> {
        self.refused(number, &serde_json::to_value(&refusal.rejection)?)
    }
}

async fn send(
    pipeline: &pipeline::Handle,
    tenant: TenantId,
    rows: Vec<Row>,
    report: &mut Report,
    bar: &ProgressBar,
) -> Result<Summary> {
    let mut summary = Summary { rows: rows.len(), ..Summary::default() };
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let (mut numbers, mut commands) = (Vec::new(), Vec::new());
        for row in rows.by_ref().take(CHUNK_ROWS) {
            match row.command {
                Ok(command) => {
                    numbers.push(row.number);
                    commands.push(command);
                }
                Err(error) => {
                    summary.refused += 1;
                    report.refused(row.number, &serde_json::json!({"code": "malformed", "detail": format!("{error:#}")}))?;
                }
            }
            bar.inc(1);
        }
        for (number, answer) in numbers.into_iter().zip(pipeline.submit_many(tenant, commands).await) {
            let answer = answer.with_context(|| format!("row {number}; send the same file again to go on from here"))?;
            match answer.outcome {
                Outcome::Refused(refusal) => {
                    summary.refused += 1;
                    report.refusal(number, &refusal)?;
                }
                Outcome::Accepted { .. } if answer.replayed => summary.replayed += 1,
                Outcome::Accepted { .. } => summary.accepted += 1,
                Outcome::Unchanged => summary.unchanged += 1,
            }
        }
    }
    Ok(summary)
}

async fn dry_run(pool: &PgPool, tenant: TenantId, rows: Vec<Row>, report: &mut Report, bar: &ProgressBar) -> Result<Summary> {
    let mut ledger = super::export::fold(pool, tenant).await?;
    let now = read::clock(pool).await?;
    let mut summary = Summary { rows: rows.len(), ..Summary::default() };
    for row in rows {
        bar.inc(1);
        let outcome = match row.command {
            Ok(command) => {
                for position in command.steps.iter().filter_map(goods_named) {
                    read_goods(pool, tenant, &mut ledger, position).await?;
                }
                handle(&mut ledger, &command, now)
            }
            Err(error) => {
                summary.refused += 1;
                report.refused(row.number, &serde_json::json!({"code": "malformed", "detail": format!("{error:#}")}))?;
                continue;
            }
        };
        match outcome {
            Ok(events) if events.is_empty() => summary.unchanged += 1,
            Ok(_) => summary.accepted += 1,
            Err(Undecided::Refused(refusal)) => {
                summary.refused += 1;
                report.refusal(row.number, &refusal)?;
            }
            Err(Undecided::Misfit(misfit)) => return Err(misfit.into()),
        }
        ledger.commit();
    }
    Ok(summary)
}

/// An earlier event that a row names, as the pipeline reads it. What the dry run itself decided has no place in the log.
async fn read_goods(pool: &PgPool, tenant: TenantId, ledger: &mut Ledger, position: Position) -> Result<()> {
    if position < 1 || ledger.goods(position).is_some() {
        return Ok(());
    }
    let event = read::page(pool, tenant, position - 1, 1).await?.into_iter().map(|s| s.recorded).find(|r| r.position == position);
    let later = read::stream(pool, tenant, &Subject::Goods(position).to_string(), 0, GOODS_EVENTS_MAX).await?;
    let later: Vec<_> = later.into_iter().map(|s| s.recorded).collect();
    ledger.absorb_goods(position, event.as_ref(), &later);
    Ok(())
}

fn read_rows(path: &Path) -> Result<Vec<Row>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let digest: String = digest16(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let context = Arc::new(Context { actor: Some(Text::parse("cli:import")?), ..Context::default() });
    let objects: Vec<Result<Value>> = match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => csv_rows(&bytes)?,
        Some("ndjson" | "jsonl") => ndjson_rows(&bytes)?,
        _ => anyhow::bail!("{}: the name must end in .ndjson, .jsonl or .csv", path.display()),
    };
    let parse = |(index, object): (usize, Result<Value>)| {
        let number = index + 1;
        let command = object.and_then(|object| command(object, &digest, number, &context));
        Row { number, command }
    };
    Ok(objects.into_iter().enumerate().map(parse).collect())
}

fn command(mut object: Value, digest: &str, number: usize, context: &Arc<Context>) -> Result<Command> {
    // A row's own key stands under `key`: `id` belongs to the reservation or entry that the row may create.
    let id = match object.as_object_mut().context("a row is not an object")?.remove("key") {
        Some(Value::String(key)) => key,
        Some(_) => anyhow::bail!("key is not a text"),
        None => format!("import:{digest}:{number}"),
    };
    let action: Action = serde_json::from_value(object)?;
    Ok(Command::new(CommandId::from_key(&id), Arc::clone(context), vec![action], uuid::Uuid::now_v7()))
}

fn ndjson_rows(bytes: &[u8]) -> Result<Vec<Result<Value>>> {
    let mut rows = Vec::new();
    for line in BufReader::new(bytes).lines() {
        let line = line.context("the file is not UTF-8")?;
        ensure!(line.len() <= ROW_BYTES_MAX, "row {} is longer than {ROW_BYTES_MAX} bytes", rows.len() + 1);
        if !line.trim().is_empty() {
            rows.push(serde_json::from_str(&line).map_err(Into::into));
        }
    }
    Ok(rows)
}

/// Fields that are not texts in JSON.
const INTEGERS: [&str; 9] = ["scale", "ttl_seconds", "expected_version", "x", "y", "original", "receipt", "line", "priority"];
/// Fields that are lists of texts in JSON; a cell holds them with `|` between.
const LISTS: [&str; 2] = ["serials", "locations"];

fn csv_rows(bytes: &[u8]) -> Result<Vec<Result<Value>>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let heading = reader.headers()?.clone();
    ensure!(heading.iter().any(|h| h == "type"), "the heading has no column `type`");
    let row = |record: csv::Result<csv::StringRecord>| -> Result<Value> {
        let mut object = Map::new();
        for (field, text) in heading.iter().zip(record?.iter()).filter(|(_, text)| !text.is_empty()) {
            let value = match field {
                _ if INTEGERS.contains(&field) => Value::from(text.parse::<i64>().with_context(|| format!("{field}: {text}"))?),
                _ if LISTS.contains(&field) => text.split('|').map(str::trim).map(Value::from).collect(),
                "retired" => Value::from(text.parse::<bool>().with_context(|| format!("{field}: {text}"))?),
                _ => Value::from(text),
            };
            object.insert(field.to_owned(), value);
        }
        Ok(Value::Object(object))
    };
    Ok(reader.records().map(row).collect())
}
