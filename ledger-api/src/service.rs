//! The server: its accept loop and its end.
//!
//! **Correctness**: 1. At most `connections_max` connections; more wait in the backlog and cost nothing here. 2. A
//! connection must send its first head in time, and every head after it, so slow clients hold nothing but a slot.
//! 3. On the signal to stop nothing new is accepted, requests under way are answered within the grace, streams end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::edge::Edge;
use crate::inside::Inside;
use crate::limit::{
    ACCEPT_PAUSE, FIRST_REQUEST_TIME, HEAD_BYTES_MAX, HEAD_READ_TIME, HEADERS_MAX, METRICS_UPKEEP, PING_ANSWER_TIME,
    PING_INTERVAL, STREAMS_PER_CONNECTION_MAX,
};
use crate::metrics::RequestMetrics;
use crate::options::Options;
use crate::query::{position, replica};
use crate::router;
use crate::state::{Api, Resources};

/// Why a service did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part that runs beside the requests broke.
    #[error("a background task of the HTTP service broke")]
    Background(#[source] JoinError),
}

/// The HTTP side, ready to run.
#[allow(missing_debug_implementations, reason = "routes and connections have nothing to show")]
pub struct Service {
    api: Api,
    edge: Edge,
    metrics: Arc<RequestMetrics>,
    options: Options,
}

impl Service {
    /// Builds the routes and their document. Call [`crate::install_metrics`] first.
    #[must_use]
    pub fn new(options: Options, resources: Resources) -> Self {
        let api = Api::new(&options, resources);
        let (routes, document) = router::build(api.clone());
        let mut paths: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        for page in console::paths() {
            paths.push(page);
        }
        let metrics = Arc::new(RequestMetrics::new(paths));
        let edge = Edge::new(routes, Arc::clone(&metrics), options.clone());
        Self { api, edge, metrics, options }
    }

    /// For parts of the same process that ask as a tenant.
    #[must_use]
    pub fn inside(&self) -> Inside {
        Inside::new(self.edge.clone())
    }

    /// Serves until `stop` is cancelled, then lets the requests under way end.
    ///
    /// # Errors
    /// [`Error`] when a part of the service broke; it has stopped by then.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
        let background = [
            tokio::spawn(position::poll(self.api.clone())),
            tokio::spawn(replica::watch(self.api.clone())),
            tokio::spawn(keep_metrics(self.api.clone())),
        ];
        let slots = Arc::new(Semaphore::new(self.options.connections_max));
        let (server, graceful) = (builder(), GracefulShutdown::new());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                (stream, slot) = accept(&listener, &slots) => {
                    tokio::spawn(serve(stream, slot, server.clone(), self.edge.clone(), graceful.watcher(), Arc::clone(&self.metrics)));
                }
            }
        }
        drop(listener);
        // Streams and waiters end first, or the grace would always be used up.
        self.api.stopping.cancel();
        if tokio::time::timeout(self.options.shutdown_grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still busy at the end of the grace");
        }
        for task in background {
            task.await.map_err(Error::Background)?;
        }
        Ok(())
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_TIME)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .pipeline_flush(true);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_ANSWER_TIME);
    server
}

/// The next connection, once there is a slot for it.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            // The semaphore is never closed; were it, nothing more would be accepted.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    slot: OwnedSemaphorePermit,
    server: Builder<TokioExecutor>,
    edge: Edge,
    watcher: hyper_util::server::graceful::Watcher,
    metrics: Arc<RequestMetrics>,
) {
    // Answers are small and waited for. A socket that refuses the option still works.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "TCP_NODELAY refused");
    }
    metrics.connections.increment(1.0);
    let has_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&has_asked);
    let service = service_fn(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let edge = edge.clone();
        async move { Ok::<_, Infallible>(edge.answer(request.map(axum::body::Body::new)).await) }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(watcher.watch(connection.into_owned()));
    // hyper's own time limit begins once it knows the protocol; until then a silent client would stay for ever.
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = tokio::time::sleep(FIRST_REQUEST_TIME) => None,
    };
    let ended = match ended {
        None if has_asked.load(Ordering::Relaxed) => Some(connection.await),
        ended => ended,
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(error = error.as_ref() as &dyn std::error::Error, "a connection broke off");
    }
    metrics.connections.decrement(1.0);
    drop(slot);
}

async fn keep_metrics(api: Api) {
    while !api.stopping.is_cancelled() {
        api.prometheus.run_upkeep();
        tokio::select! {
            () = tokio::time::sleep(METRICS_UPKEEP) => {}
            () = api.stopping.cancelled() => {}
        }
    }
}
