//! Where a SIP URI leads (RFC 3263): an ordered list of places to send to.
//!
//! ```text
//! numeric host ────────────────────────────────▶ as it is
//! host in the table of the settings ───────────▶ as written there, no name server asked
//! name under .invalid (RFC 6761) ──────────────▶ nothing, at once
//! name with a port ──▶ A/AAAA
//! name without ──▶ SRV (_sip._udp, _sip._tcp), by priority and weight ──▶ A/AAAA of each target
//!              └─ no SRV ──▶ A/AAAA, port 5060
//! ```
//!
//! Answers are cached for their TTL. When the name servers do not answer within [`PATIENCE`], the last good
//! answer is used again, however old: a trunk whose DNS is down is still a trunk. NAPTR is not asked: without
//! TLS there is nothing for it to choose between that the SRV records do not say. Nothing here blocks the
//! stack: a lookup runs in a task of its own.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use crate::sip::agent::{Destination, Target, Transport};
use crate::terms::dice::Dice;

/// How long a lookup may take in all.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long one question may wait for one name server; it is asked twice.
const QUESTION: Duration = Duration::from_millis(600);
/// Most SRV records of one name that are looked at, and most places that a name may lead to.
const PLACES_MAX: usize = 16;
/// Most last good answers kept for when the name servers are away; past it, all of them are forgotten.
const REMEMBERED_MAX: usize = 1024;
/// SIP's own port, for UDP and TCP (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// What the resolver is told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names that are answered from here before any name server.
    pub hosts: BTreeMap<String, SocketAddr>,
    /// Name servers to ask; empty: those of the system (`/etc/resolv.conf`).
    pub name_servers: Vec<SocketAddr>,
    /// Whether we can send over IPv4 and over IPv6; places we could not reach are left out.
    pub families: Families,
}

/// Which address families can be sent from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Default for Families {
    fn default() -> Self {
        Self { v4: true, v6: true }
    }
}

/// Looks up where SIP URIs lead.
#[derive(Debug)]
pub struct Resolver {
    hosts: BTreeMap<String, SocketAddr>,
    families: Families,
    /// `None` where the system has no name servers: then only addresses and the table lead anywhere.
    dns: Option<TokioResolver>,
    last_good: Mutex<HashMap<Target, Vec<Destination>>>,
}

impl Resolver {
    /// A resolver. A system without a readable `/etc/resolv.conf` is served from the table alone.
    pub fn new(settings: Settings) -> Self {
        let hosts = settings.hosts.into_iter().map(|(name, place)| (name.to_ascii_lowercase(), place)).collect();
        let dns = dns(&settings.name_servers);
        Self { hosts, families: settings.families, dns, last_good: Mutex::default() }
    }

    /// The answer where no name server is needed for it.
    pub fn at_once(&self, target: &Target) -> Option<Vec<Destination>> {
        let transport = target.transport.unwrap_or(Transport::Udp);
        let host = target.host.trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let place = if let Ok(address) = bare.parse::<IpAddr>() {
            SocketAddr::new(address, target.port.unwrap_or(SIP_PORT))
        } else if let Some(place) = self.hosts.get(&host) {
            SocketAddr::new(place.ip(), target.port.unwrap_or(place.port()))
        } else {
            let reserved = host.is_empty() || host == "invalid" || host.ends_with(".invalid");
            return (reserved || self.dns.is_none()).then(Vec::new);
        };
        Some(vec![Destination::Address { transport, address: place }])
    }

    /// Every place `target` leads to, the first choice first; empty where it leads nowhere. Takes at most
    /// [`PATIENCE`].
    pub async fn resolve(&self, target: &Target, mut dice: Dice) -> Vec<Destination> {
        if let Some(answer) = self.at_once(target) {
            return answer;
        }
        let asked = tokio::time::timeout(PATIENCE, self.ask(target, &mut dice)).await;
        match asked {
            Ok(Ok(places)) => {
                self.remember(target, &places);
                places
            }
            Ok(Err(Away)) | Err(_) => {
                let known = self.last_good.lock().ok().and_then(|known| known.get(target).cloned()).unwrap_or_default();
                tracing::warn!(host = target.host, last_good = known.len(), "name servers do not answer");
                known
            }
        }
    }

    async fn ask(&self, target: &Target, dice: &mut Dice) -> Result<Vec<Destination>, Away> {
        let host = absolute(&target.host);
        let mut places = Vec::new();
        if let Some(port) = target.port {
            let transport = target.transport.unwrap_or(Transport::Udp);
            self.add_addresses(&mut places, &host, transport, port).await?;
            return Ok(places);
        }
        let services = self.services(&host, target.transport, dice).await?;
        for (transport, service) in &services {
            // One dead target name must not lose the others.
            let _ = self.add_addresses(&mut places, &service.target, *transport, service.port).await;
        }
        if services.is_empty() {
            let transport = target.transport.unwrap_or(Transport::Udp);
            self.add_addresses(&mut places, &host, transport, SIP_PORT).await?;
        }
        places.truncate(PLACES_MAX);
        Ok(places)
    }

    /// The SRV records of the transports we may use, UDP first, each in the order they are to be tried.
    async fn services(
        &self,
        host: &str,
        transport: Option<Transport>,
        dice: &mut Dice,
    ) -> Result<Vec<(Transport, Service)>, Away> {
        let udp = async {
            if transport == Some(Transport::Tcp) {
                Ok(Vec::new())
            } else {
                self.srv(&format!("_sip._udp.{host}")).await
            }
        };
        let tcp = async {
            if transport == Some(Transport::Udp) {
                Ok(Vec::new())
            } else {
                self.srv(&format!("_sip._tcp.{host}")).await
            }
        };
        let (udp, tcp) = tokio::join!(biased; udp, tcp);
        let mut services = Vec::new();
        for (transport, records) in [(Transport::Udp, udp?), (Transport::Tcp, tcp?)] {
            services.extend(in_order(records, dice).into_iter().map(|service| (transport, service)));
        }
        Ok(services)
    }

    async fn srv(&self, name: &str) -> Result<Vec<Service>, Away> {
        let Some(dns) = &self.dns else { return Ok(Vec::new()) };
        let lookup = match dns.srv_lookup(name).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
            Err(_) => return Err(Away),
        };
        let service = |data: &RData| match data {
            // A target of "." says: decidedly not available here (RFC 2782).
            RData::SRV(srv) if !srv.target.is_root() => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii(),
            }),
            _ => None,
        };
        Ok(lookup.answers().iter().filter_map(|record| service(&record.data)).take(PLACES_MAX).collect())
    }

    /// IPv4 before IPv6: what carriers' trunks speak.
    async fn add_addresses(
        &self,
        places: &mut Vec<Destination>,
        host: &str,
        transport: Transport,
        port: u16,
    ) -> Result<(), Away> {
        let Some(dns) = &self.dns else { return Ok(()) };
        let found = match dns.lookup_ip(host).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(()),
            Err(_) => return Err(Away),
        };
        let mut addresses: Vec<IpAddr> = found.iter().filter(|address| self.can_send_to(*address)).collect();
        addresses.sort_by_key(IpAddr::is_ipv6);
        for address in addresses {
            let place = Destination::Address { transport, address: SocketAddr::new(address, port) };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(())
    }

    fn can_send_to(&self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.families.v4 } else { self.families.v6 }
    }

    fn remember(&self, target: &Target, places: &[Destination]) {
        let Ok(mut known) = self.last_good.lock() else { return };
        if places.is_empty() {
            known.remove(target);
        } else {
            if known.len() >= REMEMBERED_MAX {
                known.clear();
            }
            known.insert(target.clone(), places.to_vec());
        }
    }
}

/// The name servers did not answer: not the same as "there is no such name".
#[derive(Debug)]
struct Away;

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

/// The order in which SRV records are tried (RFC 2782): by priority; within one priority, drawn by weight.
fn in_order(mut records: Vec<Service>, dice: &mut Dice) -> Vec<Service> {
    records.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let rank = first.priority;
        let group = || records.iter().take_while(|service| service.priority == rank);
        let total: u64 = group().map(|service| u64::from(service.weight)).sum();
        let drawn = dice.below(total + 1);
        let mut running = 0;
        let chosen = group()
            .position(|service| {
                running += u64::from(service.weight);
                running >= drawn
            })
            .unwrap_or(0);
        ordered.push(records.remove(chosen));
    }
    ordered
}

/// The name with its final dot, so that no search domain is tried; a name without dots keeps them, because
/// that is how names inside one machine room are written.
fn absolute(host: &str) -> String {
    if host.contains('.') && !host.ends_with('.') { format!("{host}.") } else { host.to_owned() }
}

fn dns(name_servers: &[SocketAddr]) -> Option<TokioResolver> {
    let builder = if name_servers.is_empty() {
        TokioResolver::builder_tokio()
    } else {
        let server = |address: &SocketAddr| {
            let mut connection = ConnectionConfig::udp();
            connection.port = address.port();
            NameServerConfig::new(address.ip(), true, vec![connection])
        };
        let config = ResolverConfig::from_name_servers(name_servers.iter().map(server).collect());
        Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
    };
    let built = builder.and_then(|mut builder| {
        let options = builder.options_mut();
        options.timeout = QUESTION;
        options.attempts = 1;
        options.cache_size = 1024;
        options.positive_max_ttl = Some(Duration::from_secs(3600));
        options.negative_max_ttl = Some(Duration::from_secs(30));
        builder.build()
    });
    built.inspect_err(|error| tracing::warn!(%error, "no name servers: only addresses and `hosts` lead anywhere")).ok()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{A, SRV};
    use hickory_resolver::proto::rr::{Name, Record, RecordType};
    use tokio::net::UdpSocket;

    use super::*;

    fn target(host: &str, port: Option<u16>, transport: Option<Transport>) -> Target {
        Target { host: host.to_owned(), port, transport }
    }

    fn offline(hosts: &[(&str, &str)]) -> Resolver {
        let hosts = hosts.iter().map(|(name, place)| ((*name).to_owned(), place.parse().unwrap())).collect();
        Resolver::new(Settings { hosts, name_servers: vec!["127.0.0.1:9".parse().unwrap()], ..Settings::default() })
    }

    fn said(places: &[Destination]) -> Vec<String> {
        places
            .iter()
            .map(|place| format!("{} {}", place.transport().as_str(), place.address()).to_lowercase())
            .collect()
    }

    /// A name server on loopback that knows `zone` and counts the questions.
    async fn name_server(zone: Vec<(&'static str, RData)>) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let serve = async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let reply = answer(&buffer[..length], &zone);
                socket.send_to(&reply, from).await.unwrap();
            }
        };
        (address, tokio::spawn(serve))
    }

    fn answer(question: &[u8], zone: &[(&'static str, RData)]) -> Vec<u8> {
        let asked = Message::from_vec(question).unwrap();
        let query = asked.queries[0].clone();
        let mut reply = Message::new(asked.metadata.id, MessageType::Response, asked.metadata.op_code);
        reply.metadata.recursion_available = true;
        let named = |name: &str| Name::from_ascii(name).unwrap() == *query.name();
        if !zone.iter().any(|(name, _)| named(name)) {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        for (name, data) in zone {
            if named(name) && data.record_type() == query.query_type() {
                reply.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
            }
        }
        assert_ne!(query.query_type(), RecordType::ANY);
        reply.add_query(query);
        reply.to_vec().unwrap()
    }

    fn srv(priority: u16, weight: u16, port: u16, host: &str) -> RData {
        RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(host).unwrap()))
    }

    fn a(last: u8) -> RData {
        RData::A(A::new(192, 0, 2, last))
    }

    fn asking(server: SocketAddr) -> Resolver {
        Resolver::new(Settings { name_servers: vec![server], ..Settings::default() })
    }

    #[test]
    fn addresses_and_the_table_need_no_name_server() {
        let resolver = offline(&[("Bureaus.example.invalid", "127.0.0.1:5071")]);
        let at_once = |host: &str, port| said(&resolver.at_once(&target(host, port, None)).unwrap());
        assert_eq!(at_once("192.0.2.7", None), ["udp 192.0.2.7:5060"]);
        assert_eq!(at_once("[2001:db8::1]", Some(5090)), ["udp [2001:db8::1]:5090"]);
        assert_eq!(at_once("bureaus.EXAMPLE.invalid", None), ["udp 127.0.0.1:5071"]);
        assert!(at_once("other.example.invalid", None).is_empty());
        assert_eq!(resolver.at_once(&target("portland.example.org", None, None)), None);
    }

    #[tokio::test]
    async fn srv_records_are_followed_by_priority_and_lead_to_every_address() {
        let zone = vec![
            ("_sip._udp.carrier.test.", srv(20, 0, 5062, "second.carrier.test.")),
            ("_sip._udp.carrier.test.", srv(10, 0, 5061, "first.carrier.test.")),
            ("_sip._tcp.carrier.test.", srv(10, 0, 5063, "first.carrier.test.")),
            ("first.carrier.test.", a(1)),
            ("second.carrier.test.", a(2)),
            ("second.carrier.test.", a(3)),
        ];
        let (server, task) = name_server(zone).await;
        let resolver = asking(server);
        let found = resolver.resolve(&target("carrier.test", None, None), Dice::from_seed(1)).await;
        assert_eq!(
            said(&found),
            ["udp 192.0.2.1:5061", "udp 192.0.2.2:5062", "udp 192.0.2.3:5062", "tcp 192.0.2.1:5063"]
        );
        let tcp = resolver.resolve(&target("carrier.test", None, Some(Transport::Tcp)), Dice::from_seed(1)).await;
        assert_eq!(said(&tcp), ["tcp 192.0.2.1:5063"]);
        let port = resolver.resolve(&target("first.carrier.test", Some(5080), None), Dice::from_seed(1)).await;
        assert_eq!(said(&port), ["udp 192.0.2.1:5080"]);
        task.abort();
    }

    #[tokio::test]
    async fn a_name_without_srv_leads_to_its_address_and_an_unknown_one_nowhere() {
        let (server, task) = name_server(vec![("plain.test.", a(9))]).await;
        let resolver = asking(server);
        let plain = resolver.resolve(&target("plain.test", None, None), Dice::from_seed(1)).await;
        assert_eq!(said(&plain), ["udp 192.0.2.9:5060"]);
        assert!(resolver.resolve(&target("nobody.test", None, None), Dice::from_seed(1)).await.is_empty());
        task.abort();
    }

    #[tokio::test]
    async fn when_the_name_servers_are_away_the_last_good_answer_is_used() {
        let (server, task) = name_server(vec![("trunk.test.", a(4))]).await;
        let resolver = asking(server);
        let wanted = target("trunk.test", Some(5060), None);
        let before = resolver.resolve(&wanted, Dice::from_seed(1)).await;
        task.abort();
        let _ = task.await;
        resolver.dns.as_ref().unwrap().clear_cache();
        let started = std::time::Duration::from_secs(3);
        let after = tokio::time::timeout(started, resolver.resolve(&wanted, Dice::from_seed(1))).await.unwrap();
        assert_eq!(said(&after), said(&before));
        assert_eq!(said(&after), ["udp 192.0.2.4:5060"]);
    }

    #[test]
    fn within_a_priority_weight_decides_how_often_a_record_is_first() {
        let service = |priority, weight| Service { priority, weight, port: weight, target: String::new() };
        let mut dice = Dice::from_seed(3);
        let mut heavy_first = 0;
        for _ in 0..1000 {
            let ordered = in_order(vec![service(1, 10), service(0, 30), service(0, 10), service(0, 0)], &mut dice);
            assert_eq!(ordered.len(), 4);
            assert_eq!(ordered[3].priority, 1);
            heavy_first += usize::from(ordered[0].weight == 30);
        }
        assert!((650..850).contains(&heavy_first), "{heavy_first} of 1000, about 750 expected");
    }
}
