//! Demonstration desks: the city's lines on a laptop.
//!
//! Each is a real SIP phone in this process, with a stack of its own on loopback: a transfer to it is a real
//! transfer, in signalling and audio. It rings a second, answers, says in a prompt which bureau it is, and
//! stays until the caller hangs up.
//!
//! | dialled | what the desk does |
//! |---|---|
//! | `pbot-maint` | answers and says `desk.pbot_maint`, or `desk.other` where there is no such recording |
//! | `busy-…` | is busy (486) |
//! | `reject-…` | declines (603) |
//! | `silent-…` | rings and is never answered |
//! | `hangup-…` | answers as the desk of the rest of the name, and hangs up after its prompt |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Lines, Settings as LineSettings};
use crate::call::leg::{Command, Event, Leg, LegId};
use crate::media::engine::Engine;
use crate::sip::agent::{self, Strangers};
use crate::sip::stack::{Call, Settings as StackSettings, Stack, StartError};
use crate::sip::trunk::{Network, Trunk};
use crate::terms::cause::Cause;
use crate::terms::clock::Clock;
use crate::terms::dice::Dice;
use crate::terms::language::Language;
use crate::terms::prompt::{PromptIndex, Spoken};

/// Most desks in a conversation at a time; past it a desk is busy.
pub const CONVERSATIONS_MAX: usize = 2_000;

/// What desks are told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where they are called, by UDP and TCP.
    pub listen: SocketAddr,
    /// How long one rings before it is answered.
    pub answer_after: Duration,
    /// How long one stays on the line, at most.
    pub stay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5071)),
            answer_after: Duration::from_secs(1),
            stay: Duration::from_secs(60),
        }
    }
}

/// The desks. They end when this is dropped.
#[derive(Debug)]
pub struct Desks {
    stack: Stack,
    lines: Lines,
    _tasks: JoinSet<()>,
}

impl Desks {
    /// Starts the desks. `prompts` says which of them have a recording.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(
        settings: Settings,
        engine: Engine,
        prompts: Arc<PromptIndex>,
        (clock, mut dice): (Clock, Dice),
    ) -> Result<Self, StartError> {
        let networks =
            vec![Network::new([127, 0, 0, 0].into(), 8), Network::new(std::net::Ipv6Addr::LOCALHOST.into(), 128)];
        let agent = agent::Settings {
            server: "Cityline demonstration desk".to_owned(),
            trunks: vec![Trunk::new("front_door", networks, true)],
            strangers: Strangers::Forbid,
            ..agent::Settings::default()
        };
        let listen = vec![settings.listen];
        let wanted = StackSettings { udp: listen.clone(), tcp: listen, agent, ..StackSettings::default() };
        let (stack, calls) = Stack::start(wanted, clock.clone(), dice.split()).await?;
        let rings_first = LineSettings { rings_first: true, ..LineSettings::default() };
        let lines = Lines::new(stack.clone(), engine, rings_first, dice);
        let room = Room { lines: lines.clone(), prompts, clock, settings };
        let mut tasks = JoinSet::new();
        tasks.spawn(room.serve(calls));
        Ok(Self { stack, lines, _tasks: tasks })
    }

    /// Where they are called by UDP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.stack.local(agent::Transport::Udp)
    }

    /// Their stack, to look into it.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// How many conversations they have.
    pub fn conversations(&self) -> usize {
        self.lines.legs()
    }
}

#[derive(Clone)]
struct Room {
    lines: Lines,
    prompts: Arc<PromptIndex>,
    clock: Clock,
    settings: Settings,
}

impl Room {
    async fn serve(self, mut calls: mpsc::Receiver<Call>) {
        let mut conversations = JoinSet::new();
        let mut last = 0;
        while let Some(call) = calls.recv().await {
            while conversations.try_join_next().is_some() {}
            last += 1;
            let Some((incoming, leg)) = self.lines.receive(call, LegId(last)) else { continue };
            let mut manner = Manner::of(&incoming.dialled);
            if conversations.len() >= CONVERSATIONS_MAX {
                manner = Manner::Refuses(Cause::Busy);
            }
            let room = self.clone();
            conversations.spawn(async move {
                // `None` is how a conversation ends that the caller ended.
                let _ = room.converse(leg, manner).await;
            });
        }
    }

    async fn converse(&self, mut leg: Leg, manner: Manner) -> Option<()> {
        let (name, stays) = match manner {
            Manner::Refuses(cause) => return leg.commands.send(Command::Reject { cause }).await.ok(),
            Manner::RingsOnly => return until_over(&mut leg).await,
            Manner::Answers { name, stays } => (name, stays),
        };
        if !self.waits(&mut leg, self.settings.answer_after).await {
            return None;
        }
        leg.commands.send(Command::Answer).await.ok()?;
        let until = self.clock.now() + self.settings.stay;
        let prompts = vec![Spoken::new(Language::ENGLISH, self.prompt(&name))];
        leg.commands.send(Command::Play { token: 1, prompts, repeat: false }).await.ok()?;
        if stays {
            self.waits(&mut leg, until.saturating_duration_since(self.clock.now())).await;
        } else {
            while leg.events.recv().await? != (Event::Played { token: 1 }) {}
        }
        leg.commands.send(Command::Hangup { cause: Cause::Normal }).await.ok()?;
        until_over(&mut leg).await
    }

    /// Whether the leg still stands after `span`.
    async fn waits(&self, leg: &mut Leg, span: Duration) -> bool {
        tokio::select! {
            biased;
            _ = until_over(leg) => false,
            () = self.clock.sleep(span) => true,
        }
    }

    /// The recording in which the desk says who it is.
    fn prompt<'a>(&self, name: &'a str) -> &'a str {
        let known = |name: &&str| self.prompts.ms(Language::ENGLISH, name).is_some();
        Some(name).filter(known).unwrap_or("desk.other")
    }
}

async fn until_over(leg: &mut Leg) -> Option<()> {
    loop {
        if let Event::Ended { .. } = leg.events.recv().await? {
            return None;
        }
    }
}

/// What a desk does, by the name it is called by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Manner {
    Refuses(Cause),
    RingsOnly,
    Answers { name: String, stays: bool },
}

impl Manner {
    fn of(dialled: &str) -> Self {
        let desk = |user: &str| format!("desk.{}", user.to_ascii_lowercase().replace('-', "_"));
        match dialled.split_once('-') {
            Some(("busy", _)) => Self::Refuses(Cause::Busy),
            Some(("reject", _)) => Self::Refuses(Cause::Rejected),
            Some(("silent", _)) => Self::RingsOnly,
            Some(("hangup", rest)) => Self::Answers { name: desk(rest), stays: false },
            Some(_) | None => Self::Answers { name: desk(dialled), stays: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_behaves_as_it_is_called() {
        assert_eq!(Manner::of("busy-pbot-maint"), Manner::Refuses(Cause::Busy));
        assert_eq!(Manner::of("reject-x"), Manner::Refuses(Cause::Rejected));
        assert_eq!(Manner::of("silent-x"), Manner::RingsOnly);
        let name = || "desk.pbot_maint".to_owned();
        assert_eq!(Manner::of("hangup-pbot-maint"), Manner::Answers { name: name(), stays: false });
        assert_eq!(Manner::of("pbot-maint"), Manner::Answers { name: name(), stays: true });
        assert_eq!(Manner::of("pbot_maint"), Manner::Answers { name: name(), stays: true });
    }
}
