use tracing_subscriber::EnvFilter;

/// Sends log events to standard error, one JSON object a line. `RUST_LOG` chooses the level;
/// without it, `info`.
///
/// Does nothing if the process already has a subscriber.
pub fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error means that somebody else, such as a test, has taken the log already.
    let _taken = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
