//! One message to one endpoint: signed, sent, and what came back.
//!
//! **Correctness**: 1. Signed as the Standard Webhooks specification says: `v1,` and base64 of HMAC-SHA256 over id, timestamp
//! and body, once per secret that is valid. 2. The name is resolved here and the connection goes to an address that was
//! judged: nothing is resolved twice, so a name cannot change its mind in between. Redirects and proxies are not followed.
//! 3. Every step has a time limit; of an answer's body a few hundred bytes are looked at.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use ledger_core::outward::Allow;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, Url};
use sha2::Sha256;

use crate::job::causes;

/// Until the connection stands.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Until the answer is there: Standard Webhooks asks for 15 to 30 seconds.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Idle connections kept per endpoint.
const IDLE_MAX: usize = 2;
/// Bytes of an answer's body that go into an error.
const ANSWER_BYTES_SHOWN: usize = 256;
/// Longest wait that an endpoint may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Why a message was not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What the endpoint answered, if it did.
    pub(super) http_status: Option<u16>,
    pub(super) why: String,
    /// How long the endpoint asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    fn unsent(why: impl Into<String>) -> Self {
        Self { http_status: None, why: why.into(), retry_after: None }
    }

    /// The endpoint says that it is gone for good.
    pub(super) fn is_gone(&self) -> bool {
        self.http_status == Some(StatusCode::GONE.as_u16())
    }
}

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) url: &'a str,
    pub(super) id: &'a str,
    pub(super) body: &'a [u8],
    pub(super) secrets: &'a [Vec<u8>],
}

/// Sends messages.
#[derive(Debug)]
pub(super) struct Sender {
    allow: Allow,
    client: Result<Client, String>,
}

impl Sender {
    pub(super) fn new(allow: Allow) -> Self {
        // Fails when one is installed already, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("ledgerd/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(std::sync::Arc::new(Judge(allow.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            .pool_max_idle_per_host(IDLE_MAX)
            .build()
            .map_err(|error| causes(&error));
        Self { allow, client }
    }

    /// Sends a message; answers the status it was taken with.
    pub(super) async fn send(&self, envelope: Envelope<'_>) -> Result<u16, Refusal> {
        let client = self.client.as_ref().map_err(|why| Refusal::unsent(why.clone()))?;
        let url = self.judged(envelope.url)?;
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let request = client
            .post(url)
            .header("content-type", "application/cloudevents+json")
            .header("webhook-id", envelope.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures(envelope, timestamp))
            .body(envelope.body.to_vec());
        // The URL may hold what its owner wants nobody to read in an error.
        let response = request.send().await.map_err(|error| Refusal::unsent(causes(&error.without_url())))?;
        let status = response.status();
        if status.is_success() { Ok(status.as_u16()) } else { Err(refusal(response).await) }
    }

    /// The URL, unless its scheme or its host says that it is not to be asked. Addresses behind a name are judged when it is
    /// resolved.
    fn judged(&self, url: &str) -> Result<Url, Refusal> {
        let url = Url::parse(url).map_err(|error| Refusal::unsent(format!("the URL cannot be read: {error}")))?;
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let is_encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(Refusal::unsent(format!("{other} is not a scheme to be used"))),
        };
        if !is_encrypted && !self.allow.names(host) {
            return Err(Refusal::unsent("http is used only with hosts that LEDGERD_WEBHOOK_ALLOW names"));
        }
        match host.parse::<IpAddr>() {
            Ok(address) if !self.allow.may_reach(host, address) => Err(Refusal::unsent(refused(address))),
            Ok(_) | Err(_) => Ok(url),
        }
    }
}

fn refused(address: IpAddr) -> String {
    format!("{address} is not a public address, and LEDGERD_WEBHOOK_ALLOW does not name it")
}

/// Resolves names, and leaves out addresses that are not to be asked.
struct Judge(Allow);

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(|at| allow.may_reach(name.as_str(), at.ip()));
            match (good.is_empty(), bad.first()) {
                (true, Some(at)) => Err(refused(at.ip()).into()),
                (true, None) => Err("the name has no address".into()),
                (false, _) => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

async fn refusal(mut response: Response) -> Refusal {
    let status = response.status();
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    let mut said = Vec::new();
    while said.len() < ANSWER_BYTES_SHOWN {
        match response.chunk().await {
            Ok(Some(bytes)) => said.extend(bytes.iter().take(ANSWER_BYTES_SHOWN.saturating_sub(said.len()))),
            Ok(None) | Err(_) => break,
        }
    }
    let said = String::from_utf8_lossy(&said);
    let why = if said.is_empty() { format!("answered {status}") } else { format!("answered {status}: {said}") };
    Refusal { http_status: Some(status.as_u16()), why, retry_after }
}

/// One signature per secret, the newest first, with blanks between.
fn signatures(envelope: Envelope<'_>, timestamp: u64) -> String {
    let mut signed = format!("{}.{timestamp}.", envelope.id).into_bytes();
    signed.extend_from_slice(envelope.body);
    let sign = |secret: &Vec<u8>| {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(&signed);
        Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
    };
    envelope.secrets.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_signed_as_standard_webhooks_says() {
        // The example of the specification's reference libraries.
        let secret = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let secrets = [secret, b"another".to_vec()];
        let envelope =
            Envelope { url: "", id: "msg_p5jXN8AQM9LWM0D4loKWxJek", body: br#"{"test": 2432232314}"#, secrets: &secrets };
        let signatures = signatures(envelope, 1_614_265_330);
        let (first, second) = signatures.split_once(' ').unwrap();
        assert_eq!(first, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(second.starts_with("v1,") && second != first);
    }

    #[test]
    fn urls_that_lead_inside_are_refused_before_anything_is_sent() {
        let sender = Sender::new("10.9.0.0/16,receiver".parse().unwrap());
        for good in ["https://example.org/x", "https://1.1.1.1", "http://10.9.1.1:80/", "https://10.9.0.1", "http://receiver/x"] {
            assert!(sender.judged(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.org/",
            "http://1.1.1.1/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://10.8.0.1",
            "ftp://receiver/",
            "file:///etc/passwd",
            "gopher://1.1.1.1",
            "https://",
            "x",
        ] {
            assert!(sender.judged(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn names_that_lead_inside_are_refused_when_they_are_resolved() {
        let resolve = |allow: &str, name: &str| Judge(allow.parse().unwrap()).resolve(name.parse().unwrap());
        let refusal = resolve("", "localhost").await.err().unwrap().to_string();
        assert!(refusal.contains("is not a public address"), "{refusal}");
        for allow in ["127.0.0.0/8,::1", "localhost"] {
            assert!(resolve(allow, "localhost").await.unwrap().next().is_some(), "{allow}");
        }
    }
}
