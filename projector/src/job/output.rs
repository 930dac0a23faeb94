//! A job's large result, written while it is made.

use ledger_core::store::job::{self, CHUNK_BYTES_MAX, RESULT_BYTES_MAX, Run};
use sqlx::postgres::PgPool;

use super::Failure;

/// Takes the bytes of a result and stores them in chunks. What is written is seen only when the run ends well.
#[derive(Debug)]
pub struct Output {
    pool: PgPool,
    run: Run,
    number: i32,
    bytes: u64,
    waiting: Vec<u8>,
}

impl Output {
    pub(super) fn new(pool: PgPool, run: Run) -> Self {
        Self { pool, run, number: 0, bytes: 0, waiting: Vec::new() }
    }

    /// Where to put bytes; call [`Output::flush`] now and then.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// Stores whole chunks of what waits.
    ///
    /// # Errors
    /// [`Failure`] when the result is too large, or the job is no longer this run's.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        while self.waiting.len() >= CHUNK_BYTES_MAX {
            let rest = self.waiting.split_off(CHUNK_BYTES_MAX);
            let chunk = std::mem::replace(&mut self.waiting, rest);
            self.store(&chunk).await?;
        }
        Ok(())
    }

    /// Stores the rest; answers how many bytes there are in all.
    ///
    /// # Errors
    /// As for [`Output::flush`].
    pub async fn finish(mut self) -> Result<u64, Failure> {
        self.flush().await?;
        let last = std::mem::take(&mut self.waiting);
        if !last.is_empty() {
            self.store(&last).await?;
        }
        Ok(self.bytes)
    }

    async fn store(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if self.bytes > RESULT_BYTES_MAX {
            return Err(Failure::ForGood(format!("the result is larger than {RESULT_BYTES_MAX} bytes")));
        }
        if !job::write(&self.pool, self.run, self.number, chunk).await? {
            return Err(Failure::Stopped);
        }
        self.number = self.number.saturating_add(1);
        Ok(())
    }
}
