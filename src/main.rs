//! The `cityline` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cityline::cli::main()
}
