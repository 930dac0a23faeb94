//! Whether the broker syncs a message to disk before it acknowledges it, as far as that can be known.
//!
//! **Correctness**: nothing of ours is lost either way, for the log is the truth and what the broker forgot can be published
//! again. But a broker that does not sync forgets in a power cut what subscribers were told is there (with the standard
//! settings up to two minutes of it), and they then have to backfill. So it is looked at, said aloud, and may be refused.
//! Servers before 2.10 cannot sync every write; later ones say what they do in `/varz`, asked of them over NATS (which
//! needs the system account) or over their monitoring address.

use std::time::Duration;

use serde::Deserialize;

/// The subject under which every server of a cluster says how it is set.
const VARZ: &str = "$SYS.REQ.SERVER.PING.VARZ";
/// Longest wait for an answer: most accounts may not ask, and then none comes.
const ASK_TIME_MAX: Duration = Duration::from_millis(500);
/// Servers before this one have no such setting.
const KNOWS_SYNC_INTERVAL: (u32, u32) = (2, 10);

/// What is known of the broker's syncing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Each message is synced before it is acknowledged.
    Synced,
    /// It is not, and why.
    Unsynced(String),
    /// The broker does not tell this account.
    #[default]
    Unknown,
}

impl Durability {
    /// The word in health answers.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Unsynced(_) => "unsynced",
            Self::Unknown => "unknown",
        }
    }

    /// One sentence for a person.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Synced => "every message is synced to disk before it is acknowledged".to_owned(),
            Self::Unsynced(why) => format!("a power cut loses acknowledged messages: {why}"),
            Self::Unknown => {
                "whether messages are synced is not known: this account may not ask; NATS_MONITOR_URL would tell".to_owned()
            }
        }
    }
}

/// The part of `/varz` that matters here.
#[derive(Debug, Deserialize)]
struct Varz {
    jetstream: Option<JetStream>,
}

#[derive(Debug, Deserialize)]
struct JetStream {
    config: Option<Config>,
}

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    sync_always: bool,
    /// Nanoseconds.
    #[serde(default)]
    sync_interval: u64,
}

/// An answer over NATS: the same in an envelope.
#[derive(Debug, Deserialize)]
struct Enveloped {
    data: Varz,
}

/// Finds out what can be known: by the version, over NATS, over the monitoring address.
pub async fn look(client: &async_nats::Client, monitor_url: Option<&str>) -> Durability {
    let version = client.server_info().version;
    if is_older(&version) {
        return Durability::Unsynced(format!("nats-server {version} cannot sync every write, 2.10 is the first that can"));
    }
    let asked = tokio::time::timeout(ASK_TIME_MAX, client.request(VARZ, "".into())).await;
    let told = asked.ok().and_then(Result::ok).and_then(|answer| serde_json::from_slice::<Enveloped>(&answer.payload).ok());
    if let Some(told) = told {
        return judge(&told.data);
    }
    match monitor_url {
        Some(url) => ask_monitor(url).await.map_or(Durability::Unknown, |told| judge(&told)),
        None => Durability::Unknown,
    }
}

async fn ask_monitor(url: &str) -> Option<Varz> {
    // A client asks for one even where it speaks plain HTTP; whoever was first has decided.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(ASK_TIME_MAX).build().ok()?;
    client.get(format!("{}/varz", url.trim_end_matches('/'))).send().await.ok()?.error_for_status().ok()?.json().await.ok()
}

fn judge(told: &Varz) -> Durability {
    match told.jetstream.as_ref().and_then(|j| j.config.as_ref()) {
        None => Durability::Unknown,
        Some(config) if config.sync_always => Durability::Synced,
        Some(Config { sync_interval: 0, .. }) => Durability::Unknown,
        Some(config) => {
            let seconds = config.sync_interval / 1_000_000_000;
            Durability::Unsynced(format!("it syncs every {seconds} s; set `sync_interval: always` in its `jetstream` block"))
        }
    }
}

/// False for what cannot be read: then the server is asked.
fn is_older(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < KNOWS_SYNC_INTERVAL,
        _not_two_numbers => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_known_by_their_version() {
        assert!(is_older("2.9.10"));
        assert!(is_older("1.4.0"));
        assert!(!is_older("2.10.0"));
        assert!(!is_older("2.12.1-beta.1"));
        assert!(!is_older("3.0.0"));
        assert!(!is_older("dev"));
    }

    #[test]
    fn what_a_server_says_is_judged() {
        let judged = |text: &str| judge(&serde_json::from_str(text).unwrap());
        let always = r#"{"jetstream":{"config":{"store_dir":"/d","sync_interval":120000000000,"sync_always":true}}}"#;
        assert_eq!(judged(always), Durability::Synced);
        let standard = judged(r#"{"jetstream":{"config":{"sync_interval":120000000000}}}"#);
        assert!(matches!(&standard, Durability::Unsynced(why) if why.contains("120 s")), "{standard:?}");
        assert_eq!(judged(r#"{"jetstream":{}}"#), Durability::Unknown);
        assert_eq!(judged("{}"), Durability::Unknown);
        let enveloped: Enveloped = serde_json::from_str(&format!(r#"{{"server":{{}},"data":{always}}}"#)).unwrap();
        assert_eq!(judge(&enveloped.data), Durability::Synced);
    }

    /// A monitoring address that gives one answer.
    async fn monitor(status: &'static str, body: &'static str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let read = socket.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /varz HTTP/1.1"));
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn the_monitoring_address_is_asked() {
        let always = r#"{"jetstream":{"config":{"sync_always":true}}}"#;
        assert_eq!(ask_monitor(&monitor("200 OK", always).await).await.map(|told| judge(&told)), Some(Durability::Synced));
        assert!(ask_monitor(&monitor("403 Forbidden", always).await).await.is_none());
        assert!(ask_monitor(&monitor("200 OK", "<html>").await).await.is_none());
        assert!(ask_monitor("http://127.0.0.1:1").await.is_none());
    }
}
