//! Reading a session description: which lines there are, and what the audio lines in plain RTP say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sdp_types::{Attribute, Connection, Media, Session};

use super::{ATTRIBUTES_MAX, BadSdp, Codec, Direction, FORMATS_MAX, MEDIA_LINES_MAX, Payload};

/// The packet time where none is asked for, in milliseconds (RFC 3551 §4.5).
const PTIME_MS: u16 = 20;

/// A session description that somebody sent us, an offer or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// `t=`, which an answer repeats (RFC 3264 §6).
    pub(super) time: (u64, u64),
    /// The media lines in order.
    pub(super) lines: Vec<Line>,
}

/// One media line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) media: String,
    pub(super) proto: String,
    /// Its first format: enough to refuse it by.
    pub(super) format: String,
    /// What it says, if it is audio in plain RTP with a port and an address.
    pub(super) audio: Option<Audio>,
}

/// An audio line in plain RTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Where they receive RTP.
    pub remote: SocketAddr,
    /// Where they receive RTCP.
    pub rtcp: SocketAddr,
    /// Those of our codecs they name, in their order, each once.
    pub codecs: Vec<Payload>,
    /// Their payload type for telephone-event at 8 kHz.
    pub event_pt: Option<u8>,
    /// How much audio they want in a packet, in milliseconds: 10 to 60.
    pub ptime_ms: u16,
    /// What they do; the old way of holding (address `0.0.0.0`) counts as not receiving.
    pub direction: Direction,
}

impl Offer {
    /// Reads a session description.
    ///
    /// # Errors
    /// If it is none, or has no media line, or more than [`MEDIA_LINES_MAX`].
    pub fn parse(text: &str) -> Result<Self, BadSdp> {
        let media_lines = text.lines().filter(|line| line.starts_with("m=")).count();
        if media_lines > MEDIA_LINES_MAX {
            return Err(BadSdp::TooManyMedia);
        }
        let session = Session::parse(text.trim_start().as_bytes()).map_err(|bad| BadSdp::Garbage(bad.to_string()))?;
        if session.medias.is_empty() {
            return Err(BadSdp::NoMedia);
        }
        let time = session.times.first().map_or((0, 0), |time| (time.start_time, time.stop_time));
        let lines = session.medias.iter().map(|media| Line::read(&session, media)).collect();
        Ok(Self { time, lines })
    }

    /// The audio lines in plain RTP that are not switched off, in order.
    pub fn audio(&self) -> impl Iterator<Item = &Audio> {
        self.lines.iter().filter_map(|line| line.audio.as_ref())
    }

    /// How many media lines there are.
    pub fn media_lines(&self) -> usize {
        self.lines.len()
    }
}

impl Line {
    fn read(session: &Session, media: &Media) -> Self {
        let format = media.fmt.split_whitespace().next().unwrap_or("0").to_owned();
        let plain = media.media.eq_ignore_ascii_case("audio") && media.proto.eq_ignore_ascii_case("RTP/AVP");
        let audio = (plain && media.port != 0).then(|| Audio::read(session, media)).flatten();
        Self { media: media.media.clone(), proto: media.proto.clone(), format, audio }
    }
}

impl Audio {
    fn read(session: &Session, media: &Media) -> Option<Self> {
        let connection = media.connections.first().or(session.connection.as_ref())?;
        let remote = SocketAddr::new(address(connection)?, media.port);
        let attributes = Attributes { media: &media.attributes, session: &session.attributes };
        let maps = Maps::read(&media.attributes);
        let stated = attributes.direction();
        let receives = stated.receives() && !remote.ip().is_unspecified();
        Some(Self {
            remote,
            rtcp: attributes.rtcp(remote),
            codecs: codecs(media, &maps),
            event_pt: formats(media).find(|pt| maps.is_event(*pt)),
            ptime_ms: attributes.ptime_ms(),
            direction: Direction::from_flows(stated.sends(), receives),
        })
    }
}

/// The address of a `c=` line; a time to live behind it is passed over. A name is no address: nobody looks it up here.
fn address(connection: &Connection) -> Option<IpAddr> {
    let text = connection.connection_address.split('/').next()?;
    let ip: IpAddr = text.parse().ok()?;
    (!ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)).then_some(ip)
}

/// The payload types of a line, in order.
fn formats(media: &Media) -> impl Iterator<Item = u8> {
    media.fmt.split_whitespace().take(FORMATS_MAX).filter_map(|format| format.parse().ok()).filter(|pt| *pt < 128)
}

fn codecs(media: &Media, maps: &Maps<'_>) -> Vec<Payload> {
    let mut codecs: Vec<Payload> = Vec::new();
    for pt in formats(media) {
        if let Some(codec) = maps.codec(pt)
            && !codecs.iter().any(|payload| payload.codec == codec || payload.pt == pt)
        {
            codecs.push(Payload { codec, pt });
        }
    }
    codecs
}

/// What the rtpmaps of one line say: payload type, name, clock.
struct Maps<'a>(Vec<(u8, &'a str, u32)>);

impl<'a> Maps<'a> {
    fn read(attributes: &'a [Attribute]) -> Self {
        let values = attributes.iter().take(ATTRIBUTES_MAX).filter(|attribute| attribute.attribute == "rtpmap");
        Self(values.filter_map(|attribute| Self::read_one(attribute.value.as_deref()?)).collect())
    }

    /// Reads `101 telephone-event/8000`. More than one channel is no codec of ours: its clock is read as 0.
    fn read_one(value: &'a str) -> Option<(u8, &'a str, u32)> {
        let (pt, encoding) = value.trim().split_once([' ', '\t'])?;
        let mut parts = encoding.trim().split('/');
        let (name, clock) = (parts.next()?, parts.next()?.trim().parse().ok()?);
        let mono = parts.next().is_none_or(|channels| channels.trim() == "1");
        Some((pt.parse().ok()?, name.trim(), if mono { clock } else { 0 }))
    }

    fn find(&self, pt: u8) -> Option<(&'a str, u32)> {
        self.0.iter().find(|(other, ..)| *other == pt).map(|(_, name, clock)| (*name, *clock))
    }

    fn codec(&self, pt: u8) -> Option<Codec> {
        match self.find(pt) {
            Some((name, clock)) => {
                Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name) && codec.clock() == clock)
            }
            None => Codec::ALL.into_iter().find(|codec| codec.static_pt() == pt),
        }
    }

    fn is_event(&self, pt: u8) -> bool {
        self.find(pt).is_some_and(|(name, clock)| name.eq_ignore_ascii_case("telephone-event") && clock == 8_000)
    }
}

/// The attributes that hold for a line: its own first, then the session's.
struct Attributes<'a> {
    media: &'a [Attribute],
    session: &'a [Attribute],
}

impl<'a> Attributes<'a> {
    fn all(&self) -> impl Iterator<Item = &'a Attribute> {
        self.media.iter().take(ATTRIBUTES_MAX).chain(self.session.iter().take(ATTRIBUTES_MAX))
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.all().find(|attribute| attribute.attribute.eq_ignore_ascii_case(name))?.value.as_deref()
    }

    fn direction(&self) -> Direction {
        let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        let read = |attribute: &Attribute| {
            all.into_iter().find(|direction| attribute.attribute.eq_ignore_ascii_case(direction.as_str()))
        };
        self.all().find_map(read).unwrap_or_default()
    }

    /// `a=rtcp:53020` or `a=rtcp:53020 IN IP4 192.0.2.1` (RFC 3605); else one above RTP.
    fn rtcp(&self, remote: SocketAddr) -> SocketAddr {
        let beside = SocketAddr::new(remote.ip(), remote.port().checked_add(1).unwrap_or(remote.port()));
        let Some(value) = self.value("rtcp") else { return beside };
        let mut words = value.split_whitespace();
        let Some(port) = words.next().and_then(|port| port.parse().ok()).filter(|port| *port != 0) else {
            return beside;
        };
        SocketAddr::new(words.nth(2).and_then(|address| address.parse().ok()).unwrap_or(remote.ip()), port)
    }

    /// A packet time we can keep; anything else is read as the default.
    fn ptime_ms(&self) -> u16 {
        let read = |name| self.value(name).and_then(|value: &str| value.trim().parse::<u16>().ok());
        let wanted = read("ptime").unwrap_or(PTIME_MS).min(read("maxptime").unwrap_or(u16::MAX));
        if (10..=60).contains(&wanted) && wanted % 10 == 0 { wanted } else { PTIME_MS }
    }
}
