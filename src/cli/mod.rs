//! The commands: one file a verb. `serve` is the composition root, where everything meets.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod calls;
pub mod logging;
mod reading;
mod rules;
pub mod sim;
pub mod why;

/// The telephone front door of a city: answers 311, speaks the caller's language, follows the city's own rules,
/// and keeps a true record of how every call ended.
///
/// Exit codes: 0 well, 1 the answer is no, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "cityline", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List recent calls and how they ended
    Calls(calls::Args),
    /// Tell one call's story on one page
    Why(why::Args),
    /// Play a simulated day of calls and check that nobody is lost
    Sim(sim::Args),
}

/// Runs the command that was asked for.
pub fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Calls(args) => calls::run(args),
        Verb::Why(args) => why::run(args),
        Verb::Sim(args) => sim::run(args),
    };
    result.unwrap_or_else(|report| {
        eprintln!("{report:?}");
        ExitCode::FAILURE
    })
}
