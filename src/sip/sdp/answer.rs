//! Offering, answering, and reading the answer (RFC 3264).

use std::fmt::Write;

use super::read::{Audio, Line, Offer};
use super::{BadAnswer, Codec, Direction, EVENT_PT, EventPayload, Local, Negotiated, NoCommonCodec, Payload};

/// The answer to an offer, and what was agreed on by it.
///
/// The first audio line in plain RTP with a codec of ours is taken, and of its codecs the one they name first:
/// a single one, so that nobody has to guess or to offer again. All other lines get port 0 (RFC 3264 §6).
///
/// # Errors
/// If there is no such line: 488.
pub fn answer(offer: &Offer, local: &Local) -> Result<(String, Negotiated), NoCommonCodec> {
    let (at, audio, theirs) = choose(offer, local)?;
    let event = audio.event_pt.filter(|_| local.dtmf);
    let negotiated = Negotiated {
        remote: audio.remote,
        rtcp: audio.rtcp,
        send: theirs,
        receive: vec![theirs],
        dtmf: event.map(|pt| EventPayload { send_pt: pt, receive_pt: pt }),
        ptime_ms: audio.ptime_ms,
        direction: local.direction.facing(audio.direction),
        held: !audio.direction.receives(),
    };
    let mut sdp = session(local, offer.time);
    for (index, line) in offer.lines.iter().enumerate() {
        if index == at {
            audio_line(&mut sdp, &Ours { local, codecs: &[theirs], event, direction: negotiated.direction });
        } else {
            refused_line(&mut sdp, line);
        }
    }
    Ok((sdp, negotiated))
}

/// An offer of our audio alone.
pub fn offer(local: &Local) -> String {
    let mut sdp = session(local, (0, 0));
    audio_line(&mut sdp, &our_offer(local));
    sdp
}

/// An offer within a session whose lines were first laid out by `theirs`: as many lines in the same order
/// (RFC 3264 §8), ours in the place of the audio line that was taken.
///
/// # Errors
/// If `theirs` has no line that we would take.
pub fn offer_again(theirs: &Offer, local: &Local) -> Result<String, NoCommonCodec> {
    let (at, ..) = choose(theirs, local)?;
    let mut sdp = session(local, (0, 0));
    for (index, line) in theirs.lines.iter().enumerate() {
        if index == at { audio_line(&mut sdp, &our_offer(local)) } else { refused_line(&mut sdp, line) }
    }
    Ok(sdp)
}

/// What was agreed on when `local` was offered and this came back.
///
/// # Errors
/// If it cannot be read, or refuses our audio.
pub fn accept_answer(local: &Local, text: &str) -> Result<Negotiated, BadAnswer> {
    let theirs = Offer::parse(text)?;
    let (_, audio, send) = choose(&theirs, local)?;
    let mut receive = local.codecs.clone();
    if !receive.contains(&send) {
        receive.push(send);
    }
    let send_pt = audio.event_pt.filter(|_| local.dtmf);
    Ok(Negotiated {
        remote: audio.remote,
        rtcp: audio.rtcp,
        send,
        receive,
        dtmf: send_pt.map(|send_pt| EventPayload { send_pt, receive_pt: event_pt(&local.codecs) }),
        ptime_ms: audio.ptime_ms,
        direction: local.direction.facing(audio.direction),
        held: !audio.direction.receives(),
    })
}

/// The line we take, where it stands, and their payload for the codec we take.
fn choose<'a>(offer: &'a Offer, local: &Local) -> Result<(usize, &'a Audio, Payload), NoCommonCodec> {
    let ours = |codec: Codec| local.codecs.iter().any(|payload| payload.codec == codec);
    let common = |audio: &Audio| audio.codecs.iter().copied().find(|payload| ours(payload.codec));
    let lines = offer.lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.audio.as_ref()?)));
    lines.filter_map(|(at, audio)| Some((at, audio, common(audio)?))).next().ok_or(NoCommonCodec)
}

/// What our audio line says.
struct Ours<'a> {
    local: &'a Local,
    codecs: &'a [Payload],
    event: Option<u8>,
    direction: Direction,
}

fn our_offer(local: &Local) -> Ours<'_> {
    let event = local.dtmf.then(|| event_pt(&local.codecs));
    Ours { local, codecs: &local.codecs, event, direction: local.direction }
}

/// The payload type under which we offer telephone-event: 101, or the next one no codec has.
fn event_pt(codecs: &[Payload]) -> u8 {
    let free = |pt: &u8| codecs.iter().all(|payload| payload.pt != *pt);
    (EVENT_PT..128).find(free).unwrap_or(EVENT_PT)
}

fn session(local: &Local, time: (u64, u64)) -> String {
    let Local { address, session_id, version, .. } = local;
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let (start, stop) = time;
    format!(
        "v=0\r\no=cityline {session_id} {version} IN {family} {address}\r\ns=-\r\n\
         c=IN {family} {address}\r\nt={start} {stop}\r\n"
    )
}

fn audio_line(sdp: &mut String, ours: &Ours<'_>) {
    let _ = write!(sdp, "m=audio {} RTP/AVP", ours.local.port);
    for pt in ours.codecs.iter().map(|payload| payload.pt).chain(ours.event) {
        let _ = write!(sdp, " {pt}");
    }
    sdp.push_str("\r\n");
    for Payload { codec, pt } in ours.codecs {
        let _ = write!(sdp, "a=rtpmap:{pt} {codec}/{}\r\n", codec.clock());
    }
    if let Some(pt) = ours.event {
        let _ = write!(sdp, "a=rtpmap:{pt} telephone-event/8000\r\na=fmtp:{pt} 0-16\r\n");
    }
    let _ = write!(sdp, "a=ptime:20\r\na={}\r\n", ours.direction.as_str());
}

fn refused_line(sdp: &mut String, line: &Line) {
    let _ = write!(sdp, "m={} 0 {} {}\r\n", line.media, line.proto, line.format);
}
