//! The log as server-sent events, over a real socket.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::faults::{Load, stocked};
use crate::harness::{Client, Parts, World};

/// Longest wait for the next piece of a stream: more than its heartbeat.
const PIECE_TIME_MAX: Duration = Duration::from_secs(30);

/// One block of a stream, up to its empty line.
#[derive(Debug, Default, PartialEq)]
struct Block {
    id: Option<i64>,
    event: Option<String>,
    data: Option<Value>,
    comment: bool,
}

/// An open stream.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(c: &Client, query: &str, last_event_id: Option<i64>) -> Self {
        let mut request = c.request(Method::GET, &format!("/v1/events{query}")).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new() }
    }

    /// The next block; `None` at the stream's end.
    async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = parse(block);
                self.text = rest.to_owned();
                return Some(block);
            }
            let piece = tokio::time::timeout(PIECE_TIME_MAX, self.answer.chunk()).await.expect("a stream says something");
            match piece {
                Ok(Some(bytes)) => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Ok(None) => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        match line.split_once(':').unwrap() {
            ("", _) => block.comment = true,
            ("id", id) => block.id = Some(id.trim().parse().unwrap()),
            ("event", name) => block.event = Some(name.trim().to_owned()),
            ("data", data) => block.data = Some(serde_json::from_str(data).unwrap()),
            other => panic!("{other:?}"),
        }
    }
    block
}

/// While commands come in, a client is cut off again and again, and goes on from the last event it saw.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_cut_and_resumes_gets_one_to_n_once() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let c = stocked(&world, &node, "sse").await;
    let load = Load::start(&c, 4);
    let (mut last, mut cuts) = (0, 0);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let mut stream = Stream::open(&c, "", (last > 0).then_some(last)).await;
        // Cut after a changing number of events, most often within a piece that came whole.
        for _ in 0..(cuts * 7) % 40 + 1 {
            let block = stream.next().await.unwrap();
            let data = block.data.as_ref().unwrap();
            assert_eq!((block.id, data["position"].as_i64()), (Some(last + 1), Some(last + 1)));
            assert_eq!(block.event.as_deref(), data["type"].as_str());
            last += 1;
        }
        cuts += 1;
    }
    load.finish().await;
    let head = c.issue("X", "1").await.expect(201).position();
    let mut stream = Stream::open(&c, "", Some(last)).await;
    while last < head {
        assert_eq!(stream.next().await.unwrap().id, Some(last + 1));
        last += 1;
    }
    assert!(cuts > 10 && head > 100, "{cuts} cuts, {head} events");
    // It stays open for what comes.
    let next = c.issue("X", "1").await.expect(201).position();
    assert_eq!(stream.next().await.unwrap().id, Some(next));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_filtered_begins_where_it_is_told_and_says_that_it_lives() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let c = stocked(&world, &node, "filtered").await;
    c.put("/v1/items/Y", &serde_json::json!({"name": "Y"})).await.expect(201);
    c.receive("Y", "9", "1").await;
    let issued: Vec<i64> = [c.issue("X", "1").await, c.issue("Y", "1").await, c.issue("X", "2").await]
        .into_iter()
        .map(|a| a.expect(201).position())
        .collect();
    let head = issued[2];
    let mut by_type = Stream::open(&c, "?type=stock_issued", None).await;
    for position in &issued {
        assert_eq!(by_type.next().await.unwrap().id, Some(*position));
    }
    let mut by_stream = Stream::open(&c, &format!("?stream=item-X&after={}", issued[0]), None).await;
    assert_eq!(by_stream.next().await.unwrap().id, Some(issued[2]));
    // What a client remembers goes before what its address says.
    let mut resumed = Stream::open(&c, "?after=0", Some(head - 1)).await;
    assert_eq!(resumed.next().await.unwrap().id, Some(head));
    // Nothing of that type comes, but the client may go on from the end of what was looked at.
    let mut quiet = Stream::open(&c, "?type=period_closed", None).await;
    let beat = quiet.next().await.unwrap();
    assert_eq!(beat, Block { id: Some(head), comment: true, ..Block::default() });
    let wrong = c.request(Method::GET, "/v1/events").header("accept", "text/event-stream").header("last-event-id", "-1");
    c.send(wrong).await.refused(400, "header_invalid");
    let wrong = c.request(Method::GET, "/v1/events?type=stock_eaten").header("accept", "text/event-stream");
    c.send(wrong).await.refused(400, "parameter_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_server_is_told_to_stop() {
    let world = World::start(Parts::Database).await;
    let mut node = world.node().await;
    let c = stocked(&world, &node, "ending").await;
    let head = c.issue("X", "1").await.expect(201).position();
    let mut stream = Stream::open(&c, "", None).await;
    for position in 1..=head {
        assert_eq!(stream.next().await.unwrap().id, Some(position));
    }
    let ended = tokio::spawn(async move { stream.next().await });
    let started = Instant::now();
    let code = tokio::task::spawn_blocking(move || node.terminate()).await.unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(ended.await.unwrap(), None);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
