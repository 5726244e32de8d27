//! A phone at the far end of an agent, by script: what it says, and what it gets back.

use std::time::Duration;

use bytes::Bytes;
use cityline::sip::agent::{
    Agent, Command, Dial, DialogEvent, DialogId, Flow, Incoming, Input, Listener, Output, Settings, Transport,
};
use cityline::sip::message::{Message, Method};
use cityline::sip::trunk::Trunk;
use cityline::terms::clock::Instant;
use cityline::terms::dice::Dice;

/// One agent, one phone, and virtual time.
pub(crate) struct Phone {
    pub(crate) agent: Agent,
    pub(crate) now: Instant,
    pub(crate) flow: Flow,
    /// What the agent sent to the phone; the status of each response once more, for those that echo what cannot
    /// be read.
    pub(crate) sent: Vec<Message>,
    pub(crate) statuses: Vec<u16>,
    pub(crate) incoming: Vec<(DialogId, Incoming)>,
    pub(crate) events: Vec<(DialogId, DialogEvent)>,
    pub(crate) lookups: Vec<u64>,
}

pub(crate) const CITY: &str = "127.0.0.1:5060";
pub(crate) const HERE: &str = "127.0.0.2:5060";

pub(crate) fn settings() -> Settings {
    let local = CITY.parse().unwrap();
    Settings {
        listeners: vec![Listener { transport: Transport::Udp, local, advertised: local }],
        trunks: vec![Trunk::new("carrier", vec!["127.0.0.0/8".parse().unwrap()], true)],
        ..Settings::default()
    }
}

impl Phone {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let flow = Flow::Udp { local: CITY.parse().unwrap(), remote: HERE.parse().unwrap() };
        let agent = Agent::new(now, settings, Dice::from_seed(7));
        Self { agent, now, flow, sent: vec![], statuses: vec![], incoming: vec![], events: vec![], lookups: vec![] }
    }

    pub(crate) fn hand(&mut self, input: Input) {
        self.agent.handle(self.now, input);
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Send { bytes, .. } => {
                    let head = String::from_utf8_lossy(&bytes[..12]).into_owned();
                    self.statuses.extend(head.strip_prefix("SIP/2.0 ").and_then(|rest| rest[..3].parse::<u16>().ok()));
                    self.sent.extend(Message::parse(bytes));
                }
                Output::Resolve { ticket, .. } => self.lookups.push(ticket),
                Output::Incoming { dialog, incoming } => self.incoming.push((dialog, *incoming)),
                Output::Event { dialog, event } => self.events.push((dialog, event)),
            }
        }
    }

    pub(crate) fn says(&mut self, text: &str) -> &mut Self {
        let bytes = Bytes::from(text.replace('\n', "\r\n"));
        self.hand(Input::Received { flow: self.flow, bytes });
        self
    }

    pub(crate) fn asks(&mut self, dialog: DialogId, command: Command) -> &mut Self {
        self.hand(Input::Command { dialog, command });
        self
    }

    /// Lets time pass, waking the agent whenever it asks.
    pub(crate) fn waits(&mut self, span: Duration) -> &mut Self {
        let end = self.now + span;
        while let Some(at) = self.agent.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.hand(Input::Tick);
        }
        self.now = end;
        self
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.statuses.clone()
    }

    pub(crate) fn requests(&self) -> Vec<&Method> {
        self.sent.iter().filter_map(Message::method).collect()
    }

    pub(crate) fn last(&self) -> &Message {
        self.sent.last().expect("something was sent")
    }

    /// An INVITE that was let in.
    pub(crate) fn invites(&mut self, more: &str) -> DialogId {
        let invite = request("INVITE", 1, "", more);
        self.says(&invite);
        self.incoming.last().expect("let in").0
    }

    /// A call that is up.
    pub(crate) fn is_up(&mut self) -> DialogId {
        let dialog = self.invites(OFFER);
        self.asks(dialog, Command::Answer { sdp: "v=0 answer".into() });
        let ack = request("ACK", 1, &self.tag(), "\n");
        self.says(&ack);
        dialog
    }

    /// Our tag, as `;tag=…`.
    pub(crate) fn tag(&self) -> String {
        let tags = self.sent.iter().rev().filter_map(|one| one.headers.to().ok()?.tag().map(str::to_owned));
        format!(";tag={}", tags.into_iter().next().expect("a tag"))
    }
}

pub(crate) const OFFER: &str = "Content-Type: application/sdp\n\nv=0 offer";

pub(crate) fn request(method: &str, cseq: u32, tag: &str, more: &str) -> String {
    request_by(method, cseq, tag, &format!("z9hG4bK{method}{cseq}"), more)
}

pub(crate) fn request_by(method: &str, cseq: u32, tag: &str, branch: &str, more: &str) -> String {
    let number_method = method;
    format!(
        "{method} sip:311@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch={branch};rport\nMax-Forwards: 70\n\
         From: \"Ana\" <sip:+15035550100@127.0.0.2>;tag=phone\nTo: <sip:311@127.0.0.1>{tag}\nCall-ID: call-1\n\
         CSeq: {cseq} {number_method}\nContact: <sip:ana@127.0.0.2:5060>\n{more}"
    )
}

pub(crate) fn dial(targets: &[&str]) -> Input {
    let dial = Dial {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        from_user: "311".into(),
        from_display: Some("City".into()),
        sdp: "v=0 offer".into(),
        ring: Duration::from_secs(20),
        headers: vec![("X-Line".into(), "a\r\nEvil: 1".into())],
        trunk: None,
    };
    Input::Dial { dialog: DialogId(1), dial: Box::new(dial) }
}

/// The response a phone gives to the agent's latest request.
pub(crate) fn reply(to: &Message, status: u16, tag: &str, more: &str) -> String {
    let mut response = Message::response(status, "Because", &to.headers);
    response.add_to_tag(tag);
    let head = String::from_utf8(response.encode().to_vec()).unwrap().replace("\r\n", "\n");
    let head = head.replace("Content-Length: 0\n\n", "");
    format!("{head}Contact: <sip:desk@127.0.0.2:5060>\n{more}")
}
