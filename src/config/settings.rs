//! What a configuration means: checked values, every problem at once with its place and a remedy.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::file::{File, MediaFile, SipFile, TrunkFile, UnknownSource};
use crate::routing::route::TrunkKind;
use crate::sip::agent::{Limits, SessionTimes, Strangers, Transport};
use crate::sip::trunk::{Network, Trunk};
use crate::terms::diagnostic::Diagnostic;
use crate::terms::ids::TrunkId;

/// Transactions at a time. Over UDP a call leaves two behind for 32 s (RFC 3261 timers H and J): this is room for some
/// 6,000 calls a second, in about half a gigabyte where it is ever filled. Past it, new calls get 503.
const TRANSACTIONS: usize = 400_000;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Signalling.
    pub sip: Sip,
    /// Audio.
    pub media: Media,
    /// The HTTP listener.
    pub http: Option<SocketAddr>,
    /// The folder of the record.
    pub data: PathBuf,
    /// The folder of the rulebook.
    pub rules: PathBuf,
    /// The folder of the prompts.
    pub prompts: PathBuf,
    /// Addresses of host names, asked before any name server.
    pub hosts: BTreeMap<String, SocketAddr>,
    /// Hosts of line targets that are told who calls.
    pub told_the_caller: Vec<String>,
    /// Where the demonstration's desks answer.
    pub desks: Option<SocketAddr>,
}

/// Signalling.
#[derive(Clone, Debug)]
pub struct Sip {
    /// Where calls come in.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// What becomes of sources that no trunk knows.
    pub strangers: Strangers,
    /// Who may call.
    pub trunks: Vec<Trunk>,
    /// What kind of peer each trunk is.
    pub kinds: HashMap<TrunkId, TrunkKind>,
    /// Session timers (RFC 4028).
    pub session: SessionTimes,
    /// The limits.
    pub limits: Limits,
    /// The address that peers see, where it is not the socket's.
    pub public_address: Option<IpAddr>,
}

/// Audio.
#[derive(Clone, Debug)]
pub struct Media {
    /// The address on which audio is received: of the first SIP listener; the unspecified one where they differ.
    pub address: IpAddr,
    /// First and last UDP port.
    pub rtp_ports: (u16, u16),
    /// Threads; `None` for one on each core.
    pub threads: Option<usize>,
    /// No audio for so long is noted.
    pub silent: Duration,
    /// The address that peers see, where it is not the socket's.
    pub public_address: Option<IpAddr>,
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// Every problem there is, in the order of the file.
pub fn load(path: &Path) -> Result<Settings, Vec<Diagnostic>> {
    let name: Arc<str> = path.display().to_string().into();
    match std::fs::read_to_string(path) {
        Ok(text) => read(&name, &text.into()),
        Err(error) => Err(vec![
            Diagnostic::error("unreadable-file", &name, &"".into(), 0..0)
                .message(format!("the configuration cannot be read: {error}"))
                .remedy("name the file with --config; deploy/demo.toml is an example of every key"),
        ]),
    }
}

/// Checks the configuration `text` of the file called `name`.
///
/// # Errors
/// As [`load`].
pub fn read(name: &Arc<str>, text: &Arc<str>) -> Result<Settings, Vec<Diagnostic>> {
    let mut reader = Reader { name, text, problems: Vec::new() };
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            reader.problem("bad-toml", span, error.message().to_owned(), "deploy/demo.toml is an example of every key");
            return Err(reader.problems);
        }
    };
    let settings = reader.settings(&file);
    if reader.problems.is_empty() { Ok(settings) } else { Err(reader.problems) }
}

struct Reader<'a> {
    name: &'a Arc<str>,
    text: &'a Arc<str>,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn settings(&mut self, file: &File) -> Settings {
        Settings {
            sip: self.sip(&file.sip, &file.trunk),
            media: self.media(&file.media, &file.sip),
            http: file.http.as_ref().map(|http| self.address(&http.listen)),
            data: file.data.dir.clone().into(),
            rules: file.rules.dir.clone().into(),
            prompts: file.prompts.dir.clone().into(),
            hosts: file.outbound.hosts.iter().map(|(host, at)| (host.to_lowercase(), self.address(at))).collect(),
            told_the_caller: file.outbound.told_the_caller.iter().map(|host| host.to_lowercase()).collect(),
            desks: file.desks.as_ref().map(|desks| self.address(&desks.listen)),
        }
    }

    fn sip(&mut self, sip: &SipFile, trunks: &[TrunkFile]) -> Sip {
        let session_min = Duration::from_secs(sip.session_min_s.unwrap_or(90).max(90).into());
        // Each caller may be connected to a line: so there is a place for that line too.
        let callers = sip.calls_max.unwrap_or(2500) as usize;
        let calls = callers.saturating_mul(2);
        let mut limits =
            Limits { callers, calls, calls_per_s: 1_000_000.0, transactions: TRANSACTIONS, ..Limits::default() };
        if let Some(rate) = sip.calls_per_second_max {
            limits.calls_per_s = rate.into();
        }
        let kinds = trunks.iter().map(|trunk| (TrunkId::from(trunk.id.get_ref().as_str()), trunk.kind)).collect();
        Sip {
            listen: sip.listen.iter().filter_map(|at| self.listener(at)).collect(),
            strangers: match sip.unknown_source {
                UnknownSource::Ignore => Strangers::Ignore,
                UnknownSource::Forbid => Strangers::Forbid,
            },
            trunks: self.trunks(trunks),
            kinds,
            session: SessionTimes {
                expires: Duration::from_secs(sip.session_s.unwrap_or(1800).into()).max(session_min),
                min: session_min,
            },
            limits,
            public_address: sip.public_address.as_ref().and_then(|at| self.ip(at)),
        }
    }

    fn trunks(&mut self, written: &[TrunkFile]) -> Vec<Trunk> {
        let mut trunks: Vec<Trunk> = Vec::new();
        for trunk in written {
            let id = TrunkId::from(trunk.id.get_ref().as_str());
            if trunks.iter().any(|known| known.id == id) {
                self.problem(
                    "duplicate-trunk",
                    trunk.id.span(),
                    format!("there is already a trunk `{id}`"),
                    "give each trunk an id of its own: the record names it",
                );
            }
            let networks = trunk.networks.iter().filter_map(|network| self.network(network)).collect();
            trunks.push(Trunk {
                calls_max: trunk.calls_max.map(|calls| calls as usize),
                calls_per_s: trunk.calls_per_second_max.map(f64::from),
                ..Trunk::new(id.as_str(), networks, trunk.trusted)
            });
        }
        trunks
    }

    fn network(&mut self, written: &Spanned<String>) -> Option<Network> {
        written.get_ref().parse().map_err(|error| self.problem("bad-network", written.span(), error, "")).ok()
    }

    fn media(&mut self, media: &MediaFile, sip: &SipFile) -> Media {
        let rtp_ports = media.rtp_ports.as_ref().map_or((30_000, 39_999), |ports| {
            let (first, last) = *ports.get_ref();
            if first < 1024 || last <= first {
                self.problem(
                    "bad-ports",
                    ports.span(),
                    format!("{first} to {last} is no range of ports"),
                    "give the first and the last port, both above 1023: two for each call leg",
                );
            }
            (first, last)
        });
        Media {
            address: audio_address(sip),
            rtp_ports,
            threads: media.threads,
            silent: Duration::from_secs(media.silent_s.unwrap_or(20).max(1).into()),
            public_address: media.public_address.as_ref().and_then(|at| self.ip(at)),
        }
    }

    fn listener(&mut self, written: &Spanned<String>) -> Option<(Transport, SocketAddr)> {
        match parse_listener(written.get_ref()) {
            Ok(listener) => Some(listener),
            Err(message) => {
                self.problem("bad-listener", written.span(), message, "for example \"udp:127.0.0.1:5060\"");
                None
            }
        }
    }

    fn address(&mut self, written: &Spanned<String>) -> SocketAddr {
        written.get_ref().parse().unwrap_or_else(|_| {
            let message = format!("`{}` is not an address and a port", written.get_ref());
            self.problem("bad-address", written.span(), message, "for example \"127.0.0.1:8311\"");
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn ip(&mut self, written: &Spanned<String>) -> Option<IpAddr> {
        let parsed = written.get_ref().parse().ok();
        if parsed.is_none() {
            let message = format!("`{}` is not an IP address", written.get_ref());
            self.problem("bad-address", written.span(), message, "write the address itself, without a port");
        }
        parsed
    }

    fn problem(&mut self, code: &'static str, span: std::ops::Range<usize>, message: String, remedy: &str) {
        let problem = Diagnostic::error(code, self.name, self.text, span).message(message);
        self.problems.push(if remedy.is_empty() { problem } else { problem.remedy(remedy) });
    }
}

/// Audio is received where calls come in; on every address (IPv6 and IPv4 alike) where that is more than one.
fn audio_address(sip: &SipFile) -> IpAddr {
    let mut addresses = sip.listen.iter().filter_map(|at| Some(parse_listener(at.get_ref()).ok()?.1.ip()));
    let first = addresses.next().unwrap_or(IpAddr::from([127, 0, 0, 1]));
    if addresses.all(|address| address == first) { first } else { IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED) }
}

/// Reads `transport:address:port`, e.g. `udp:127.0.0.1:5060`; without a transport, UDP is meant.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_listener(text: &str) -> Result<(Transport, SocketAddr), String> {
    let (transport, address) = match text.split_once(':') {
        Some(("udp", address)) => (Transport::Udp, address),
        Some(("tcp", address)) => (Transport::Tcp, address),
        Some(_) | None => (Transport::Udp, text),
    };
    let address = address.parse().map_err(|_| format!("`{text}` is not transport:address:port"))?;
    Ok((transport, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Settings, Vec<Diagnostic>> {
        read(&"test.toml".into(), &text.into())
    }

    const DEMO: &str = include_str!("../../deploy/demo.toml");

    #[test]
    fn the_demonstration_is_well() {
        let settings = check(DEMO).unwrap();
        assert_eq!(settings.sip.listen[0], (Transport::Udp, "127.0.0.1:5060".parse().unwrap()));
        assert_eq!(settings.hosts["bureaus.example.invalid"].port(), 5071);
        assert_eq!(settings.sip.kinds[&TrunkId::from("local")], TrunkKind::Carrier);
    }

    #[test]
    fn a_typo_is_refused_at_its_place() {
        let problems = check(&DEMO.replace("unknown_source", "unknown_sauce")).unwrap_err();
        assert!(problems[0].message.contains("unknown_sauce"), "{problems:?}");
        let line = DEMO.lines().position(|line| line.starts_with("unknown_source")).unwrap() as u32 + 1;
        assert_eq!((problems[0].line, problems[0].col), (line, 1));
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let text = DEMO
            .replace("127.0.0.0/8", "127.0.0.0/40")
            .replace("[30000, 39999]", "[80, 79]")
            .replace("tcp:127.0.0.1:5060", "sctp:127.0.0.1:5060");
        let codes: Vec<_> = check(&text).unwrap_err().into_iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["bad-listener", "bad-network", "bad-ports"]);
    }
}
