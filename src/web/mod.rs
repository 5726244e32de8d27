//! What the server says over HTTP: whether it is well (`/healthz`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::call::live::Live;
use crate::store::Journal;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Site {
    /// Calls that are up.
    pub live: Live,
    /// The hash of the rulebook that new calls follow.
    pub rulebook: String,
    /// Set when no new calls are taken.
    pub draining: Arc<AtomicBool>,
    /// The record, to see how it stands.
    pub journal: Journal,
}

/// The answer of `/healthz`.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    calls_in_progress: u64,
    calls_arrived: u64,
    calls_ended: u64,
    rulebook: String,
    record: Record,
}

/// How the record stands.
#[derive(Debug, Serialize)]
struct Record {
    /// Lines that wait to be written.
    waiting: usize,
    /// The database cannot be written: lines go to the spool.
    spooling: bool,
    /// Bytes in the spool.
    spool_bytes: u64,
    /// Lines that could be kept nowhere.
    lost: u64,
}

/// Serves until the listener fails or the task is dropped.
///
/// # Errors
/// Where the listener can no longer accept.
pub async fn serve(listener: TcpListener, site: Site) -> std::io::Result<()> {
    let router = Router::new().route("/healthz", get(health)).with_state(site);
    axum::serve(listener, router).await
}

/// 200 while calls are taken, 503 while draining; the body says the same in words, and `degraded` where calls go
/// on but the record does not reach its database.
async fn health(State(site): State<Site>) -> impl IntoResponse {
    let draining = site.draining.load(Ordering::Relaxed);
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let record = site.journal.stats();
    let health = Health {
        status: match (draining, record.spooling || record.lost > 0) {
            (true, _) => "draining",
            (false, true) => "degraded",
            (false, false) => "well",
        },
        calls_in_progress: site.live.in_progress(),
        calls_arrived: site.live.arrived(),
        calls_ended: site.live.ended(),
        rulebook: site.rulebook,
        record: Record {
            waiting: record.waiting,
            spooling: record.spooling,
            spool_bytes: record.spool_bytes,
            lost: record.lost,
        },
    };
    (status, Json(health))
}
