//! A shard's writer: collects jobs, has them decided, appends, answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::PgConnection;
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::batch::{self, Part};
use super::cache::{Tenant, fault};
use super::clock::Clock;
use super::error::Error;
use super::handle::{Answer, Handle, Job, Outcome, ShardHandle};
use super::options::Options;
use super::settle::{Witnesses, settle};
use crate::domain::command::Command;
use crate::domain::event::Subject;
use crate::domain::id::{CommandId, Position, TenantId};
use crate::domain::rejection::{Refusal, Rejection};
use crate::store::append::{Batch, Verdict, append};
use crate::store::command_log::{self, Answered, Found};
use crate::store::{self, Outcome as Written, pool, read};

/// Times a batch is decided before its callers are told to come back.
const ATTEMPTS_MAX: u32 = 16;
/// Events read back for the closed streams that one batch names.
const ABSORB_EVENTS_MAX: i64 = 65_536;
/// A tenant whose log did not check is looked at again after this long.
const STOPPED_RETRY: Duration = Duration::from_secs(30);

/// Starts the shards. They end, after finishing what is queued, when the last [`Handle`] is dropped; the returned
/// tasks end then.
///
/// # Errors
/// [`store::Error`] when the database cannot be reached.
pub async fn start(options: Options, pool: PgPool) -> Result<(Handle, Vec<JoinHandle<()>>), store::Error> {
    let clock = Arc::new(Clock::new(read::clock(&pool).await?));
    let committed = Arc::new(Notify::new());
    let mut shards = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..options.shards.max(1) {
        let (queue, jobs) = mpsc::unbounded_channel();
        let (loaded_out, loaded) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(options.queue_steps_max as usize));
        let shard = Shard {
            connection: Some(pool::connect_writer(&options.url).await?),
            options: options.clone(),
            pool: pool.clone(),
            clock: Arc::clone(&clock),
            committed: Arc::clone(&committed),
            tenants: FxHashMap::default(),
            loading: FxHashMap::default(),
            stopped: FxHashMap::default(),
            loaded_out,
        };
        shards.push(ShardHandle { queue, room });
        tasks.push(tokio::spawn(shard.run(jobs, loaded)));
    }
    Ok((Handle { shards: shards.into(), clock, committed, batch_steps_max: options.batch_steps_max }, tasks))
}

type Loaded = (TenantId, Result<Tenant, Error>);

struct Shard {
    options: Options,
    pool: PgPool,
    clock: Arc<Clock>,
    committed: Arc<Notify>,
    connection: Option<PgConnection>,
    tenants: FxHashMap<TenantId, Tenant>,
    /// Jobs that wait for their tenant's log to be folded. Bounded by the queue's room, which they still hold.
    loading: FxHashMap<TenantId, Vec<Job>>,
    stopped: FxHashMap<TenantId, Instant>,
    loaded_out: mpsc::UnboundedSender<Loaded>,
}

/// The commands of one tenant in a batch, and their answers as they become known.
struct Work {
    tenant: TenantId,
    jobs: Vec<Job>,
    answers: Vec<Vec<Option<Result<Answer, Error>>>>,
}

impl Work {
    /// Places (job, command) without an answer.
    fn open(&self) -> Vec<(usize, usize)> {
        let per_job = self.answers.iter().enumerate();
        per_job.flat_map(|(j, list)| list.iter().enumerate().filter(|(_, a)| a.is_none()).map(move |(c, _)| (j, c))).collect()
    }

    fn command(&self, (job, command): (usize, usize)) -> Option<&Command> {
        self.jobs.get(job)?.commands.get(command)
    }

    fn answer(&mut self, (job, command): (usize, usize), answer: Result<Answer, Error>) {
        if let Some(slot) = self.answers.get_mut(job).and_then(|list| list.get_mut(command)) {
            *slot = Some(answer);
        }
    }

    fn answer_rest(&mut self, error: Error) {
        for at in self.open() {
            self.answer(at, Err(error));
        }
    }

    fn is_done(&self) -> bool {
        self.answers.iter().flatten().all(Option::is_some)
    }

    fn send(self) {
        for (job, answers) in self.jobs.into_iter().zip(self.answers) {
            let answers = answers.into_iter().map(|a| a.unwrap_or(Err(Error::Unavailable))).collect();
            // The caller may have gone away; the command is done all the same.
            let _ = job.reply.send(answers);
        }
    }
}

impl Shard {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>, mut loaded: mpsc::UnboundedReceiver<Loaded>) {
        let mut batch_before = 0;
        loop {
            // Both are channels: nothing that holds a database call is dropped here.
            let first = tokio::select! {
                Some((tenant, state)) = loaded.recv() => {
                    self.take_loaded(tenant, state).await;
                    continue;
                }
                job = jobs.recv() => job,
            };
            let Some(first) = first else { break };
            // Callers just answered are about to ask again: let them, so that batches do not alternate large and small.
            if batch_before > 1 {
                tokio::task::yield_now().await;
            }
            let mut batch = vec![first];
            let mut steps = steps_of(&batch);
            while steps < self.options.batch_steps_max {
                let Ok(job) = jobs.try_recv() else { break };
                steps = steps.saturating_add(job.commands.iter().map(|c| c.steps.len()).sum());
                batch.push(job);
            }
            batch_before = batch.len();
            self.run_batch(batch).await;
        }
        while !self.loading.is_empty() {
            let Some((tenant, state)) = loaded.recv().await else {
                break;
            };
            self.take_loaded(tenant, state).await;
        }
    }

    /// Parks the jobs of tenants that are not in memory, runs the others.
    async fn run_batch(&mut self, jobs: Vec<Job>) {
        let mut works: Vec<Work> = Vec::new();
        let mut at: FxHashMap<TenantId, usize> = FxHashMap::default();
        for job in jobs {
            if !self.tenants.contains_key(&job.tenant) {
                self.park(job);
                continue;
            }
            let answers = std::iter::repeat_with(|| None).take(job.commands.len()).collect();
            let work = *at.entry(job.tenant).or_insert_with(|| {
                works.push(Work { tenant: job.tenant, jobs: Vec::new(), answers: Vec::new() });
                works.len().saturating_sub(1)
            });
            if let Some(work) = works.get_mut(work) {
                work.jobs.push(job);
                work.answers.push(answers);
            }
        }
        if !works.is_empty() {
            self.execute(works).await;
        }
        self.evict();
    }

    fn park(&mut self, job: Job) {
        let tenant = job.tenant;
        if self.stopped.get(&tenant).is_some_and(|at| at.elapsed() < STOPPED_RETRY) {
            let answers = job.commands.iter().map(|_| Err(Error::TenantStopped)).collect();
            let _ = job.reply.send(answers);
            return;
        }
        let waiting = self.loading.entry(tenant).or_default();
        waiting.push(job);
        if waiting.len() == 1 {
            let (pool, out) = (self.pool.clone(), self.loaded_out.clone());
            tokio::spawn(async move {
                let state = Tenant::load(&pool, tenant).await;
                let _ = out.send((tenant, state));
            });
        }
    }

    async fn take_loaded(&mut self, tenant: TenantId, state: Result<Tenant, Error>) {
        let jobs = self.loading.remove(&tenant).unwrap_or_default();
        match state {
            Ok(state) => {
                self.stopped.remove(&tenant);
                self.tenants.insert(tenant, state);
                self.run_batch(jobs).await;
            }
            Err(error) => {
                if error == Error::TenantStopped {
                    self.stop(tenant, "its log does not check");
                }
                for job in jobs {
                    let answers = job.commands.iter().map(|_| Err(error)).collect();
                    let _ = job.reply.send(answers);
                }
            }
        }
    }

    fn stop(&mut self, tenant: TenantId, why: &str) {
        tracing::error!(%tenant, why, "tenant stopped");
        metrics::counter!("ledger_tenant_stops_total").increment(1);
        self.tenants.remove(&tenant);
        self.stopped.insert(tenant, Instant::now());
    }

    fn evict(&mut self) {
        while self.tenants.len() > self.options.tenants_cached_max {
            let Some(oldest) = self.tenants.iter().min_by_key(|(_, t)| t.used_at).map(|(id, _)| *id) else {
                break;
            };
            self.tenants.remove(&oldest);
        }
    }

    /// Decides and appends until every command has its answer.
    async fn execute(&mut self, mut works: Vec<Work>) {
        let mut is_first = true;
        for _ in 0..ATTEMPTS_MAX {
            for work in &mut works {
                self.prepare(work, is_first).await;
            }
            is_first = false;
            self.attempt(&mut works).await;
            let (done, open): (Vec<_>, Vec<_>) = works.into_iter().partition(Work::is_done);
            done.into_iter().for_each(Work::send);
            works = open;
            if works.is_empty() {
                return;
            }
        }
        for mut work in works {
            tracing::warn!(tenant = %work.tenant, "gave up after {ATTEMPTS_MAX} conflicts");
            work.answer_rest(Error::Busy);
            work.send();
        }
    }

    /// Answers what was answered before, as far as memory has a hint of it, and reads back closed streams it names.
    async fn prepare(&mut self, work: &mut Work, is_first: bool) {
        let Some(state) = self.tenants.get_mut(&work.tenant) else {
            work.answer_rest(Error::TenantStopped);
            return;
        };
        state.used_at = Instant::now();
        if !is_first {
            return;
        }
        let mut known = Vec::new();
        let mut missing = Vec::new();
        let mut goods = BTreeSet::new();
        for at in work.open() {
            let Some(command) = work.command(at) else {
                continue;
            };
            if !command.dry_run && state.recent.may_hold(command.id) {
                known.push(command.id);
            }
            missing.extend(batch::missing_streams(state, command));
            goods.extend(batch::missing_goods(state, command));
        }
        if !known.is_empty() {
            self.answer_known(work, &known).await;
        }
        if !missing.is_empty() {
            self.absorb(work, &missing).await;
        }
        for position in goods {
            self.absorb_goods(work, position).await;
        }
    }

    /// Reads an earlier event, and what happened to its goods since. Returns are rare: one round trip each.
    async fn absorb_goods(&mut self, work: &mut Work, position: Position) {
        let name = Subject::Goods(position).to_string();
        let found = async {
            let event = read::page(&self.pool, work.tenant, position.saturating_sub(1), 1).await?;
            let later = read::stream(&self.pool, work.tenant, &name, 0, ABSORB_EVENTS_MAX).await?;
            Ok::<_, crate::store::Error>((event, later))
        };
        let found = found.await;
        let Some(state) = self.tenants.get_mut(&work.tenant) else {
            return;
        };
        match found {
            Err(error) => work.answer_rest(fault(work.tenant, &error)),
            Ok((event, later)) => {
                let event = event.into_iter().map(|s| s.recorded).find(|r| r.position == position);
                let upto = state.ledger.position();
                let later: Vec<_> = later.into_iter().map(|s| s.recorded).filter(|r| r.position <= upto).collect();
                state.ledger.absorb_goods(position, event.as_ref(), &later);
            }
        }
    }

    async fn answer_known(&mut self, work: &mut Work, ids: &[CommandId]) {
        let found = match self.pool.acquire().await {
            Ok(mut connection) => command_log::find(&mut connection, work.tenant, ids).await,
            Err(error) => Err(error.into()),
        };
        match found {
            Err(error) => work.answer_rest(fault(work.tenant, &error)),
            Ok(found) => {
                let found: FxHashMap<CommandId, Found> = found.into_iter().map(|f| (f.id, f)).collect();
                for at in work.open() {
                    let Some(command) = work.command(at) else {
                        continue;
                    };
                    if let Some(found) = found.get(&command.id) {
                        let answer = replay(found, command);
                        work.answer(at, Ok(answer));
                    }
                }
            }
        }
    }

    async fn absorb(&mut self, work: &mut Work, keys: &[[u8; 16]]) {
        let events = read::streams(&self.pool, work.tenant, keys, 0, ABSORB_EVENTS_MAX).await;
        let Some(state) = self.tenants.get_mut(&work.tenant) else {
            return;
        };
        match events {
            Err(error) => work.answer_rest(fault(work.tenant, &error)),
            Ok(events) => {
                // What lies beyond this state's position comes with the tail.
                let position = state.ledger.position();
                let events: Vec<_> = events.into_iter().map(|s| s.recorded).filter(|r| r.position <= position).collect();
                if let Err(misfit) = state.ledger.absorb(&events) {
                    self.stop(work.tenant, &misfit.to_string());
                    work.answer_rest(Error::TenantStopped);
                }
            }
        }
    }

    /// One round: decide all open commands, append, answer or leave open.
    async fn attempt(&mut self, works: &mut [Work]) {
        let now = self.clock.now();
        let mut batch = Batch::default();
        let mut parts: FxHashMap<TenantId, (Part, Vec<(usize, usize)>)> = FxHashMap::default();
        let mut witnesses = Witnesses::default();
        for work in works.iter_mut() {
            let open = work.open();
            let Some(state) = self.tenants.get_mut(&work.tenant) else {
                continue;
            };
            let commands: Vec<&Command> = open.iter().filter_map(|at| work.command(*at)).collect();
            match batch::decide(work.tenant, state, &commands, now, &mut batch) {
                Ok(part) => {
                    let written = commands.iter().find(|c| !c.dry_run);
                    if let (Some(first), false) = (written, part.is_empty) {
                        witnesses.insert(work.tenant, first.id);
                    }
                    parts.insert(work.tenant, (part, open));
                }
                Err(stopped) => {
                    // Rows of this tenant may be in the batch, but without a head they are not written.
                    self.stop(work.tenant, &stopped.0);
                    work.answer_rest(Error::TenantStopped);
                }
            }
        }
        let verdicts = if witnesses.is_empty() { Ok(FxHashMap::default()) } else { self.write(&batch, &witnesses).await };
        for work in works.iter_mut() {
            let Some((part, open)) = parts.remove(&work.tenant) else {
                continue;
            };
            let verdict = match &verdicts {
                _ if part.is_empty => Ok(Verdict::Appended),
                Ok(verdicts) => Ok(verdicts.get(&work.tenant).cloned().unwrap_or(Verdict::Conflict)),
                Err(error) => Err(*error),
            };
            self.conclude(work, part, &open, verdict).await;
        }
    }

    async fn write(&mut self, batch: &Batch, witnesses: &Witnesses) -> Result<FxHashMap<TenantId, Verdict>, Error> {
        let started = Instant::now();
        if self.connection.is_none() {
            match pool::connect_writer(&self.options.url).await {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    tracing::warn!(error = %error, "no connection for writing");
                    return Err(Error::Unavailable);
                }
            }
        }
        let Some(connection) = self.connection.as_mut() else {
            return Err(Error::Unavailable);
        };
        let error = match append(connection, batch).await {
            Ok(verdicts) => {
                self.clock.observe(verdicts.clock);
                self.committed.notify_one();
                metrics::histogram!("ledger_append_seconds").record(started.elapsed());
                metrics::histogram!("ledger_append_rows").record(u32::try_from(batch.rows()).unwrap_or(u32::MAX));
                return Ok(verdicts.tenants);
            }
            Err(error) => error,
        };
        tracing::warn!(error = ?error, "append failed");
        metrics::counter!("ledger_append_failures_total").increment(1);
        if error.outcome() == Written::NotDone {
            return Err(Error::Unavailable);
        }
        self.connection = None;
        let Some((written, connection)) = settle(&self.options.url, witnesses).await else {
            return Err(Error::OutcomeUnknown);
        };
        self.connection = Some(connection);
        metrics::counter!("ledger_append_settled_total").increment(1);
        let verdict = |t: &TenantId| {
            if written.contains(t) { Verdict::Appended } else { Verdict::Conflict }
        };
        Ok(witnesses.keys().map(|t| (*t, verdict(t))).collect())
    }

    async fn conclude(&mut self, work: &mut Work, part: Part, open: &[(usize, usize)], verdict: Result<Verdict, Error>) {
        let Some(state) = self.tenants.get_mut(&work.tenant) else {
            return;
        };
        match verdict {
            Ok(Verdict::Appended) => {
                state.frontier = part.frontier;
                state.ledger.commit();
                for (at, answer) in open.iter().zip(part.answers) {
                    if let (Ok(_), Some(command)) = (&answer, work.command(*at).filter(|c| !c.dry_run)) {
                        state.recent.insert(command.id);
                    }
                    work.answer(*at, answer);
                }
            }
            Ok(Verdict::Conflict) => {
                metrics::counter!("ledger_append_conflicts_total").increment(1);
                state.ledger.rollback_all();
                debug_assert_eq!(state.ledger.position(), part.expected);
                if let Err(error) = state.read_tail(&self.pool, work.tenant).await {
                    self.give_up(work, error);
                }
            }
            Ok(Verdict::Known { commands, streams }) => {
                state.ledger.rollback_all();
                for id in &commands {
                    state.recent.insert(*id);
                }
                if let Err(error) = state.read_tail(&self.pool, work.tenant).await {
                    self.give_up(work, error);
                    return;
                }
                self.answer_known(work, &commands).await;
                let streams: FxHashSet<_> = streams.into_iter().collect();
                self.absorb(work, &streams.into_iter().collect::<Vec<_>>()).await;
            }
            // Not written, and known to be so.
            Err(Error::Unavailable) => {
                state.ledger.rollback_all();
                work.answer_rest(Error::Unavailable);
            }
            Err(error) => self.give_up(work, error),
        }
    }

    /// The state in memory may no longer be the log's: forget it, it is folded anew when it is next needed.
    fn give_up(&mut self, work: &mut Work, error: Error) {
        if error == Error::TenantStopped {
            self.stop(work.tenant, "its log does not check");
        }
        self.tenants.remove(&work.tenant);
        work.answer_rest(error);
    }
}

fn steps_of(jobs: &[Job]) -> usize {
    jobs.iter().flat_map(|j| &j.commands).map(|c| c.steps.len()).sum()
}

/// The stored first answer, or the refusal of an id that was used for something else.
fn replay(found: &Found, command: &Command) -> Answer {
    let position = match &found.answered {
        Answered::Events(events) => events.last().map_or(0, |e| e.position),
        Answered::Quiet(position, _) => *position,
    };
    if found.fingerprint != command.fingerprint {
        let refusal = Refusal { step: None, rejection: Rejection::CommandIdReused };
        return Answer { position, replayed: false, outcome: Outcome::Refused(refusal) };
    }
    let outcome = match &found.answered {
        Answered::Events(events) => Outcome::Accepted { events: events.clone() },
        Answered::Quiet(_, answer) => answer.refusal.clone().map_or(Outcome::Unchanged, Outcome::Refused),
    };
    Answer { position, replayed: true, outcome }
}
