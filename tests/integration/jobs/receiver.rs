//! A small HTTP server that takes webhooks, remembers everything, and answers as it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
    pub(super) json: Value,
    /// What it was answered with.
    pub(super) status: u16,
}

impl Message {
    /// The event's position; 0 when it is none.
    pub(super) fn position(&self) -> i64 {
        self.json["data"]["position"].as_i64().unwrap_or(0)
    }

    /// How many of the message's signatures this secret made, by the formula of Standard Webhooks.
    pub(super) fn signed_by(&self, secret: &str) -> usize {
        let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.headers["webhook-id"], self.headers["webhook-timestamp"]).as_bytes());
        mac.update(&self.body);
        let good = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
        self.headers["webhook-signature"].split(' ').filter(|s| *s == good).count()
    }

    pub(super) fn signatures(&self) -> usize {
        self.headers["webhook-signature"].split(' ').count()
    }
}

type Answers = Arc<Mutex<Box<dyn Fn(&Message) -> (u16, &'static str) + Send>>>;

/// See the module; stops when dropped.
pub(super) struct Receiver {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Message>>>,
    answers: Answers,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub(super) async fn start() -> Self {
        Self::start_at(0).await
    }

    pub(super) async fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers: Answers = Arc::new(Mutex::new(Box::new(|_| (204, ""))));
        let (kept, said) = (Arc::clone(&seen), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&kept), Arc::clone(&said)));
            }
        });
        Self { port, seen, answers, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// From now on messages are answered so: a status and extra header lines.
    pub(super) fn answer(&self, answer: impl Fn(&Message) -> (u16, &'static str) + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answer);
    }

    pub(super) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// Positions of the events that were taken, in the order they came.
    pub(super) fn taken(&self) -> Vec<i64> {
        self.seen().iter().filter(|m| m.status < 300).map(Message::position).collect()
    }

    /// Waits until enough has come.
    pub(super) async fn wait(&self, what: &str, seconds: u64, enough: impl Fn(&[Message]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while !enough(&self.seen.lock().unwrap()) {
            assert!(Instant::now() < deadline, "{what}: only {:?}", self.taken());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<Message>>>, answers: Answers) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = HashMap::new();
        let mut line = String::new();
        if stream.read_line(&mut line).await.is_err() || line.is_empty() {
            return;
        }
        loop {
            line.clear();
            if stream.read_line(&mut line).await.is_err() {
                return;
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let mut message = Message { headers, body, json, status: 0 };
        let (status, extra) = (answers.lock().unwrap())(&message);
        message.status = status;
        seen.lock().unwrap().push(message);
        let answer = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\n{extra}\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
