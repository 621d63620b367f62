//! What the servers are: asked by the guard itself, before a session is sent to one. A relayed login
//! shows it only when it is too late to turn to another server.

use std::io;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::stream::Stream;
use crate::config::{Probe, SessionAttrs};

/// A login and one question.
const PATIENCE: Duration = Duration::from_secs(5);

const QUESTION: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
                        pg_catalog.current_setting('transaction_read_only')";

/// What each server was when it was last asked.
#[derive(Debug)]
pub(super) struct Probes {
    connection: tokio_postgres::Config,
    interval: Duration,
    seen: Vec<Mutex<Option<Seen>>>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    /// `None` if it could not be asked.
    state: Option<State>,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    in_recovery: bool,
    read_only: bool,
}

impl State {
    fn suits(self, wanted: SessionAttrs) -> bool {
        match wanted {
            SessionAttrs::ReadWrite => !self.read_only,
            SessionAttrs::ReadOnly => self.read_only,
            SessionAttrs::Primary => !self.in_recovery,
            SessionAttrs::Standby => self.in_recovery,
            SessionAttrs::PreferStandby => true,
        }
    }
}

impl Probes {
    /// Of so many servers.
    pub(super) fn new(probe: &Probe, servers: usize) -> Self {
        Self {
            connection: probe.account.connection.clone(),
            interval: probe.interval,
            seen: std::iter::repeat_with(Mutex::default).take(servers).collect(),
        }
    }

    /// Whether a server is what it must be; it is asked if that is not known, by one session for
    /// all that wait.
    pub(super) async fn suits<F: Future<Output = io::Result<Stream>>>(
        &self,
        server: usize,
        wanted: SessionAttrs,
        connect: impl FnOnce() -> F,
    ) -> io::Result<()> {
        let seen = self.seen.get(server).ok_or(io::ErrorKind::NotFound)?;
        let mut seen = seen.lock().await;
        let known = seen.as_ref().filter(|seen| seen.at.elapsed() < self.interval);
        let state = match known {
            Some(known) => known.state,
            None => {
                let asked = timeout(PATIENCE, self.ask(connect)).await;
                let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                if let Err(error) = &asked {
                    tracing::warn!(%error, "a server could not be asked what it is");
                }
                let state = asked.ok();
                *seen = Some(Seen { at: Instant::now(), state });
                state
            }
        };
        match state {
            Some(state) if state.suits(wanted) => Ok(()),
            Some(_) => Err(io::Error::other("not what target_session_attrs asks for")),
            None => Err(io::Error::other("what it is could not be asked")),
        }
    }

    async fn ask<F: Future<Output = io::Result<Stream>>>(
        &self,
        connect: impl FnOnce() -> F,
    ) -> io::Result<State> {
        let stream = connect().await?;
        let (client, connection) =
            self.connection.connect_raw(stream, NoTls).await.map_err(io::Error::other)?;
        let answer = tokio::select! {
            answer = client.simple_query(QUESTION) => answer.map_err(io::Error::other)?,
            _ = connection => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let row = answer.iter().find_map(|message| {
            let SimpleQueryMessage::Row(row) = message else {
                return None;
            };
            Some((row.get(0)?, row.get(1)?))
        });
        match row {
            Some((recovery @ ("t" | "f"), read_only @ ("on" | "off"))) => {
                Ok(State { in_recovery: recovery == "t", read_only: read_only == "on" })
            }
            Some(_) | None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_suits_what() {
        let primary = State { in_recovery: false, read_only: false };
        let closed = State { in_recovery: false, read_only: true };
        let standby = State { in_recovery: true, read_only: true };
        for (wanted, suit) in [
            (SessionAttrs::ReadWrite, [true, false, false]),
            (SessionAttrs::ReadOnly, [false, true, true]),
            (SessionAttrs::Primary, [true, true, false]),
            (SessionAttrs::Standby, [false, false, true]),
            (SessionAttrs::PreferStandby, [true, true, true]),
        ] {
            assert_eq!([primary, closed, standby].map(|it| it.suits(wanted)), suit, "{wanted:?}");
        }
    }
}
