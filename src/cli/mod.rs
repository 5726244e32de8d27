//! The commands: one file a verb. `serve` is the composition root, where everything meets.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod calendar;
pub mod call;
pub mod calls;
pub mod check;
pub mod folders;
mod house;
pub mod logging;
pub mod prompts;
mod reading;
pub mod serve;
pub mod sim;
pub mod simulate;
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
    /// Run the server
    Serve(serve::Args),
    /// Check the rules: every problem at once, with its place and a remedy
    Check(check::Args),
    /// Walk one call through the rules, step by step, without a telephone
    Simulate(simulate::Args),
    /// Show when lines are open: hours, holidays, clock changes
    Calendar(calendar::Args),
    /// List recent calls and how they ended
    Calls(calls::Args),
    /// Tell one call's story on one page
    Why(why::Args),
    /// Check, make or play the recorded prompts
    Prompts(prompts::Args),
    /// Make a test call from the terminal
    Call(call::Args),
    /// Play a simulated day of calls and check that nobody is lost
    Sim(sim::Args),
}

/// Runs the command that was asked for.
pub fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Simulate(args) => simulate::run(args),
        Verb::Calendar(args) => calendar::run(args),
        Verb::Calls(args) => calls::run(args),
        Verb::Why(args) => why::run(args),
        Verb::Prompts(args) => prompts::run(args),
        Verb::Call(args) => call::run(args),
        Verb::Sim(args) => sim::run(args),
    };
    result.unwrap_or_else(|report| {
        eprintln!("{report:?}");
        ExitCode::FAILURE
    })
}
