//! The database's clock, carried on between statements by the machine's monotonic one: what this machine's wall clock
//! says, and how far it jumps, does not matter.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crate::domain::time::Timestamp;

/// A reading this much older than the running estimate is a clock that was set back, not a slow answer.
const STEP_MICROS: i64 = 1_000_000;

/// Shared by a pipeline's parts.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    offset: AtomicI64,
}

impl Clock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { start: Instant::now(), offset: AtomicI64::new(now.0) }
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.offset.load(Ordering::Relaxed).saturating_add(self.elapsed()))
    }

    /// Takes a reading. It is as old as its answer was slow, so of two close ones the later instant is the better.
    pub(super) fn observe(&self, reading: Timestamp) {
        let offset = reading.0.saturating_sub(self.elapsed());
        let old = self.offset.load(Ordering::Relaxed);
        if offset > old || offset < old.saturating_sub(STEP_MICROS) {
            self.offset.store(offset, Ordering::Relaxed);
        }
    }
}
