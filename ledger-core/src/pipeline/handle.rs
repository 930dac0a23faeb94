//! How callers reach a pipeline.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::clock::Clock;
use super::error::Error;
use crate::domain::command::Command;
use crate::domain::event::Recorded;
use crate::domain::id::{Position, TenantId};
use crate::domain::rejection::Refusal;
use crate::domain::time::Timestamp;

/// What a command was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The log includes the command's events up to here; for one without events, where it was decided.
    pub position: Position,
    /// This is the stored first answer of an earlier call.
    pub replayed: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// These facts are durable.
    Accepted {
        /// At least one.
        events: Vec<Recorded>,
    },
    /// Everything asked for was already so.
    Unchanged,
    /// The business says no.
    Refused(Refusal),
}

/// Commands of one tenant that are answered together.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tenant: TenantId,
    pub(super) commands: Vec<Command>,
    pub(super) reply: oneshot::Sender<Vec<Result<Answer, Error>>>,
    /// Room in the queue; given back when the job is answered.
    pub(super) _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) struct ShardHandle {
    pub(super) queue: mpsc::UnboundedSender<Job>,
    pub(super) room: Arc<Semaphore>,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) shards: Arc<[ShardHandle]>,
    pub(super) clock: Arc<Clock>,
    pub(super) committed: Arc<Notify>,
    pub(super) batch_steps_max: usize,
}

impl Handle {
    /// Runs one command to its end. The future may be dropped; the command goes on.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn submit(&self, tenant: TenantId, command: Command) -> Result<Answer, Error> {
        let reply = self.enqueue(tenant, vec![command])?;
        let mut answers = reply.await.map_err(|_| Error::ShuttingDown)?;
        answers.pop().unwrap_or(Err(Error::ShuttingDown))
    }

    /// Runs many independent commands, decided in this order; one that is refused harms no other.
    pub async fn submit_many(&self, tenant: TenantId, commands: Vec<Command>) -> Vec<Result<Answer, Error>> {
        let mut chunks: Vec<Vec<Command>> = Vec::new();
        let mut steps = usize::MAX;
        for command in commands {
            let more = command.steps.len();
            steps = steps.saturating_add(more);
            match chunks.last_mut() {
                Some(chunk) if steps <= self.batch_steps_max => chunk.push(command),
                Some(_) | None => {
                    chunks.push(vec![command]);
                    steps = more;
                }
            }
        }
        let mut replies = Vec::new();
        let mut is_full = false;
        for chunk in chunks {
            let count = chunk.len();
            // What comes later must not overtake what was refused.
            let reply = if is_full { Err(Error::Busy) } else { self.enqueue(tenant, chunk) };
            is_full |= reply.is_err();
            replies.push((count, reply));
        }
        let mut answers = Vec::new();
        for (count, reply) in replies {
            match reply {
                Ok(reply) => match reply.await {
                    Ok(chunk) => answers.extend(chunk),
                    Err(_) => answers.extend(std::iter::repeat_n(Err(Error::ShuttingDown), count)),
                },
                Err(error) => answers.extend(std::iter::repeat_n(Err(error), count)),
            }
        }
        answers
    }

    /// Notified when batches have become durable, for one listener: several of them may be one notice.
    #[must_use]
    pub fn committed(&self) -> Arc<Notify> {
        Arc::clone(&self.committed)
    }

    /// The database's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// True while every shard takes commands.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shards.iter().all(|s| !s.queue.is_closed())
    }

    fn enqueue(&self, tenant: TenantId, commands: Vec<Command>) -> Result<oneshot::Receiver<Vec<Result<Answer, Error>>>, Error> {
        let steps = commands.iter().fold(0_usize, |sum, c| sum.saturating_add(c.steps.len().max(1)));
        let shard = usize::try_from(tenant.0.unsigned_abs()).unwrap_or(0).checked_rem(self.shards.len()).unwrap_or(0);
        let shard = self.shards.get(shard).ok_or(Error::ShuttingDown)?;
        let room = u32::try_from(steps).map_err(|_| Error::Busy)?;
        // The semaphore bounds the queue in actions; the channel itself therefore needs no bound.
        let room = Arc::clone(&shard.room).try_acquire_many_owned(room).map_err(|_| Error::Busy)?;
        let (reply, answers) = oneshot::channel();
        shard.queue.send(Job { tenant, commands, reply, _room: room }).map_err(|_| Error::ShuttingDown)?;
        Ok(answers)
    }
}
