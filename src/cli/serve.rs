use std::path::PathBuf;
use std::process::ExitCode;

use super::arguments::ServeArguments;
use super::could_not_run;
use super::guard::{Guard, NotServed, interrupted, runtime};
use crate::config::{self, Config, Overrides};
use crate::telemetry::start_logging;

/// Runs the guard until SIGTERM or SIGINT, then drains.
pub(super) fn run(arguments: &ServeArguments) -> ExitCode {
    let config = match config::load(&arguments.config, &arguments.overrides()) {
        Ok(config) => config,
        Err(invalid) => return could_not_run(&invalid),
    };
    start_logging();
    let file = (arguments.config.clone(), arguments.overrides());
    let served = runtime().map_err(NotServed::from);
    match served.and_then(|runtime| runtime.block_on(serve(config, file))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => could_not_run(&error),
    }
}

async fn serve(config: Config, file: (PathBuf, Overrides)) -> Result<(), NotServed> {
    let (mode, upstream) = (config.mode.name(), config.upstream.to_string());
    let mut guard = Guard::start(config, Some(file)).await?;
    let sockets = guard.sockets().await?;
    let listen = sockets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    tracing::info!(mode, listen, upstream, admin = ?guard.admin_address(), "listening");
    tokio::select! {
        ended = guard.ended() => return ended,
        () = interrupted() => {}
    }
    tracing::info!("draining");
    guard.stop().await?;
    tracing::info!("stopped");
    Ok(())
}
