//! `cityline call`: a real test call from the terminal, by SIP and RTP.

mod ear;
mod keys;
mod report;
mod visit;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use miette::{IntoDiagnostic, Report, WrapErr, miette};

use crate::media::codecs::Codec;
use crate::sip::agent::Transport;
use crate::sip::grammar::uri::{SipUri, Uri};
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use ear::RATE;
use report::Teller;

/// Calls a number, presses keys on cue, and tells what was heard.
///
/// Exit code: 0 when the call was answered, something was heard and it ended in the ordinary way; 1 when it
/// was refused, failed or stayed silent; 2 for wrong usage.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Whom to call, e.g. `sip:311@127.0.0.1`.
    uri: String,
    /// Keys to press, in groups with commas between; `w` waits a second. Each group is pressed when the callee
    /// has spoken and then been silent for 0.7 s.
    #[arg(long, value_name = "2,1,3", default_value = "")]
    keys: keys::Plan,
    /// Press each group so many seconds after the one before (the first after the answer), whatever is heard.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    key_after: Option<Duration>,
    /// How keys are sent.
    #[arg(long, value_enum, default_value_t)]
    dtmf: KeysBy,
    /// Offer this codec alone; without it, all.
    #[arg(long, value_enum)]
    codec: Option<Voice>,
    /// How SIP travels.
    #[arg(long, value_enum, default_value_t)]
    transport: Wire,
    /// Who calls: the user part of From.
    #[arg(long, value_name = "NUMBER", default_value = "5035550100")]
    from: String,
    /// Write what is heard into this file (WAV, mono, 8 kHz, 16 bit).
    #[arg(long, value_name = "heard.wav")]
    record: Option<PathBuf>,
    /// Say this (WAV, mono, 8 kHz, 16 bit); silence otherwise.
    #[arg(long, value_name = "FILE.wav")]
    speak: Option<PathBuf>,
    /// Hang up after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    max_seconds: u64,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// How keys are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum KeysBy {
    /// RTP telephone-events (RFC 4733), or tones where the callee has none.
    #[default]
    Rtp,
    /// SIP INFO (application/dtmf-relay).
    Info,
    /// Tones in the audio.
    Inband,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Voice {
    Pcmu,
    Pcma,
    G722,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Wire {
    #[default]
    Udp,
    Tcp,
}

/// What is to be done, understood.
#[derive(Debug)]
struct Errand {
    uri: SipUri,
    transport: Transport,
    codecs: Vec<Codec>,
    keys_by: KeysBy,
    plan: keys::Plan,
    key_after: Option<Duration>,
    from: String,
    speech: Option<Vec<i16>>,
    max: Duration,
}

/// Makes the call.
///
/// # Errors
/// The call cannot be made at all: no socket, an unreadable file. A call that is refused is no error but exit
/// code 1.
pub fn run(args: Args) -> Result<ExitCode, Report> {
    let errand = match understand(&args) {
        Ok(errand) => errand,
        Err(report) => {
            report::complain(&report);
            return Ok(ExitCode::from(2));
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().into_diagnostic()?;
    let mut teller = Teller::new(args.json);
    let (verdict, ear) = runtime.block_on(visit::make(errand, Clock::system(), Dice::from_os(), &mut teller))?;
    if let Some(path) = &args.record {
        ear.write(path).into_diagnostic().wrap_err_with(|| format!("{} cannot be written", path.display()))?;
        teller.tell(&report::Note::Recorded { file: path.display().to_string() });
    }
    Ok(if verdict { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn understand(args: &Args) -> Result<Errand, Report> {
    let wanted = || miette!(help = "write it like sip:311@127.0.0.1", "`{}` is not a SIP address", args.uri);
    let mut text = args.uri.clone();
    if !text.to_ascii_lowercase().starts_with("sip:") {
        text = format!("sip:{text}");
    }
    let uri = Uri::parse(text.as_bytes()).map_err(|_| wanted())?;
    let uri = uri.as_sip().cloned().ok_or_else(wanted)?;
    let codecs = match args.codec {
        None => Codec::ALL.to_vec(),
        Some(Voice::Pcmu) => vec![Codec::Pcmu],
        Some(Voice::Pcma) => vec![Codec::Pcma],
        Some(Voice::G722) => vec![Codec::G722],
    };
    Ok(Errand {
        uri,
        transport: match args.transport {
            Wire::Udp => Transport::Udp,
            Wire::Tcp => Transport::Tcp,
        },
        codecs,
        keys_by: args.dtmf,
        plan: args.keys.clone(),
        key_after: args.key_after,
        from: args.from.clone(),
        speech: args.speak.as_deref().map(speech).transpose()?,
        max: Duration::from_secs(args.max_seconds),
    })
}

fn speech(path: &std::path::Path) -> Result<Vec<i16>, Report> {
    let shown = path.display();
    let mut wav = hound::WavReader::open(path).into_diagnostic().wrap_err_with(|| format!("{shown} cannot be read"))?;
    let spec = wav.spec();
    if (spec.channels, spec.sample_rate as usize, spec.bits_per_sample) != (1, RATE, 16) {
        return Err(miette!(
            help = format!("convert it: sox {shown} -r 8000 -c 1 -b 16 out.wav"),
            "{shown} has {} channel(s), {} Hz, {} bit; wanted are mono, 8000 Hz, 16 bit",
            spec.channels,
            spec.sample_rate,
            spec.bits_per_sample
        ));
    }
    wav.samples().collect::<Result<_, _>>().into_diagnostic().wrap_err_with(|| format!("{shown} cannot be read"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wanted = || format!("`{text}` is not a number of seconds, e.g. 1.5");
    text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(wanted)
}

#[cfg(test)]
mod tests;
