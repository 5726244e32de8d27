//! Two agents, a wire that loses, delays, reorders and repeats, and a clock that nobody waits for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cityline::sip::agent::{
    Agent, Census, Command, Dial, DialogEvent, DialogId, Flow, Input, Limits, Listener, Output, SessionTimes, Settings,
    Transport,
};
use cityline::sip::trunk::Trunk;
use cityline::terms::cause::Cause;
use cityline::terms::clock::Instant;
use cityline::terms::dice::Dice;

use super::plan::{Plan, Reply};

/// How bad the wire is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) loss: f64,
    pub(crate) twice: f64,
    pub(crate) delay_ms: u64,
    pub(crate) jitter_ms: u64,
}

/// What one side knows of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) call: usize,
    pub(crate) answered: Option<Instant>,
    pub(crate) ended: Option<(Instant, Cause)>,
    pub(crate) ends: u32,
    /// What came after the end, which nothing may.
    pub(crate) after_end: u32,
}

pub(crate) struct Node {
    pub(crate) agent: Agent,
    pub(crate) address: SocketAddr,
    pub(crate) records: BTreeMap<DialogId, Record>,
    /// A crashed peer hears and says nothing, then starts anew.
    pub(crate) deaf: bool,
}

pub(crate) struct World {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) nodes: [Node; 2],
    pub(crate) plans: Vec<Plan>,
    pub(crate) wire: Wire,
    pub(crate) census_max: Census,
    pub(crate) messages: u64,
    dice: Dice,
    sequence: u64,
    due: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    things: BTreeMap<u64, Thing>,
}

/// What happens at a node at a time.
enum Thing {
    Datagram { from: SocketAddr, bytes: Bytes },
    Ask { dialog: DialogId, command: Command },
    Dial { call: usize },
    Deaf(bool),
}

const ADDRESSES: [&str; 2] = ["127.0.0.1:5060", "127.0.0.2:5060"];

pub(crate) fn agent(now: Instant, address: SocketAddr, session: SessionTimes, dice: Dice) -> Agent {
    let settings = Settings {
        listeners: vec![Listener { transport: Transport::Udp, local: address, advertised: address }],
        trunks: vec![Trunk::new("wire", vec!["127.0.0.0/8".parse().unwrap()], true)],
        session,
        // A called side that never decides is a story too; a CANCEL may come to nothing on the wire.
        limits: Limits { unanswered: Duration::from_secs(60), ..Limits::default() },
        ..Settings::default()
    };
    Agent::new(now, settings, dice)
}

impl World {
    pub(crate) fn new(seed: u64, wire: Wire, session: SessionTimes) -> Self {
        let (start, mut dice) = (Instant::now(), Dice::from_seed(seed));
        let nodes = ADDRESSES.map(|address| {
            let address = address.parse().unwrap();
            Node { agent: agent(start, address, session, dice.split()), address, records: BTreeMap::new(), deaf: false }
        });
        Self {
            start,
            now: start,
            nodes,
            plans: Vec::new(),
            wire,
            census_max: Census::default(),
            messages: 0,
            dice,
            sequence: 0,
            due: BinaryHeap::new(),
            things: BTreeMap::new(),
        }
    }

    pub(crate) fn plan(&mut self, at: Duration, make: impl FnOnce(&mut Dice) -> Plan) {
        let plan = make(&mut self.dice);
        let caller = plan.caller;
        self.plans.push(plan);
        self.later(at, caller, Thing::Dial { call: self.plans.len() - 1 });
    }

    pub(crate) fn deaf(&mut self, node: usize, from: Duration, to: Duration) {
        self.later(from, node, Thing::Deaf(true));
        self.later(to, node, Thing::Deaf(false));
    }

    fn later(&mut self, after: Duration, node: usize, thing: Thing) {
        self.sequence += 1;
        self.due.push(Reverse((self.now + after, self.sequence, node)));
        self.things.insert(self.sequence, thing);
    }

    /// Runs until nothing is due any more, or `limit` has passed.
    pub(crate) fn run(&mut self, limit: Duration) {
        let end = self.start + limit;
        loop {
            let thing = self.due.peek().map(|Reverse((at, _, node))| (*at, *node));
            let timers = (0..2).filter_map(|node| Some((self.nodes[node].agent.deadline()?, node))).min();
            let Some((at, node)) = thing.into_iter().chain(timers).min() else { return };
            if at > end {
                return;
            }
            self.now = self.now.max(at);
            if timers.is_some_and(|timer| timer == (at, node)) && thing != Some((at, node)) {
                self.nodes[node].agent.handle(self.now, Input::Tick);
            } else if let Some(Reverse((_, sequence, node))) = self.due.pop() {
                let thing = self.things.remove(&sequence).unwrap();
                self.happen(node, thing);
            }
            self.drain(node);
            if let Some((_, other)) = thing {
                self.drain(other);
            }
        }
    }

    fn happen(&mut self, node: usize, thing: Thing) {
        let now = self.now;
        let here = &mut self.nodes[node];
        match thing {
            Thing::Datagram { from, bytes } if !here.deaf => {
                let flow = Flow::Udp { local: here.address, remote: from };
                here.agent.handle(now, Input::Received { flow, bytes });
            }
            Thing::Datagram { .. } => {}
            Thing::Ask { dialog, command } => here.agent.handle(now, Input::Command { dialog, command }),
            Thing::Deaf(deaf) => here.deaf = deaf,
            Thing::Dial { call } => {
                let plan = &self.plans[call];
                let dial = Dial {
                    targets: vec![format!("sip:311@{}", ADDRESSES[1 - node])],
                    from_user: call.to_string(),
                    from_display: None,
                    sdp: format!("v=0 offer {call}"),
                    ring: plan.ring,
                    headers: if plan.reliable { vec![("Require".into(), "100rel".into())] } else { Vec::new() },
                    trunk: None,
                };
                let dialog = DialogId(call as u64);
                here.records.insert(dialog, Record { call, ..Record::default() });
                here.agent.handle(now, Input::Dial { dialog, dial: Box::new(dial) });
                if let Some(after) = self.plans[call].cancel_after {
                    self.later(after, node, Thing::Ask { dialog, command: Command::Cancel });
                }
            }
        }
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].agent.poll() {
            match output {
                Output::Send { to, bytes, .. } => self.carry(node, to.address(), bytes),
                Output::Resolve { .. } => unreachable!("addresses only"),
                Output::Incoming { dialog, incoming } => {
                    let call: usize = incoming.caller.unwrap().parse().unwrap();
                    assert!(incoming.offer.is_some());
                    self.nodes[node].records.insert(dialog, Record { call, ..Record::default() });
                    for (after, command) in self.plans[call].reactions() {
                        self.later(after, node, Thing::Ask { dialog, command });
                    }
                }
                Output::Event { dialog, event } => self.on_event(node, dialog, event),
            }
        }
        let census = self.nodes[node].agent.census();
        let max = &mut self.census_max;
        max.timers = max.timers.max(census.timers);
        max.dialogs = max.dialogs.max(census.dialogs);
        max.client_transactions = max.client_transactions.max(census.client_transactions);
        max.server_transactions = max.server_transactions.max(census.server_transactions);
    }

    fn carry(&mut self, node: usize, to: SocketAddr, bytes: Bytes) {
        self.messages += 1;
        let Some(there) = self.nodes.iter().position(|node| node.address == to) else { return };
        if self.nodes[node].deaf {
            return;
        }
        let copies = if self.dice.chance(self.wire.twice) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.dice.chance(self.wire.loss) {
                let delay = Duration::from_millis(self.wire.delay_ms + self.dice.below(self.wire.jitter_ms + 1));
                let from = self.nodes[node].address;
                self.later(delay, there, Thing::Datagram { from, bytes: bytes.clone() });
            }
        }
    }

    fn on_event(&mut self, node: usize, dialog: DialogId, event: DialogEvent) {
        let now = self.now;
        let record = self.nodes[node].records.get_mut(&dialog).expect("an event of a call nobody began");
        record.after_end += u32::from(record.ends > 0);
        let (call, is_caller) = (record.call, !dialog.is_inbound());
        match event {
            DialogEvent::Ended { cause, .. } => {
                record.ends += 1;
                record.ended = Some((now, cause));
            }
            DialogEvent::Answered { .. } | DialogEvent::Confirmed { .. } => {
                record.answered = record.answered.or(Some(now));
                let plan = &self.plans[call];
                let mut asks: Vec<(Duration, Command)> = Vec::new();
                let offers = plan.offers.iter().filter(|(by_caller, _)| *by_caller == is_caller);
                asks.extend(offers.map(|(_, after)| (*after, Command::Offer { sdp: format!("v=0 changed {call}") })));
                if plan.bye_by_caller == is_caller
                    && let Some(after) = plan.bye_after
                {
                    asks.push((after, Command::Bye { cause: Cause::Normal }));
                }
                for (after, command) in asks {
                    self.later(after, node, Thing::Ask { dialog, command });
                }
            }
            DialogEvent::Offered { .. } => {
                let command = match self.plans[call].reply {
                    Reply::Answer => Command::AnswerOffer { sdp: format!("v=0 answer {call}") },
                    Reply::Refuse => Command::RefuseOffer { status: 488 },
                    Reply::Silence => return,
                };
                self.later(Duration::from_millis(5), node, Thing::Ask { dialog, command });
            }
            DialogEvent::Ringing { .. }
            | DialogEvent::OfferAnswered { .. }
            | DialogEvent::OfferRefused { .. }
            | DialogEvent::Info { .. } => {}
        }
    }
}
