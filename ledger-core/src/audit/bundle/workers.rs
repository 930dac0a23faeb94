//! Rows of a bundle, looked at by several threads and handed on in their order.
//!
//! **Correctness**: each batch of lines has an answer channel of its own, and the channels are read in the order of the
//! batches; at most two batches per thread are under way, so a large file does not fill the memory.

use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

use super::line::Lines;
use super::{LINES_AT_ONCE, Row, is_checkpoint, row};

/// Lines of rows, some of which could not be read.
type Batch = Vec<Result<String, String>>;

/// Batches under way per thread.
const BATCHES_PER_WORKER: usize = 2;

/// Lines, and where their rows go.
type Work = (Batch, SyncSender<Vec<Row>>);

fn rows(batch: Batch) -> Vec<Row> {
    let mut scratch = Vec::new();
    let one = |line: Result<String, String>| line.map_or_else(Row::Bad, |line| row(&line, &mut scratch));
    batch.into_iter().map(one).collect()
}

/// Gives every row before the first checkpoint to `take`; answers the line of that checkpoint.
pub(super) fn in_order<R: BufRead>(
    lines: &mut Lines<R>,
    workers: usize,
    take: &mut impl FnMut(Vec<Row>),
) -> Option<Result<String, String>> {
    let mut checkpoint = None;
    let mut next_batch = || next(lines, &mut checkpoint);
    if workers == 0 {
        while let Some(batch) = next_batch() {
            take(rows(batch));
        }
        return checkpoint;
    }
    let (work, asked) = mpsc::sync_channel::<Work>(workers);
    let asked = Mutex::new(asked);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work_off(&asked));
        }
        let mut waiting: VecDeque<Receiver<Vec<Row>>> = VecDeque::new();
        loop {
            let batch = next_batch();
            let is_last = batch.is_none();
            if let Some(batch) = batch {
                let (answer, answered) = mpsc::sync_channel(1);
                waiting.push_back(answered);
                if work.send((batch, answer)).is_err() {
                    break;
                }
            }
            while waiting.len() > if is_last { 0 } else { workers.saturating_mul(BATCHES_PER_WORKER) } {
                let Some(Ok(done)) = waiting.pop_front().map(|answered| answered.recv()) else { break };
                take(done);
            }
            if is_last {
                break;
            }
        }
        drop(work);
    });
    checkpoint
}

fn work_off(asked: &Mutex<Receiver<Work>>) {
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((batch, answer)) = next else { return };
        // Nobody waits for it only when the thread that folds has stopped.
        let _ = answer.send(rows(batch));
    }
}

/// The next lines of rows; `None` when there are no more.
fn next<R: BufRead>(lines: &mut Lines<R>, checkpoint: &mut Option<Result<String, String>>) -> Option<Batch> {
    if checkpoint.is_some() {
        return None;
    }
    let mut batch = Vec::new();
    while batch.len() < LINES_AT_ONCE {
        match lines.next() {
            Some(Ok(line)) if is_checkpoint(&line) => {
                *checkpoint = Some(Ok(line));
                break;
            }
            Some(line) => batch.push(line),
            None => break,
        }
    }
    (!batch.is_empty()).then_some(batch)
}
