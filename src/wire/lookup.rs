//! Secrets of roles by a query to the database, on a connection of the guard's own: nothing that a
//! client sends is in force there but the role's name, as a parameter.

use std::collections::HashMap;
use std::sync::{self, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, Row};

use super::scram::Secret;
use super::upstream::Upstream;
use crate::config::AuthQuery;

/// A login and one question.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers remembered: clients choose the names that are asked for.
const ANSWERS: usize = 10_000;

/// Asks for the secrets of roles.
#[derive(Debug)]
pub struct Lookup {
    upstream: Upstream,
    query: AuthQuery,
    /// The connection; who holds it asks.
    client: Mutex<Option<Client>>,
    /// Beside it, so that a role that is known does not wait for one that is asked for.
    answers: sync::Mutex<HashMap<Box<str>, Answer>>,
}

struct Answer {
    at: Instant,
    secret: Option<Secret>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// Why there is no answer. No secret is repeated.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("{0}")]
    Unreached(#[from] std::io::Error),
    #[error("{0}")]
    Database(#[from] tokio_postgres::Error),
    #[error("no answer in time")]
    Late,
    #[error("the query must give one row at most: the secret, or the role's name and the secret")]
    Form,
    #[error("the query gives another role than was asked for")]
    OtherRole,
    #[error("what the query gives is no SCRAM secret")]
    NoSecret,
}

/// The secret of a role cannot be learnt now; why has been logged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unknown;

impl Lookup {
    /// Asks the servers that the query names, or those of `upstream`, by its TLS.
    #[must_use]
    pub fn new(upstream: &Upstream, query: AuthQuery) -> Self {
        Self {
            upstream: upstream.of(&query.account),
            query,
            client: Mutex::default(),
            answers: sync::Mutex::default(),
        }
    }

    /// The secret of a role; `None` if there is no such role, or it has none.
    pub(super) async fn secret(&self, role: &str) -> Result<Option<Secret>, Unknown> {
        if let Some(known) = self.known(role) {
            return Ok(known);
        }
        let mut client = self.client.lock().await;
        // Another session may have asked meanwhile.
        if let Some(known) = self.known(role) {
            return Ok(known);
        }
        let asked = timeout(PATIENCE, self.ask(&mut client, role)).await;
        let answer = match asked.unwrap_or(Err(NoAnswer::Late)) {
            // No more is told to the client than of a role that does not exist.
            Err(error @ NoAnswer::NoSecret) => {
                tracing::warn!(role, %error, "auth_query");
                Ok(None)
            }
            answer => answer,
        };
        match answer {
            Ok(secret) => {
                let mut answers = self.answers();
                if answers.len() >= ANSWERS {
                    answers.retain(|_, answer| self.is_fresh(answer));
                }
                if answers.len() < ANSWERS {
                    let answer = Answer { at: Instant::now(), secret: secret.clone() };
                    answers.insert(role.into(), answer);
                }
                Ok(secret)
            }
            Err(error) => {
                // What the server said is in the source of the driver's error.
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "auth_query failed");
                *client = None;
                Err(Unknown)
            }
        }
    }

    /// The next client of this role is held against what the database says then: its password may
    /// have changed.
    pub(super) fn forget(&self, role: &str) {
        self.answers().remove(role);
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Box<str>, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is relied on still.
    fn known(&self, role: &str) -> Option<Option<Secret>> {
        let answers = self.answers();
        let answer = answers.get(role).filter(|it| self.is_fresh(it))?;
        Some(answer.secret.clone())
    }

    fn is_fresh(&self, answer: &Answer) -> bool {
        answer.at.elapsed() < self.query.cache
    }

    async fn ask(
        &self,
        client: &mut Option<Client>,
        role: &str,
    ) -> Result<Option<Secret>, NoAnswer> {
        // One that has been kept may turn out to be lost.
        let kept = match client.take() {
            Some(kept) => self.rows(&kept, role).await.ok().map(|rows| (kept, rows)),
            None => None,
        };
        let (open, rows) = match kept {
            Some(answered) => answered,
            None => {
                let stream = self.upstream.connect().await?;
                let connection = &self.query.account.connection;
                let (open, driver) = connection.connect_raw(stream, NoTls).await?;
                // Its end is seen by the client.
                tokio::spawn(driver);
                let rows = self.rows(&open, role).await?;
                (open, rows)
            }
        };
        *client = Some(open);
        let row = match &rows[..] {
            [] => return Ok(None),
            [row] => row,
            [_, _, ..] => return Err(NoAnswer::Form),
        };
        let secret: Option<&str> = match row.len() {
            1 => row.try_get(0)?,
            2 => {
                let name: Option<&str> = row.try_get(0)?;
                if name.is_some_and(|name| name != role) {
                    return Err(NoAnswer::OtherRole);
                }
                row.try_get(1)?
            }
            _ => return Err(NoAnswer::Form),
        };
        secret.map(|text| Secret::read(text).ok_or(NoAnswer::NoSecret)).transpose()
    }

    async fn rows(&self, client: &Client, role: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
        client.query_typed(&self.query.text, &[(&role, Type::TEXT)]).await
    }
}
