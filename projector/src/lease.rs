//! Projectors share the tenants: each works for some shards of them.
//!
//! **Shape**: [`Keeper::run`] says twice a second that this projector is there and takes or gives back shards, in one
//! statement; [`Leases`] answers whose turn a tenant is.
//! **Correctness**: none rests on leases. Every write is guarded by the cursor it moves, so two projectors of one tenant
//! cost work, never a row; leases only keep them out of each other's way. 1. A lease lasts as long as its holder is seen
//! by the database's clock, and its server process is there: a projector that was killed is noticed by the end of its
//! connection, one that hangs or whose machine is gone after [`LIFE`]. 2. The holder stops believing in its leases no later
//! than the others do: its own time runs from before it sent the last beat. 3. Nobody waits for a lock that a hanging
//! projector might hold: a beat is one statement, and passes over rows that someone else is looking at.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger_core::domain::id::TenantId;
use sqlx::Row;
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Error, stop};

/// Parts the tenants are divided into; the table has a row for each, and this program a bit.
const SHARDS: i64 = 64;
/// Between two beats.
const BEAT: Duration = Duration::from_millis(500);
/// A projector that was not seen for so long has lost its leases.
const LIFE: Duration = Duration::from_secs(3);
/// One that was not seen for so long is forgotten.
const FORGET: Duration = Duration::from_secs(60);
/// Longest wait for giving back when it ends: otherwise the others notice by themselves.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

const fn shard_of(tenant: TenantId) -> i64 {
    tenant.0.rem_euclid(SHARDS)
}

/// Shards held at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    shards: u64,
    /// None: for ever.
    until: Option<Instant>,
}

impl Held {
    /// Whether a tenant is among them.
    pub(crate) fn has(self, tenant: TenantId) -> bool {
        self.until.is_none_or(|until| Instant::now() < until) && self.shards >> shard_of(tenant) & 1 == 1
    }

    /// Whether something is here that was not there before.
    pub(crate) const fn has_more_than(self, before: Self) -> bool {
        self.shards & !before.shards != 0
    }
}

/// Which tenants this projector works for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leases(watch::Receiver<Held>);

impl Leases {
    /// Every tenant: for whoever works alone.
    #[must_use]
    pub fn all() -> Self {
        Self(watch::channel(Held { shards: u64::MAX, until: None }).1)
    }

    /// Whether work for this tenant is begun here. To be asked before each batch.
    #[must_use]
    pub fn holds(&self, tenant: TenantId) -> bool {
        self.now().has(tenant)
    }

    /// Whether there is any tenant to work for.
    #[must_use]
    pub fn holds_any(&self) -> bool {
        self.now().shards != 0
    }

    pub(crate) fn now(&self) -> Held {
        *self.0.borrow()
    }
}

/// Keeps the leases of one projector.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pool: PgPool,
    member: Uuid,
    held: watch::Sender<Held>,
    /// Told when there is more to do.
    gained: Arc<Notify>,
}

impl Keeper {
    pub(crate) fn new(pool: PgPool, gained: Arc<Notify>) -> (Self, Leases) {
        let (held, seen) = watch::channel(Held { shards: 0, until: Some(Instant::now()) });
        (Self { pool, member: Uuid::new_v4(), held, gained }, Leases(seen))
    }

    /// Beats until stopped, and gives back what it has.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut is_said = false;
        while !stop.is_cancelled() {
            match self.beat().await {
                Ok(()) => is_said = false,
                Err(error) if !std::mem::replace(&mut is_said, true) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "leases cannot be kept");
                }
                Err(_) => {}
            }
            tokio::select! { () = tokio::time::sleep(BEAT) => {} () = stop.cancelled() => {} }
        }
        self.held.send_replace(Held { shards: 0, until: Some(Instant::now()) });
        // In a task of its own: giving up the wait must not drop a call to the database.
        let farewell = tokio::spawn(async move { self.give_back().await });
        if let Ok(Ok(Err(error))) = tokio::time::timeout(FAREWELL_MAX, farewell).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "leases are not given back");
        }
    }

    async fn beat(&self) -> Result<(), Error> {
        let sent = Instant::now();
        let rows = sqlx::query(include_str!("lease/beat.sql"))
            .bind(self.member)
            .bind(SHARDS)
            .bind(LIFE.as_secs_f64())
            .bind(FORGET.as_secs_f64())
            .fetch_all(&self.pool)
            .await?;
        let mut shards = 0_u64;
        for row in &rows {
            shards |= 1_u64.checked_shl(u32::from(row.try_get::<i16, _>(0)?.unsigned_abs())).unwrap_or(0);
        }
        let before = self.held.send_replace(Held { shards, until: Some(sent + LIFE) });
        if shards != before.shards {
            tracing::info!(shards = shards.count_ones(), of = SHARDS, "this projector's share");
            metrics::gauge!("ledger_projector_shards").set(shards.count_ones());
            self.gained.notify_one();
        }
        stop::forget_passed(&self.pool).await
    }

    async fn give_back(&self) -> Result<(), Error> {
        let all = "WITH gone AS (DELETE FROM projector_member WHERE member_id = $1) \
                   UPDATE projector_lease SET holder = NULL WHERE holder = $1";
        sqlx::query(all).bind(self.member).execute(&self.pool).await?;
        Ok(())
    }
}
