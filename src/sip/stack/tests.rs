//! Two stacks on loopback, with real sockets and hasty timers.

use super::*;
use crate::sip::timer::Pace;
use crate::sip::trunk::Trunk;
use crate::terms::cause::Cause;

const SOON: Duration = Duration::from_secs(10);
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

struct Phone {
    stack: Stack,
    calls: mpsc::Receiver<Call>,
}

/// Everybody is known, and 64·T1 takes 1.28 s.
fn settings(transport: Transport) -> Settings {
    let pace = Pace { t1: Duration::from_millis(20), t2: Duration::from_millis(160), t4: Duration::from_millis(200) };
    let trunks = vec![Trunk::new("loopback", vec!["127.0.0.0/8".parse().unwrap()], true)];
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let tcp = if transport == Transport::Tcp { vec![any] } else { Vec::new() };
    let agent = agent::Settings { trunks, pace, ..agent::Settings::default() };
    Settings { udp: vec![any], tcp, agent, ..Settings::default() }
}

impl Phone {
    async fn new(seed: u64, settings: Settings) -> Self {
        let (stack, calls) = Stack::start(settings, Clock::system(), Dice::from_seed(seed)).await.unwrap();
        Self { stack, calls }
    }

    async fn call(&mut self) -> Call {
        tokio::time::timeout(SOON, self.calls.recv()).await.expect("a call in time").expect("a call")
    }

    async fn dial(&self, callee: &Phone, transport: Transport) -> Call {
        let address = callee.stack.local(transport).unwrap();
        self.dial_uri(format!("sip:311@{address};transport={}", transport.as_str().to_lowercase())).await
    }

    async fn dial_uri(&self, uri: String) -> Call {
        let dial = Dial {
            targets: vec![uri],
            from_user: "5035550100".to_owned(),
            from_display: None,
            sdp: SDP.to_owned(),
            ring: SOON,
            headers: Vec::new(),
            trunk: None,
        };
        self.stack.dial(dial).await.unwrap()
    }

    /// Nothing is left of any call.
    async fn is_empty(&self) {
        let until = tokio::time::Instant::now() + SOON;
        loop {
            let stats = self.stack.stats().await.unwrap();
            // Timer entries of those who have gone fall out by themselves.
            if (Census { timers: 0, ..stats.census }) == Census::default() && stats.legs == 0 {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "left over: {stats:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn event(call: &mut Call) -> DialogEvent {
    tokio::time::timeout(SOON, call.events.recv()).await.expect("an event in time").expect("an event")
}

/// Passes over progress, up to the answer or the end.
async fn outcome(call: &mut Call) -> DialogEvent {
    loop {
        match event(call).await {
            DialogEvent::Ringing { .. } => {}
            other => return other,
        }
    }
}

async fn answered(caller: &mut Call, callee: &mut Call) {
    callee.handle.send(Command::Answer { sdp: SDP.to_owned() }).await.unwrap();
    assert_eq!(outcome(caller).await, DialogEvent::Answered { sdp: Some(SDP.to_owned()) });
    assert_eq!(event(callee).await, DialogEvent::Confirmed { sdp: None });
}

fn ended(event: &DialogEvent) -> (bool, Cause, Option<u16>) {
    match event {
        DialogEvent::Ended { by_peer, cause, status } => (*by_peer, *cause, *status),
        other => panic!("not the end: {other:?}"),
    }
}

async fn a_whole_call_by(transport: Transport) {
    let caller = Phone::new(1, settings(transport)).await;
    let mut callee = Phone::new(2, settings(transport)).await;
    let mut out = caller.dial(&callee, transport).await;
    let mut come = callee.call().await;
    let incoming = come.incoming.clone().unwrap();
    assert_eq!((incoming.dialled.as_str(), incoming.caller.as_deref()), ("311", Some("5035550100")));
    assert_eq!(incoming.offer.as_deref(), Some(SDP));
    assert_eq!(come.address, IpAddr::from([127, 0, 0, 1]));
    come.handle.send(Command::Progress { status: 180, sdp: None }).await.unwrap();
    assert_eq!(event(&mut out).await, DialogEvent::Ringing { status: 180, sdp: None });
    answered(&mut out, &mut come).await;
    out.handle.send(Command::Bye { cause: Cause::Normal }).await.unwrap();
    assert_eq!(ended(&event(&mut come).await), (true, Cause::Normal, None));
    assert!(!ended(&event(&mut out).await).0);
    assert!(out.events.recv().await.is_none(), "the end is the last word");
    drop((out, come));
    caller.is_empty().await;
    callee.is_empty().await;
}

#[tokio::test]
async fn a_call_lives_from_invite_to_bye_over_udp_and_leaves_nothing() {
    a_whole_call_by(Transport::Udp).await;
}

#[tokio::test]
async fn a_call_lives_from_invite_to_bye_over_tcp_and_leaves_nothing() {
    a_whole_call_by(Transport::Tcp).await;
}

#[tokio::test]
async fn letting_go_of_a_leg_ends_it_in_the_way_of_its_stage() {
    let caller = Phone::new(1, settings(Transport::Udp)).await;
    let mut callee = Phone::new(2, settings(Transport::Udp)).await;

    let mut unanswered = caller.dial(&callee, Transport::Udp).await;
    drop(callee.call().await);
    let (by_peer, _, status) = ended(&outcome(&mut unanswered).await);
    assert_eq!((by_peer, status), (true, Some(500)), "a caller who was not answered is refused");

    let ringing = caller.dial(&callee, Transport::Udp).await;
    let mut come = callee.call().await;
    drop(ringing);
    assert_eq!(ended(&event(&mut come).await).1, Cause::Cancelled, "a line that rings is cancelled");

    let mut talking = caller.dial(&callee, Transport::Udp).await;
    let mut come = callee.call().await;
    answered(&mut talking, &mut come).await;
    drop(talking);
    assert_eq!(ended(&event(&mut come).await), (true, Cause::Normal, None), "a conversation is hung up");
    drop(come);
    caller.is_empty().await;
    callee.is_empty().await;
}

#[tokio::test]
async fn what_was_asked_before_the_leg_was_let_go_comes_first() {
    let caller = Phone::new(1, settings(Transport::Udp)).await;
    let mut callee = Phone::new(2, settings(Transport::Udp)).await;
    let mut out = caller.dial(&callee, Transport::Udp).await;
    let come = callee.call().await;
    come.handle.send(Command::Reject { status: 486, reason: String::new(), retry_after_s: None }).await.unwrap();
    drop(come);
    assert_eq!(ended(&outcome(&mut out).await), (true, Cause::Busy, Some(486)));
}

#[tokio::test]
async fn a_leg_whose_events_are_not_read_is_ended_and_the_others_go_on() {
    let caller = Phone::new(1, settings(Transport::Udp)).await;
    let mut callee = Phone::new(2, settings(Transport::Udp)).await;
    let mut out = caller.dial(&callee, Transport::Udp).await;
    let mut deaf = callee.call().await;
    answered(&mut out, &mut deaf).await;
    for _ in 0..=EVENTS_MAX {
        let (content_type, body) = ("application/dtmf".to_owned(), bytes::Bytes::from_static(b"5"));
        out.handle.send(Command::Info { content_type, body }).await.unwrap();
    }
    assert!(ended(&event(&mut out).await).0, "the far end hung up");
    let mut last = None;
    while let Some(event) = deaf.events.recv().await {
        last = Some(event);
    }
    assert_eq!(ended(&last.unwrap()), (false, Cause::Internal, None));
    let mut next = caller.dial(&callee, Transport::Udp).await;
    let mut come = callee.call().await;
    answered(&mut next, &mut come).await;
}

#[tokio::test]
async fn a_draining_stack_refuses_new_calls_and_keeps_those_it_has() {
    let caller = Phone::new(1, settings(Transport::Udp)).await;
    let mut callee = Phone::new(2, settings(Transport::Udp)).await;
    let mut first = caller.dial(&callee, Transport::Udp).await;
    let mut come = callee.call().await;
    answered(&mut first, &mut come).await;
    callee.stack.drain(true).await;
    let mut second = caller.dial(&callee, Transport::Udp).await;
    assert_eq!(ended(&outcome(&mut second).await).2, Some(503));
    drop(first);
    assert_eq!(ended(&event(&mut come).await), (true, Cause::Normal, None));
}

#[tokio::test]
async fn a_name_of_the_table_is_dialled_and_an_unknown_one_fails_at_once() {
    let mut callee = Phone::new(2, settings(Transport::Udp)).await;
    let place = callee.stack.local(Transport::Udp).unwrap();
    let mut known = settings(Transport::Udp);
    known.resolver.hosts.insert("bureaus.example.invalid".to_owned(), place);
    let caller = Phone::new(1, known).await;
    let _out = caller.dial_uri("sip:pbot-maint@bureaus.example.invalid".to_owned()).await;
    assert_eq!(callee.call().await.incoming.unwrap().dialled, "pbot-maint");
    let mut lost = caller.dial_uri("sip:x@elsewhere.example.invalid".to_owned()).await;
    assert!(!ended(&outcome(&mut lost).await).0);
}

#[tokio::test]
async fn a_dead_tcp_port_fails_the_call_without_waiting_for_timer_b() {
    let caller = Phone::new(1, settings(Transport::Tcp)).await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut out = caller.dial_uri(format!("sip:311@{dead};transport=tcp")).await;
    let (by_peer, cause, _) = ended(&outcome(&mut out).await);
    assert!(!by_peer && matches!(cause, Cause::Unreachable | Cause::NetworkFailure), "{cause}");
}

#[tokio::test]
async fn an_address_in_use_is_named_in_the_error() {
    let first = Phone::new(1, settings(Transport::Udp)).await;
    let taken = first.stack.local(Transport::Udp).unwrap();
    let wanted = Settings { udp: vec![taken], ..settings(Transport::Udp) };
    let error = Stack::start(wanted, Clock::system(), Dice::from_seed(3)).await.unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("UDP"), "{error}");
}
