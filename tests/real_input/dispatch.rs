//! Sends a plan with many clients at once, each item's history in order.
//!
//! **Shape**: a request waits for the last earlier one that touches any of its items; when its last predecessor is
//! answered it is ready, and the earliest ready one goes next.
//! **Correctness**: of two requests that touch the same item the later one is sent only after the earlier one was
//! answered, repetitions included. Requests that share no item go in any order: accounts need none.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::stream::{FuturesUnordered, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::client::{Client, Repeat};
use crate::options::Options;
use crate::request::Request;
use crate::resume::Resume;

/// How long the sending took, and how much it was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) requests: usize,
    pub(crate) commands: usize,
    pub(crate) time: Duration,
    /// The highest position answered.
    pub(crate) position: u64,
}

/// Which request waits for how many, and which it lets go.
struct Order {
    waits_for: Vec<usize>,
    followers: Vec<Vec<usize>>,
    ready: BinaryHeap<Reverse<usize>>,
}

impl Order {
    fn of(requests: &[Request]) -> Self {
        let items = requests.iter().flat_map(|r| &r.touches).max().map_or(0, |last| last + 1);
        let mut last_of: Vec<Option<usize>> = vec![None; items];
        let mut order = Self { waits_for: Vec::new(), followers: vec![Vec::new(); requests.len()], ready: BinaryHeap::new() };
        for (number, request) in requests.iter().enumerate() {
            let mut before: Vec<usize> = request.touches.iter().filter_map(|item| last_of[*item].replace(number)).collect();
            before.sort_unstable();
            before.dedup();
            // An item that stands twice in one request is no predecessor.
            before.retain(|earlier| *earlier != number);
            for earlier in &before {
                order.followers[*earlier].push(number);
            }
            if before.is_empty() {
                order.ready.push(Reverse(number));
            }
            order.waits_for.push(before.len());
        }
        order
    }

    fn done(&mut self, number: usize) {
        for follower in std::mem::take(&mut self.followers[number]) {
            self.waits_for[follower] -= 1;
            if self.waits_for[follower] == 0 {
                self.ready.push(Reverse(follower));
            }
        }
    }
}

/// For each request whether it is sent twice; the same seed gives the same choice.
fn repeats(options: &Options, requests: usize) -> Vec<Repeat> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut choose = || match (random.random_range(0..100) < options.retry_percent, random.random_range(0..2)) {
        (false, _) => Repeat::Never,
        (true, 0) => Repeat::After,
        (true, _) => Repeat::Together,
    };
    (0..requests).map(|_| choose()).collect()
}

/// Sends every request that is not acknowledged yet; the first refusal ends the run.
pub(crate) async fn run(
    what: &str,
    requests: &[Request],
    client: &Client,
    options: &Options,
    resume: &mut Resume,
) -> Result<Sent> {
    let repeats = repeats(options, requests.len());
    let bar = bar(what, requests.len());
    let started = Instant::now();
    let mut order = Order::of(requests);
    let mut sent = Sent { position: resume.position(), ..Sent::default() };
    let mut under_way = FuturesUnordered::new();
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut is_interrupted = false;
    loop {
        while under_way.len() < usize::from(options.clients) && !is_interrupted {
            let Some(Reverse(number)) = order.ready.pop() else { break };
            if resume.has(number) {
                order.done(number);
                bar.inc(1);
                continue;
            }
            let (request, repeat) = (&requests[number], repeats[number]);
            under_way.push(async move { (number, client.send(request, repeat).await) });
        }
        let next = tokio::select! {
            next = under_way.next() => next,
            pressed = &mut interrupt, if !is_interrupted => {
                pressed?;
                is_interrupted = true;
                continue;
            }
        };
        let Some((number, answer)) = next else { break };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                resume.save().context("and the state file cannot be written")?;
                bar.abandon();
                return Err(error);
            }
        };
        sent.requests += 1;
        sent.commands += requests[number].commands;
        sent.position = sent.position.max(answer.position);
        resume.acknowledge(number, answer.position)?;
        order.done(number);
        bar.inc(1);
    }
    resume.save()?;
    if is_interrupted {
        bail!("interrupted; run again with the same --state to go on");
    }
    bar.finish_and_clear();
    sent.time = started.elapsed();
    Ok(sent)
}

fn bar(what: &str, requests: usize) -> ProgressBar {
    let template = "{msg:10} {wide_bar} {pos}/{len} requests, {per_sec}, {eta} left";
    let bar = ProgressBar::new(requests.try_into().unwrap_or(u64::MAX)).with_message(what.to_owned());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_request_waits_for_the_last_one_of_each_of_its_items() -> Result<()> {
        let touches = [vec![0, 0], vec![1], vec![0, 1], vec![2], vec![1, 2]];
        let requests: Vec<_> =
            touches.into_iter().map(|t| Request::command(String::new(), "", &Value::Null, t)).collect::<Result<_>>()?;
        let mut order = Order::of(&requests);
        assert_eq!(order.waits_for, [0, 0, 2, 0, 2]);
        let mut went = Vec::new();
        while let Some(Reverse(number)) = order.ready.pop() {
            went.push(number);
            order.done(number);
        }
        assert_eq!(went, [0, 1, 2, 3, 4]);
        Ok(())
    }
}
