//! Stands between a node and Postgres, and loses answers: what was sent reaches the server, what it says does not come
//! back, and the connection is gone. The client cannot know whether its commit happened.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// An append is larger than this; pings, reads and settlements are smaller.
const APPEND_BYTES_MIN: usize = 2_000;

pub(crate) struct Proxy {
    /// Answers still to be lost.
    pub(crate) to_lose: Arc<AtomicUsize>,
    /// Answers lost so far.
    pub(crate) lost: Arc<AtomicUsize>,
    pub(crate) url: String,
    dir: PathBuf,
}

impl Proxy {
    /// Listens in a directory of its own; `database_url` names the server's socket directory in its query.
    pub(crate) fn start(database_url: &str) -> Self {
        let host = database_url.split("host=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let dir = std::env::temp_dir().join(format!("ledgerd-proxy-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let listener = UnixListener::bind(dir.join(".s.PGSQL.5432")).unwrap();
        let (to_lose, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let proxy = Self {
            url: database_url.replace(&host, dir.to_str().unwrap()),
            to_lose: Arc::clone(&to_lose),
            lost: Arc::clone(&lost),
            dir,
        };
        let server = PathBuf::from(host).join(".s.PGSQL.5432");
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&server).await else { continue };
                tokio::spawn(carry(client, server, Arc::clone(&to_lose), Arc::clone(&lost)));
            }
        });
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Carries bytes both ways until either side ends, or an answer is to be lost.
async fn carry(client: UnixStream, server: UnixStream, to_lose: Arc<AtomicUsize>, lost: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut asked = 0;
    loop {
        tokio::select! {
            read = from_client.read(&mut up) => match read {
                Ok(n) if n > 0 => {
                    asked += n;
                    if to_server.write_all(&up[..n]).await.is_err() { return }
                }
                _ => return,
            },
            read = from_server.read(&mut down) => match read {
                Ok(n) if n > 0 => {
                    let is_append = asked > APPEND_BYTES_MIN;
                    asked = 0;
                    let lose = |left: usize| left.checked_sub(1);
                    if is_append && to_lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lose).is_ok() {
                        lost.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    if to_client.write_all(&down[..n]).await.is_err() { return }
                }
                _ => return,
            },
        }
    }
}
