//! Copies in an object store that speaks S3.
//!
//! **Correctness**: an object is put with `If-None-Match: *`, which the store refuses when it is there. Addresses are
//! presigned for a minute and never told: errors are shown without them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ledger_core::audit::note::NOTE_BYTES_MAX;
use reqwest::{Client, Response, StatusCode, Url};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Credentials, S3Action, UrlStyle};

use super::{Copy, GROUPS, Put, as_note, is_group, size_of};

/// How long an address is good for.
const SIGNED_FOR: Duration = Duration::from_secs(60);
/// Longest wait for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest wait for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// Longest answer that is read: a list of 1,000 names.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Bytes of an error's answer that are told.
const ERROR_BYTES_MAX: usize = 300;
/// A region where none is named.
const REGION: &str = "us-east-1";

/// A bucket, a prefix in it, and what opens it.
#[derive(Clone)]
pub(crate) struct Bucket {
    bucket: rusty_s3::Bucket,
    /// Ends with a slash, or is empty.
    prefix: String,
    credentials: Credentials,
    http: Client,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Bucket {
    /// Reads `bucket/prefix`. Credentials, region and endpoint come from the environment under the names that every S3
    /// client takes.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
        ensure!(!name.is_empty(), "s3:// needs the name of a bucket");
        let prefix = prefix.trim_matches('/');
        let variable = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let region = variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or_else(|| REGION.to_owned());
        let given = variable(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let style = if given.is_some() { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let endpoint = given.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint: Url = endpoint.parse().with_context(|| format!("the S3 endpoint {endpoint:?}"))?;
        let bucket = rusty_s3::Bucket::new(endpoint, style, name.to_owned(), region)
            .map_err(|error| anyhow::anyhow!("the bucket {name:?}: {error}"))?;
        let credentials =
            Credentials::from_env().context("s3:// needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")?;
        let http = Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(ANSWER_TIME_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("making an HTTP client")?;
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { bucket, prefix, credentials, http })
    }

    pub(super) fn shown(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.prefix)
    }

    /// Down the largest name at each level.
    pub(super) async fn newest(&self, tenant: &str) -> Result<Option<Copy>> {
        let (mut key, mut groups) = (format!("{}{tenant}/", self.prefix), Vec::new());
        while groups.len() < GROUPS {
            let Some(group) = self.largest(&key).await? else { return Ok(None) };
            key.push_str(&group);
            groups.push(group);
            if groups.len() < GROUPS {
                key.push('/');
            }
        }
        let size = size_of(&groups).context("a name that is no size")?;
        Ok(Some(Copy { size, note: self.get(&key).await?, name: format!("s3://{}/{key}", self.bucket.name()) }))
    }

    /// The largest group right below a key.
    async fn largest(&self, key: &str) -> Result<Option<String>> {
        let mut largest: Option<String> = None;
        let mut token: Option<String> = None;
        loop {
            let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
            list.with_prefix(key);
            list.with_delimiter("/");
            if let Some(token) = &token {
                list.with_continuation_token(token.as_str());
            }
            let answer = read(self.http.get(list.sign(SIGNED_FOR)).send().await, ANSWER_BYTES_MAX).await?;
            let (status, body) = answer;
            ensure!(status.is_success(), "{}", refused("listing", status, &body));
            let text = String::from_utf8(body).context("a list that is not text")?;
            let page = ListObjectsV2::parse_response(&text).context("reading a list")?;
            let names =
                page.common_prefixes.iter().map(|p| p.prefix.as_str()).chain(page.contents.iter().map(|c| c.key.as_str()));
            let groups = names.filter_map(|name| name.strip_prefix(key).map(|rest| rest.trim_end_matches('/')));
            largest = largest.into_iter().chain(groups.filter(|group| is_group(group)).map(str::to_owned)).max();
            // A level has 1,000 groups at most: what goes on after them is not ours, but is followed to its end.
            match page.next_continuation_token {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => return Ok(largest),
            }
        }
    }

    async fn get(&self, key: &str) -> Result<String> {
        let url = self.bucket.get_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        let (status, body) = read(self.http.get(url).send().await, NOTE_BYTES_MAX).await?;
        ensure!(status.is_success(), "{}", refused("reading", status, &body));
        as_note(body)
    }

    /// Puts an object, unless there is one of its name.
    pub(super) async fn put(&self, name: &str, note: &str) -> Result<(Put, String)> {
        let key = format!("{}{name}", self.prefix);
        let mut put = self.bucket.put_object(Some(&self.credentials), &key);
        put.headers_mut().insert("if-none-match", "*");
        let request = self.http.put(put.sign(SIGNED_FOR)).header("if-none-match", "*").body(note.to_owned());
        let (status, body) = read(request.send().await, ANSWER_BYTES_MAX).await?;
        match status {
            StatusCode::PRECONDITION_FAILED => Ok((Put::There, self.get(&key).await?)),
            status if status.is_success() => Ok((Put::Written, note.to_owned())),
            status => bail!("{}", refused("writing", status, &body)),
        }
    }
}

/// Status and body of an answer, which has a limit.
async fn read(answer: reqwest::Result<Response>, limit: usize) -> Result<(StatusCode, Vec<u8>)> {
    let mut answer = answer.map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        ensure!(body.len() + piece.len() <= limit, "the object store answers with more than {limit} bytes");
        body.extend_from_slice(&piece);
    }
    Ok((answer.status(), body))
}

fn refused(what: &str, status: StatusCode, body: &[u8]) -> String {
    let told = String::from_utf8_lossy(body.get(..body.len().min(ERROR_BYTES_MAX)).unwrap_or_default());
    format!("{what} was refused with {status}: {}", told.replace(|c: char| c.is_control(), " "))
}
