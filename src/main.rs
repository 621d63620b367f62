//! The `orgguard` program.

fn main() -> std::process::ExitCode {
    orgguard::cli::run()
}
