//! The least HTTP/1.1 client that can load a server without being the thing measured: one keep-alive connection.

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer it takes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// One connection.
pub(super) struct Client {
    stream: TcpStream,
    key: String,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    pub(super) async fn connect(address: std::net::SocketAddr, key: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, key: key.to_owned(), out: Vec::with_capacity(1_024), buffer: Vec::with_capacity(4_096) })
    }

    /// Posts JSON and answers the status.
    pub(super) async fn post(&mut self, path: &str, id: &str, body: &[u8]) -> Result<u16> {
        use std::io::Write;
        self.out.clear();
        write!(
            self.out,
            "POST {path} HTTP/1.1\r\nhost: ledger\r\nauthorization: Bearer {}\r\nidempotency-key: {id}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.key,
            body.len()
        )?;
        self.out.extend_from_slice(body);
        self.exchange().await
    }

    /// Reads a path and answers the status.
    pub(super) async fn get(&mut self, path: &str) -> Result<u16> {
        use std::io::Write;
        self.out.clear();
        write!(self.out, "GET {path} HTTP/1.1\r\nhost: ledger\r\nauthorization: Bearer {}\r\n\r\n", self.key)?;
        self.exchange().await
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Sends a request as it is and answers the status.
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<u16> {
        self.out.clear();
        self.out.extend_from_slice(request);
        self.exchange().await
    }

    async fn exchange(&mut self) -> Result<u16> {
        self.stream.write_all(&self.out).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
            ensure!(self.buffer.len() <= ANSWER_BYTES_MAX, "the answer is too large");
            if let Some(status) = whole_answer(&self.buffer)? {
                return Ok(status);
            }
        }
    }

    /// The newest answer's body, for a complaint.
    pub(super) fn last_answer(&self) -> String {
        String::from_utf8_lossy(&self.buffer).chars().take(600).collect()
    }
}

/// The status, once head and body are there.
fn whole_answer(buffer: &[u8]) -> Result<Option<u16>> {
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(buffer.get(..end).unwrap_or_default())?;
    let status = head.split(' ').nth(1).context("no status line")?.parse()?;
    let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").map(|v| v.trim().to_owned()));
    let length: usize = length.context("the answer has no content-length")?.parse()?;
    Ok((buffer.len() >= end + 4 + length).then_some(status))
}
