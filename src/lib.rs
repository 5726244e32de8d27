//! Cityline: the telephone front door of a city.
//!
//! This page is the map. `ARCHITECTURE.md` says who may import whom and what must never be there;
//! `docs/call-flow.md` follows one call through all of it.
//!
//! # The modules, in reading order
//!
//! | module | read it for | begin with |
//! |---|---|---|
//! | [`terms`] | the words that all others share | [`terms::event`], [`terms::outcome`], [`terms::cause`] |
//! | [`routing`] | what callers are offered and where they go: the rules, as a pure machine | [`routing::journey`] |
//! | [`call`] | one caller's visit: the port to a party's leg, the call's journal | [`call::leg`] |
//! | [`flow`] | the story of a call: performs the rules' steps with real legs | [`flow::story`] |
//! | [`line`] | what is at the far end of a leg: SIP and audio, joined | [`line::Lines`] |
//! | [`sip`] | SIP: a core without sockets or clock, and the shell around it | [`sip::agent`], [`sip::stack`] |
//! | [`media`] | what is heard, said and pressed: RTP, on threads of its own | [`media::engine`] |
//! | [`store`] | the record: every event, one outcome a call, durably | [`store::journal`] |
//! | [`config`] | what an operator wrote, and what it means | [`config::file`] |
//! | [`web`] | health over HTTP | [`web::serve`] |
//! | [`sim`] | days of calls under a virtual clock | [`sim::day`] |
//! | [`cli`] | one file a command; [`cli::serve`] is where everything meets | [`cli::serve`] |
//!
//! # Who reads which file
//!
//! | file | written by | read by |
//! |---|---|---|
//! | the configuration, e.g. `deploy/demo.toml` | an operator | [`config::file`] (its shape), [`config::settings`] (its meaning) |
//! | `routing-rules/*.toml` | an administrator | [`routing::load`]; [`cli::folders`] keeps their text in the record |
//! | `prompts/<language>/<name>.wav` | `cityline prompts build` | [`media::bank`] (to play); [`cli::folders`] (which there are, and how long) |
//! | `prompts/<language>/manifest.toml` | people | [`cli::prompts`] (to check and build); [`cli::folders`] (the words that `simulate` shows) |
//! | `prompts/<language>/built.toml` | `cityline prompts build` | [`cli::prompts`] |
//! | `cityline.db` and `spool/` in the data folder | the server, through [`store::journal`] | [`store::sqlite`] and [`store::spool`], for `calls`, `why` and the next start |

pub mod call;
pub mod cli;
pub mod config;
pub mod flow;
pub mod line;
pub mod media;
pub mod routing;
pub mod sim;
pub mod sip;
pub mod store;
pub mod terms;
pub mod web;
