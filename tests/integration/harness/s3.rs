//! A small object store: as much of S3 as a witness uses, and strict about it. It works the signature (SigV4, presigned)
//! out for itself, refuses what is not signed as sent, and honours `If-None-Match`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

pub(crate) const KEY: &str = "AKIATEST";
pub(crate) const SECRET: &str = "a secret/of+the=test";
pub(crate) const REGION: &str = "eu-test-1";

/// What it holds, and what it refused.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    pub(crate) refused: Vec<String>,
}

/// A running store.
pub(crate) struct S3 {
    pub(crate) url: String,
    pub(crate) held: Arc<Mutex<Held>>,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let held = Arc::new(Mutex::new(Held::default()));
        let shared = Arc::clone(&held);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { url, held }
    }

    /// What a process that uses it has in its environment.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
            ("AWS_REGION", REGION.into()),
            ("AWS_ENDPOINT_URL", self.url.clone()),
        ]
    }
}

async fn answer(held: Arc<Mutex<Held>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut held = held.lock().unwrap();
    let (status, answer) = match signature_flaw(&parts) {
        Some(flaw) => {
            held.refused.push(format!("{} {}: {flaw}", parts.method, parts.uri));
            (StatusCode::FORBIDDEN, format!("<Error><Code>SignatureDoesNotMatch</Code><Message>{flaw}</Message></Error>"))
        }
        None => serve(&mut held, &parts, &body),
    };
    let mut response = Response::new(Full::from(answer));
    *response.status_mut() = status;
    Ok(response)
}

fn serve(held: &mut Held, parts: &hyper::http::request::Parts, body: &[u8]) -> (StatusCode, String) {
    let key = parts.uri.path().trim_start_matches("/audit").trim_start_matches('/').to_owned();
    match (&parts.method, key.is_empty()) {
        (&Method::GET, true) => (StatusCode::OK, list(held, &query(parts))),
        (&Method::GET, false) => match held.objects.get(&key) {
            Some(bytes) => (StatusCode::OK, String::from_utf8(bytes.clone()).unwrap()),
            None => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>".into()),
        },
        (&Method::PUT, false) => {
            let is_careful = parts.headers.get("if-none-match").is_some_and(|v| v == "*");
            if !is_careful {
                held.refused.push(format!("PUT {key} would overwrite"));
                return (StatusCode::BAD_REQUEST, "this store wants If-None-Match".into());
            }
            if held.objects.contains_key(&key) {
                return (StatusCode::PRECONDITION_FAILED, "<Error><Code>PreconditionFailed</Code></Error>".into());
            }
            held.objects.insert(key, body.to_vec());
            (StatusCode::OK, String::new())
        }
        _ => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
    }
}

/// ListObjectsV2 with a prefix and a delimiter, two names a page so that paging is used.
fn list(held: &Held, query: &BTreeMap<String, String>) -> String {
    let prefix = query.get("prefix").map_or("", String::as_str);
    assert_eq!(query.get("delimiter").map(String::as_str), Some("/"));
    let token = query.get("continuation-token");
    let mut names: Vec<(String, bool)> = Vec::new();
    for key in held.objects.keys().filter(|key| key.starts_with(prefix)) {
        let name = match key[prefix.len()..].split_once('/') {
            Some((folder, _)) => (format!("{prefix}{folder}/"), true),
            None => (key.clone(), false),
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names.retain(|(name, _)| token.is_none_or(|token| name > token));
    let is_truncated = names.len() > 2;
    names.truncate(2);
    let rows: String = names
        .iter()
        .map(|(name, is_folder)| match is_folder {
            true => format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", encoded(name)),
            false => format!("<Contents><Key>{}</Key></Contents>", encoded(name)),
        })
        .collect();
    let token = names
        .last()
        .filter(|_| is_truncated)
        .map_or(String::new(), |(name, _)| format!("<NextContinuationToken>{name}</NextContinuationToken>"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <IsTruncated>{is_truncated}</IsTruncated><EncodingType>url</EncodingType>{token}{rows}</ListBucketResult>"
    )
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-._~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        if *byte == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn query(parts: &hyper::http::request::Parts) -> BTreeMap<String, String> {
    let pairs = parts.uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// What is wrong with a presigned request's signature (AWS, "Authenticating Requests: Using Query Parameters").
fn signature_flaw(parts: &hyper::http::request::Parts) -> Option<String> {
    let mut query = query(parts);
    let given = query.remove("X-Amz-Signature").unwrap_or_default();
    let get = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (date, credential, signed) = (get("X-Amz-Date"), get("X-Amz-Credential"), get("X-Amz-SignedHeaders"));
    let scope = format!("{}/{REGION}/s3/aws4_request", date.get(..8).unwrap_or(""));
    if credential != format!("{KEY}/{scope}") {
        return Some(format!("the credential is {credential}"));
    }
    if parts.headers.contains_key("if-none-match") && !signed.split(';').any(|name| name == "if-none-match") {
        return Some("If-None-Match is not signed".into());
    }
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").trim().to_owned();
    let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", header(name))).collect();
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let request = format!("{}\n{}\n{}\n{headers}\n{signed}\nUNSIGNED-PAYLOAD", parts.method, parts.uri.path(), pairs.join("&"));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part);
    }
    let expected = hex(&hmac(&key, &text));
    (given != expected).then(|| "another signature belongs to this request".to_owned())
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
