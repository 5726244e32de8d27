//! What signalling costs: whole calls (INVITE, 100, 180, 200, ACK, BYE, 200) between two agents, without a network.
//!
//! Prints the CPU time of a call: of both sides together, every message made, read and answered, every timer set
//! and let go. Run with `cargo bench --bench sip_core`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use cityline::sip::agent::{
    Agent, Command, Dial, DialogEvent, DialogId, Flow, Input, Limits, Listener, Output, Settings, Transport,
};
use cityline::sip::trunk::Trunk;
use cityline::terms::cause::Cause;
use cityline::terms::clock::Instant;
use cityline::terms::dice::Dice;

const CALLS: u64 = 100_000;
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\n\
     a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n";

struct Side {
    agent: Agent,
    address: SocketAddr,
    spent: Duration,
}

fn side(now: Instant, address: &str, seed: u64) -> Side {
    let address: SocketAddr = address.parse().unwrap();
    let settings = Settings {
        listeners: vec![Listener { transport: Transport::Udp, local: address, advertised: address }],
        trunks: vec![Trunk::new("wire", vec!["10.0.0.0/8".parse().unwrap()], true)],
        limits: Limits { calls_per_s: 1e9, transactions: 1_000_000, ..Limits::default() },
        ..Settings::default()
    };
    Side { agent: Agent::new(now, settings, Dice::from_seed(seed)), address, spent: Duration::ZERO }
}

fn main() {
    let start = Instant::now();
    let mut sides = [side(start, "10.0.0.1:5060", 1), side(start, "10.0.0.2:5060", 2)];
    let (mut messages, mut ended) = (0_u64, 0_u64);
    for call in 0..CALLS {
        // 1,000 calls a second of virtual time: finished transactions linger and leave as they would.
        let now = start + Duration::from_millis(call);
        let dial = Dial {
            targets: vec!["sip:311@10.0.0.2".to_owned()],
            from_user: "+15035550100".to_owned(),
            from_display: None,
            sdp: SDP.to_owned(),
            ring: Duration::from_secs(30),
            headers: Vec::new(),
            trunk: None,
        };
        let mut inputs = vec![(0, Input::Dial { dialog: DialogId(call), dial: Box::new(dial) })];
        while let Some((to, input)) = inputs.pop() {
            let began = Instant::now();
            sides[to].agent.handle(now, input);
            let outputs: Vec<Output> = std::iter::from_fn(|| sides[to].agent.poll()).collect();
            sides[to].spent += began.elapsed();
            for output in outputs.into_iter().rev() {
                react(&sides, to, output, &mut inputs, (&mut messages, &mut ended));
            }
        }
    }
    let us = |side: &Side| side.spent.as_secs_f64() * 1e6 / CALLS as f64;
    let (calling, called) = (us(&sides[0]), us(&sides[1]));
    let mut out = std::io::stdout().lock();
    let calls = format!("{CALLS} calls, {messages} messages, {ended} ends");
    writeln!(out, "{calls}\ncalling side {calling:.1} µs a call, called side {called:.1} µs a call").unwrap();
}

fn react(sides: &[Side; 2], at: usize, output: Output, inputs: &mut Vec<(usize, Input)>, counts: (&mut u64, &mut u64)) {
    match output {
        Output::Send { bytes, .. } => {
            *counts.0 += 1;
            let flow = Flow::Udp { local: sides[1 - at].address, remote: sides[at].address };
            inputs.push((1 - at, Input::Received { flow, bytes }));
        }
        Output::Incoming { dialog, .. } => {
            inputs.push((at, Input::Command { dialog, command: Command::Answer { sdp: SDP.to_owned() } }));
            inputs.push((at, Input::Command { dialog, command: Command::Progress { status: 180, sdp: None } }));
        }
        Output::Event { dialog, event: DialogEvent::Confirmed { .. } } => {
            inputs.push((at, Input::Command { dialog, command: Command::Bye { cause: Cause::Normal } }));
        }
        Output::Event { event: DialogEvent::Ended { .. }, .. } => *counts.1 += 1,
        Output::Event { .. } | Output::Resolve { .. } => {}
    }
}
