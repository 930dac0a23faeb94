//! `ledgerd import`: commands from a file, one per row, or one per entry of a journal or book.
//!
//! **Shape**: file → [`Draft`]s (JSON objects, in the file's order) → [`Action`] → pipeline, in chunks → a report of
//! refused rows.
//! **Correctness**: a row's id is its own, or the file's digest and the row's number: the same file sent again, or
//! after an interruption, finds its rows answered and changes nothing. A dry run decides on the state folded from the
//! log and writes nothing.

mod entry;
mod journal;
mod row;
mod sie;

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::decider::{Undecided, goods_named, handle};
use ledger_core::domain::event::Subject;
use ledger_core::domain::id::{CommandId, Position, TenantId, Text, digest16};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::state::Ledger;
use ledger_core::pipeline::{self, Outcome};
use ledger_core::store::read;
use serde_json::{Value, json};
use sqlx::postgres::PgPool;

use super::connect::{self, Urls};
use super::output;
use entry::Day;
use row::{Draft, Unsent};

/// Rows sent together.
const CHUNK_ROWS: usize = 1_000;
/// Later events of one movement's goods that a dry run reads.
const GOODS_EVENTS_MAX: i64 = 65_536;
/// Bytes of a file: it is read whole.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Contradictions of a book that are printed; the JSON summary has them all.
const DIFFERENCES_SHOWN_MAX: usize = 10;

/// Shown by `--help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  ledgerd import --tenant acme movements.ndjson --dry-run
      {\"type\":\"receive\",\"sku\":\"TEA\",\"location\":\"MAIN\",\"quantity\":\"5\",\"unit_cost\":\"4.00\"}
  ledgerd import --tenant acme items.csv
      type,sku,name,scale
      define_item,TEA,Green tea,3
  ledgerd import --tenant acme journal.csv
      entry,date,account,debit,credit,description
      77,2026-01-31,6000,80.00,,Rent
      77,,1000,,80.00,
      Rows of one `entry` stand together. Instead of debit and credit: a signed `amount`.
      Also reference, series, effective_at; and of each posting currency, base, party, item,
      due_at, tax, memo, dimension:<name>.
  ledgerd import --tenant acme --opening 2026-01-01 --balance-opening-to 3000 balances.csv
      account,balance
      1000,1000.00
      2000,-300.25
      Or account,debit,credit; and of each posting what a journal has.
  ledgerd import --tenant acme books.se
      Accounts, opening balances and vouchers; --without-opening for a second year's books.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code of the tenant.
    #[arg(long)]
    tenant: String,
    /// `.ndjson`: one command per line, with its `type` and, if wanted, a `key` of its own. `.csv`: a heading names the
    /// fields; with `type` among them a row is a command, with `entry` it is a row of a journal entry.
    /// `.se`, `.si`, `.sie`: books in SIE type 4.
    file: PathBuf,
    /// Take a CSV of balances as one entry: what the ledger starts with on this day.
    #[arg(long, value_name = "DATE")]
    opening: Option<Day>,
    /// Where opening balances miss zero, post the rest to this account instead of refusing them.
    #[arg(long, value_name = "ACCOUNT")]
    balance_opening_to: Option<String>,
    /// Of SIE books, the vouchers only: the balances are in the ledger already.
    #[arg(long, conflicts_with_all = ["opening", "balance_opening_to"])]
    without_opening: bool,
    /// Begins the id of each entry; `sie-` for SIE books, nothing for CSV, if absent.
    #[arg(long)]
    prefix: Option<String>,
    /// Decide everything, write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where refused rows go, as NDJSON; `<file>.refused.ndjson` if absent.
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    urls: Urls,
}

/// What became of the rows.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Summary {
    rows: usize,
    accepted: usize,
    replayed: usize,
    unchanged: usize,
    /// Rows that say nothing: all their amounts are zero.
    skipped: usize,
    refused: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    book: Option<BookSummary>,
}

impl Summary {
    /// Adds what became of a part of the rows.
    const fn add(&mut self, part: &Self) {
        self.accepted += part.accepted;
        self.replayed += part.replayed;
        self.unchanged += part.unchanged;
        self.skipped += part.skipped;
        self.refused += part.refused;
    }
}

/// What SIE books say of themselves.
#[derive(Debug, serde::Serialize)]
struct BookSummary {
    #[serde(flatten)]
    about: sie::About,
    year: Option<[String; 2]>,
    accounts: usize,
    dimensions: usize,
    objects: usize,
    vouchers: usize,
    /// Closing balances of the file that its own opening and vouchers do not lead to.
    closing_differs: Vec<sie::Difference>,
}

/// A row that is sent, or not.
struct Row {
    number: usize,
    entry: Option<String>,
    command: Result<Command, Unsent>,
}

/// A file, read.
struct Source {
    rows: Vec<Row>,
    book: Option<BookSummary>,
    /// The tenant's state, where something asked for it.
    ledger: Option<Ledger>,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let kind = Kind::of(&args)?;
    let urls = args.urls.clone().resolve()?;
    let pool = urls.pool().await?;
    let tenant = connect::tenant(&pool, &args.tenant).await?;
    let Source { rows, book, ledger } = read_source(&args, kind, &pool, tenant).await?;
    let report_path = args.report.clone().unwrap_or_else(|| {
        let mut name = args.file.clone().into_os_string();
        name.push(".refused.ndjson");
        name.into()
    });
    let mut report = Report { path: report_path, file: None };
    let bar = bar(rows.len())?;
    let mut summary = match ledger.filter(|_| args.dry_run) {
        Some(ledger) => dry_run(&pool, tenant, ledger, rows, &mut report, &bar).await?,
        None => {
            let (pipeline, tasks) =
                pipeline::start(pipeline::Options::for_cores(urls.database()?.to_owned(), 1), pool.clone()).await?;
            let summary = send(&pipeline, tenant, rows, &mut report, &bar).await?;
            drop(pipeline);
            for task in tasks {
                task.await?;
            }
            summary
        }
    };
    bar.finish_and_clear();
    summary.book = book;
    if json {
        output::print_json(&summary)?
    } else {
        print(&summary, args.dry_run, &report)?
    }
    Ok(if summary.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

fn print(summary: &Summary, is_dry: bool, report: &Report) -> Result<()> {
    let Summary { rows, accepted, replayed, unchanged, skipped, refused, book } = summary;
    if let Some(book) = book {
        print_book(book)?;
    }
    let what = if is_dry { "would be accepted" } else { "accepted" };
    output::print(&format!(
        "{rows} rows: {accepted} {what}, {replayed} known before, {unchanged} already so, {skipped} skipped, {refused} refused"
    ))?;
    if report.file.is_some() {
        output::print(&format!("refused and skipped rows: {}", report.path.display()))?;
    }
    Ok(())
}

fn print_book(book: &BookSummary) -> Result<()> {
    let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let years = book.year.as_ref().map_or_else(|| "no year".to_owned(), |[start, end]| format!("{start} to {end}"));
    output::print(&format!("books of {}, {years}, written by {}", of(&book.about.company), of(&book.about.program)))?;
    let differs = &book.closing_differs;
    if !differs.is_empty() {
        output::print(&format!("{} closing balances are not what the file's own vouchers lead to:", differs.len()))?;
    }
    for d in differs.iter().take(DIFFERENCES_SHOWN_MAX) {
        output::print(&format!("  {}: declared {}, computed {}", d.account, d.declared, d.computed))?;
    }
    Ok(())
}

fn bar(rows: usize) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(u64::try_from(rows)?).with_style(style))
}

/// Where refused and skipped rows go.
struct Report {
    path: PathBuf,
    file: Option<Box<dyn Write + Send>>,
}

impl Report {
    /// One line: the row, its entry, and `refused` or `skipped` with the reason.
    fn write(&mut self, number: usize, entry: Option<&str>, verdict: &str, why: Value) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = File::create(&self.path).with_context(|| format!("writing {}", self.path.display()))?;
                none.insert(Box::new(file))
            }
        };
        let mut line = json!({"row": number});
        if let Some(entry) = entry {
            line["entry"] = entry.into();
        }
        line[verdict] = why;
        writeln!(file, "{line}")?;
        Ok(())
    }

    fn refusal(&mut self, number: usize, entry: Option<&str>, rejection: &Rejection, summary: &mut Summary) -> Result<()> {
        summary.refused += 1;
        self.write(number, entry, "refused", serde_json::to_value(rejection)?)
    }

    fn unsent(&mut self, number: usize, entry: Option<&str>, unsent: Unsent, summary: &mut Summary) -> Result<()> {
        match unsent {
            Unsent::Refused(rejection) => self.refusal(number, entry, &rejection, summary),
            Unsent::Malformed(error) => {
                summary.refused += 1;
                self.write(number, entry, "refused", json!({"code": "malformed", "detail": format!("{error:#}")}))
            }
            Unsent::Skipped(why) => {
                summary.skipped += 1;
                self.write(number, entry, "skipped", why.into())
            }
            Unsent::Unchanged => {
                summary.unchanged += 1;
                Ok(())
            }
        }
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
        let (mut sent, mut commands) = (Vec::new(), Vec::new());
        for Row { number, entry, command } in rows.by_ref().take(CHUNK_ROWS) {
            match command {
                Ok(command) => {
                    sent.push((number, entry));
                    commands.push(command);
                }
                Err(unsent) => report.unsent(number, entry.as_deref(), unsent, &mut summary)?,
            }
            bar.inc(1);
        }
        for ((number, entry), answer) in sent.into_iter().zip(pipeline.submit_many(tenant, commands).await) {
            let answer = answer.with_context(|| format!("row {number}; send the same file again to go on from here"))?;
            match answer.outcome {
                Outcome::Refused(refusal) => report.refusal(number, entry.as_deref(), &refusal.rejection, &mut summary)?,
                Outcome::Accepted { .. } if answer.replayed => summary.replayed += 1,
                Outcome::Accepted { .. } => summary.accepted += 1,
                Outcome::Unchanged => summary.unchanged += 1,
            }
        }
    }
    Ok(summary)
}

/// Commands that came over HTTP, one per line, sent a part at a time.
pub(crate) struct Upload {
    rows: std::vec::IntoIter<Row>,
    pub(crate) summary: Summary,
}

impl Upload {
    /// `name` makes the identities of rows that have none of their own: the same upload again finds them answered.
    pub(crate) fn read(bytes: &[u8], name: &str, actor: &str) -> Result<Self> {
        let context = Arc::new(Context { actor: Text::parse(actor).ok(), ..Context::default() });
        let rows: Vec<Row> = row::ndjson(bytes)?.into_iter().map(|draft| row(draft, name, &context)).collect();
        let summary = Summary { rows: rows.len(), ..Summary::default() };
        Ok(Self { rows: rows.into_iter(), summary })
    }

    /// Rows still to be sent.
    pub(crate) fn left(&self) -> usize {
        self.rows.len()
    }

    /// Sends some rows; answers a line for each that was refused or skipped.
    pub(crate) async fn send(&mut self, pipeline: &pipeline::Handle, tenant: TenantId) -> Result<Vec<u8>> {
        let lines = Lines::default();
        let mut report = Report { path: PathBuf::new(), file: Some(Box::new(lines.clone())) };
        let rows = self.rows.by_ref().take(CHUNK_ROWS).collect();
        let sent = send(pipeline, tenant, rows, &mut report, &ProgressBar::hidden()).await?;
        self.summary.add(&sent);
        Ok(lines.take())
    }
}

/// Lines kept in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn dry_run(
    pool: &PgPool,
    tenant: TenantId,
    mut ledger: Ledger,
    rows: Vec<Row>,
    report: &mut Report,
    bar: &ProgressBar,
) -> Result<Summary> {
    let now = read::clock(pool).await?;
    let mut summary = Summary { rows: rows.len(), ..Summary::default() };
    for Row { number, entry, command } in rows {
        bar.inc(1);
        let outcome = match command {
            Ok(command) => {
                for position in command.steps.iter().filter_map(goods_named) {
                    read_goods(pool, tenant, &mut ledger, position).await?;
                }
                handle(&mut ledger, &command, now)
            }
            Err(unsent) => {
                report.unsent(number, entry.as_deref(), unsent, &mut summary)?;
                continue;
            }
        };
        match outcome {
            Ok(events) if events.is_empty() => summary.unchanged += 1,
            Ok(_) => summary.accepted += 1,
            Err(Undecided::Refused(refusal)) => report.refusal(number, entry.as_deref(), &refusal.rejection, &mut summary)?,
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

/// What the file is, by its name and the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Commands,
    Table,
    Opening,
    Book,
}

impl Kind {
    /// # Errors
    /// A name that says nothing, and options that mean nothing for such a file.
    fn of(args: &Args) -> Result<Self> {
        let extension = args.file.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let kind = match (extension.as_str(), &args.opening) {
            ("csv", Some(_)) => Self::Opening,
            ("csv", None) => Self::Table,
            (_, Some(_)) => bail!("--opening takes a .csv; SIE books bring their opening along"),
            ("ndjson" | "jsonl", None) => Self::Commands,
            ("se" | "si" | "sie", None) => Self::Book,
            _ => bail!("{}: the name must end in .ndjson, .jsonl, .csv, .se, .si or .sie", args.file.display()),
        };
        let opens = matches!(kind, Self::Opening | Self::Book);
        ensure!(opens || args.balance_opening_to.is_none(), "--balance-opening-to goes with --opening or SIE books");
        ensure!(kind == Self::Book || !args.without_opening, "--without-opening goes with SIE books");
        ensure!(kind != Self::Commands || args.prefix.is_none(), "--prefix goes with journals, --opening or SIE books");
        Ok(kind)
    }
}

async fn read_source(args: &Args, kind: Kind, pool: &PgPool, tenant: TenantId) -> Result<Source> {
    let path = args.file.as_path();
    let bytes = read_file(path)?;
    let digest: String = digest16(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let ledger = if args.dry_run || kind == Kind::Book { Some(super::export::fold(pool, tenant).await?) } else { None };
    let (drafts, book) = match (kind, &args.opening, &ledger) {
        (Kind::Book, _, Some(ledger)) => book(args, &bytes, &digest, ledger).map(|(drafts, book)| (drafts, Some(book))),
        (Kind::Opening, Some(day), _) => {
            let (prefix, to) = (args.prefix.as_deref().unwrap_or_default(), args.balance_opening_to.as_deref());
            journal::opening(row::table(&bytes), prefix, day, to).map(|drafts| (drafts, None))
        }
        (Kind::Table, ..) => table(args, &bytes).map(|drafts| (drafts, None)),
        _ => row::ndjson(&bytes).map(|drafts| (drafts, None)),
    }
    .with_context(|| path.display().to_string())?;
    let context = Arc::new(Context { actor: Some(Text::parse("cli:import")?), ..Context::default() });
    let rows = drafts.into_iter().map(|draft| row(draft, &digest, &context)).collect();
    Ok(Source { rows, book, ledger })
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let said = || format!("reading {}", path.display());
    let bytes = std::fs::metadata(path).with_context(said)?.len();
    ensure!(bytes <= FILE_BYTES_MAX, "{} is larger than {FILE_BYTES_MAX} bytes", path.display());
    std::fs::read(path).with_context(said)
}

fn book(args: &Args, bytes: &[u8], digest: &str, ledger: &Ledger) -> Result<(Vec<Draft>, BookSummary)> {
    let book = sie::parse(bytes)?;
    let plan = sie::Plan {
        ledger,
        digest,
        prefix: args.prefix.as_deref().unwrap_or("sie-"),
        balance_opening_to: args.balance_opening_to.as_deref(),
        without_opening: args.without_opening,
    };
    let drafts = sie::drafts(&book, &plan)?;
    let summary = BookSummary {
        year: book.year.as_ref().map(|year| [year.start.to_string(), year.end.to_string()]),
        accounts: book.accounts.len(),
        dimensions: book.dimensions.len(),
        objects: book.dimensions.values().map(|dimension| dimension.objects.len()).sum(),
        vouchers: book.vouchers.len(),
        closing_differs: book.differences(),
        about: book.about,
    };
    Ok((drafts, summary))
}

/// A CSV says by its heading what its rows are.
fn table(args: &Args, bytes: &[u8]) -> Result<Vec<Draft>> {
    let mut reader = row::table(bytes);
    let has = |heading: &csv::StringRecord, name| heading.iter().any(|h| h == name);
    let heading = reader.headers()?;
    if has(heading, "type") {
        ensure!(args.prefix.is_none(), "--prefix goes with journals, --opening or SIE books");
        return row::commands(reader);
    }
    ensure!(has(heading, "entry"), "the heading has neither a column `type` nor a column `entry`");
    journal::entries(reader, args.prefix.as_deref().unwrap_or_default())
}

fn row(draft: Draft, digest: &str, context: &Arc<Context>) -> Row {
    let Draft { number, key, entry, content } = draft;
    let command = content.and_then(|object| Ok(command(object, &format!("import:{digest}:{key}"), context)?));
    Row { number, entry, command }
}

fn command(mut object: Value, key: &str, context: &Arc<Context>) -> Result<Command> {
    // A row's own key stands under `key`: `id` belongs to the reservation or entry that the row may create.
    let id = match object.as_object_mut().context("a row is not an object")?.remove("key") {
        Some(Value::String(key)) => key,
        Some(_) => bail!("key is not a text"),
        None => key.to_owned(),
    };
    let action: Action = serde_json::from_value(object)?;
    Ok(Command::new(CommandId::from_key(&id), Arc::clone(context), vec![action], uuid::Uuid::now_v7()))
}
