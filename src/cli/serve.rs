//! `cityline serve`: the composition root, where everything meets.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use miette::{IntoDiagnostic, WrapErr, miette};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::folders;
use super::house::House;
use super::logging::{self, LogFormat};
use crate::config::settings::{self, Settings};
use crate::line::simulated::{self, Desks};
use crate::media::engine::Engine;
use crate::sip::agent::Transport;
use crate::sip::stack::Call;
use crate::store;
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use crate::terms::prompt::PromptIndex;
use crate::web::{self, Site};

/// Run the server
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(long, env = "CITYLINE_CONFIG", default_value = "deploy/demo.toml")]
    config: PathBuf,
    /// Listen for SIP here (UDP and TCP) instead of where the configuration says
    #[arg(long, env = "CITYLINE_SIP", value_name = "ADDR:PORT")]
    sip: Option<SocketAddr>,
    /// Listen for HTTP here instead of where the configuration says
    #[arg(long, env = "CITYLINE_HTTP", value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
    /// Keep the record here instead of where the configuration says
    #[arg(long, env = "CITYLINE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Follow the rulebook in this folder instead of the configured one
    #[arg(long, env = "CITYLINE_RULES", value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Let the calendar start at this moment instead of now, to try opening hours
    #[arg(long, value_name = "TIMESTAMP")]
    wall: Option<jiff::Timestamp>,
    /// How log lines look
    #[arg(long, env = "CITYLINE_LOG", value_enum, default_value_t)]
    log: LogFormat,
    /// When ready, print one JSON line with the addresses instead of words
    #[arg(long)]
    ready_json: bool,
    /// When told to stop, let calls that are up go on for so many seconds
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    drain_s: u64,
}

/// Runs until told to stop.
///
/// # Errors
/// Where something that a server needs is missing or cannot be used.
pub fn run(args: Args) -> Result<ExitCode, miette::Report> {
    logging::start(args.log);
    let settings = effective(&args)?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    runtime.block_on(serve(settings, &args))?;
    Ok(ExitCode::SUCCESS)
}

/// Every call leg has two sockets: asks the system for as many open files as it allows.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    tracing::debug!(before = limit.current, now = limit.maximum, ok = raised.is_ok(), "open files");
}

/// What the file says, with what the command line says in its place.
fn effective(args: &Args) -> Result<Settings, miette::Report> {
    let mut settings =
        settings::load(&args.config).map_err(|problems| folders::report("the configuration", &problems))?;
    if let Some(address) = args.sip {
        settings.sip.listen = vec![(Transport::Udp, address), (Transport::Tcp, address)];
        settings.media.address = address.ip();
        // Beside a server on the usual ports, the desks take free ones too.
        if let Some(desks) = settings.desks.as_mut() {
            desks.set_port(0);
        }
    }
    if let Some(address) = args.http {
        settings.http = Some(address);
    }
    if let Some(data) = &args.data {
        settings.data.clone_from(data);
    }
    if let Some(rules) = &args.rules {
        settings.rules.clone_from(rules);
    }
    Ok(settings)
}

async fn serve(mut settings: Settings, args: &Args) -> Result<(), miette::Report> {
    let clock = args.wall.map_or_else(Clock::system, Clock::starting_at);
    let mut dice = Dice::from_os();
    let (rulebook, bank, index) = folders::load_with_bank(&settings.rules, &settings.prompts)?;
    let (_, journal, recovered) = store::open(&settings.data)
        .await
        .into_diagnostic()
        .wrap_err_with(|| format!("the record in {} cannot be kept", settings.data.display()))?;
    if recovered.calls_ended > 0 {
        tracing::warn!(calls = recovered.calls_ended, "calls that an earlier run left open were given their end");
    }
    folders::keep(&journal, &rulebook, &settings.rules, &clock);
    let engine = super::house::start_engine(&settings.media, bank, &clock, &mut dice)?;
    let desks = start_desks(&mut settings, &engine, index, (&clock, &mut dice)).await?;
    let (house, calls) = House::start(&settings, engine, rulebook, journal.clone(), (clock, dice)).await?;
    let draining = Arc::new(AtomicBool::new(false));
    let http = start_http(settings.http, house.site(Arc::clone(&draining))).await?;
    announce(args, &house, http)?;
    let over = live(&house, calls, &draining, Duration::from_secs(args.drain_s)).await;
    house.say_goodbye().await;
    journal.close().await;
    drop(desks);
    over
}

/// Starts the demonstration's desks, and lets the names of the rulebook's targets lead to them.
async fn start_desks(
    settings: &mut Settings,
    engine: &Engine,
    prompts: Arc<PromptIndex>,
    (clock, dice): (&Clock, &mut Dice),
) -> Result<Option<Desks>, miette::Report> {
    let Some(listen) = settings.desks else { return Ok(None) };
    let chosen = simulated::Settings { listen, ..simulated::Settings::default() };
    let desks = Desks::start(chosen, engine.clone(), prompts, (clock.clone(), dice.split()))
        .await
        .into_diagnostic()
        .wrap_err("the demonstration's desks cannot start")?;
    if let Some(found) = desks.address() {
        for address in settings.hosts.values_mut() {
            if *address == listen || (listen.port() == 0 && address.ip() == listen.ip()) {
                *address = found;
            }
        }
    }
    Ok(Some(desks))
}

async fn start_http(listen: Option<SocketAddr>, site: Site) -> Result<Option<SocketAddr>, miette::Report> {
    let Some(listen) = listen else { return Ok(None) };
    let listener = TcpListener::bind(listen).await.into_diagnostic().wrap_err_with(|| {
        format!("HTTP cannot listen on {listen}; another server may be running: choose another with --http")
    })?;
    let address = listener.local_addr().into_diagnostic()?;
    tokio::spawn(async move {
        if let Err(error) = web::serve(listener, site).await {
            tracing::error!(%error, "HTTP stopped; calls go on");
        }
    });
    Ok(Some(address))
}

/// Says that calls are taken, and what to do next.
fn announce(args: &Args, house: &House, http: Option<SocketAddr>) -> Result<(), miette::Report> {
    let sip = house.address();
    let mut out = std::io::stdout().lock();
    let text = if args.ready_json {
        serde_json::json!({ "ready": true, "sip": sip, "http": http }).to_string()
    } else {
        let at = if sip.port() == 5060 { sip.ip().to_string() } else { sip.to_string() };
        let http = http.map_or_else(String::new, |http| format!("\nHealth: http://{http}/healthz"));
        format!(
            "\nCityline answers. Rulebook {}.{http}\n\n\
             Call sip:311@{at} with any softphone, or in another terminal:\n\n    \
             cityline call sip:311@{at} --keys 2,1,1 --key-after 3 --max-seconds 30 --record heard.wav\n    \
             cityline calls\n\n\
             (after ./dev run the program is target/release/cityline) Ctrl-C stops.",
            house.rulebook().short_hash(),
        )
    };
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| miette!("cannot write: {error}"))
}

/// Takes calls until told to stop; then lets those that are up go on for a while, and takes no new ones.
async fn live(
    house: &House,
    mut calls: mpsc::Receiver<Call>,
    draining: &AtomicBool,
    patience: Duration,
) -> Result<(), miette::Report> {
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    let mut deadline = None;
    loop {
        let told = tokio::select! {
            biased;
            call = calls.recv() => match call {
                Some(call) => { house.admit(call); false }
                None => return Err(miette!("the SIP stack ended by itself")),
            },
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            () = rest(house, deadline) => return Ok(()),
        };
        if told {
            if draining.swap(true, Ordering::Relaxed) {
                tracing::warn!(calls = house.calls(), "told twice: stopping now");
                house.stop().await;
                return Ok(());
            }
            house.drain().await;
            deadline = Some(house.clock().now() + patience);
            tracing::info!(calls = house.calls(), "stopping: no new calls; those that are up go on (again: stop now)");
        }
    }
}

/// While draining: until the last call has ended or `deadline` has come.
async fn rest(house: &House, deadline: Option<crate::terms::clock::Instant>) {
    let Some(deadline) = deadline else { return std::future::pending().await };
    while house.calls() > 0 {
        if house.clock().now() >= deadline {
            tracing::warn!(calls = house.calls(), "the time to finish is over");
            house.stop().await;
            return;
        }
        house.clock().sleep(Duration::from_millis(100)).await;
    }
}
