//! The command line: `serve`, `check`, `explain`, `report`, `config`, `learn`, `doctor` and `demo`.

mod arguments;
mod check;
mod config;
mod demo;
mod diff;
mod doctor;
mod excerpt;
mod explain;
mod fetch;
mod guard;
mod learn;
mod progress;
mod report;
mod sarif;
mod serve;
mod throwaway;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command, ConfigArguments, ConfigCommand};
pub use throwaway::{NoPostgres, Throwaway};

use crate::analyze;

/// Could not do what was asked: a file, an argument or the configuration is wrong.
const COULD_NOT_RUN: u8 = 2;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    // A panic's own words may hold a part of a statement; its place does not.
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => say_error(&format_args!("a mistake in orgguard, at {place}")),
        None => say_error(&"a mistake in orgguard"),
    }));
    let task = move || match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Config(ConfigArguments { command: ConfigCommand::Show(arguments) }) => {
            config::show(&arguments)
        }
        Command::Learn(arguments) => learn::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
    };
    // Not on the main thread, whose stack the system chooses.
    let thread =
        std::thread::Builder::new().name("orgguard".to_owned()).stack_size(analyze::READER_STACK);
    match thread.spawn(task).map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The panic has been reported where it happened.
        Ok(Err(_)) => ExitCode::from(COULD_NOT_RUN),
        Err(error) => could_not_run(&error),
    }
}

/// Says why the program cannot do what was asked.
fn could_not_run(why: &dyn std::fmt::Display) -> ExitCode {
    say_error(why);
    ExitCode::from(COULD_NOT_RUN)
}

/// One message on standard error, each of its lines marked as ours.
fn say_error(what: &dyn std::fmt::Display) {
    let mut error = io::stderr().lock();
    for line in what.to_string().lines() {
        // If nobody listens there is nobody to tell.
        let _ = writeln!(error, "orgguard: {line}");
    }
}

/// Writes to standard output at once; a reader that has gone away (`| head`) is no error.
fn print(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
