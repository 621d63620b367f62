use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::policy::{Catalog, Policy};

/// The policy that statements are planned under, with the newest catalogue in it, and the way to
/// ask for a newer one. Cheap to clone; all clones are the same.
///
/// Requests are numbered. A reading of the catalogue that began after a request was made answers
/// it, whether it succeeded or not: who waits for an answer does not wait for the database to come
/// back.
#[derive(Clone, Debug)]
pub struct Policies {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Whether a catalogue is configured.
    kept: bool,
    /// The database whose catalogue it is.
    database: Option<Box<str>>,
    /// Goes up after `current` has changed.
    generation: AtomicU64,
    current: watch::Sender<Published>,
    /// The number of the last request.
    asked: AtomicU64,
    /// The number of the last request because of a change that is known to have been made.
    changed: AtomicU64,
    /// The last request that was answered; published with `answers`.
    answered: AtomicU64,
    loaded: AtomicBool,
    answers: watch::Sender<u64>,
    wake: Notify,
    health: watch::Sender<Health>,
}

/// A policy and its place in the sequence of policies.
#[derive(Clone, Debug)]
pub struct Published {
    /// Goes up with each policy.
    pub generation: u64,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// How the catalogue is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// None is configured: the names of tables alone decide.
    Absent,
    /// Configured and never read.
    Unread,
    /// Up to date.
    Fresh,
    /// Read at this time, and its connection is lost or does not answer.
    Stale(Instant),
}

impl Policies {
    /// What a configuration starts with: its policy, and a catalogue that is still to be read if
    /// it has one.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        match &config.catalog {
            Some(source) => Self::unread(&config.policy, &source.database),
            None => Self::fixed(Arc::clone(&config.policy)),
        }
    }

    /// One policy for good, without a catalogue.
    #[must_use]
    pub fn fixed(policy: Arc<Policy>) -> Self {
        Self::new(policy, None)
    }

    /// The policy with a catalogue of this database that is still to be read: until then it knows
    /// no relation.
    #[must_use]
    pub fn unread(policy: &Policy, database: &str) -> Self {
        let policy = Policy { catalog: Some(Arc::new(Catalog::default())), ..policy.clone() };
        Self::new(Arc::new(policy), Some(database.into()))
    }

    fn new(policy: Arc<Policy>, database: Option<Box<str>>) -> Self {
        let kept = database.is_some();
        let health = if kept { Health::Unread } else { Health::Absent };
        Self {
            shared: Arc::new(Shared {
                kept,
                database,
                generation: AtomicU64::new(0),
                current: watch::Sender::new(Published { generation: 0, policy }),
                asked: AtomicU64::new(0),
                changed: AtomicU64::new(0),
                answered: AtomicU64::new(0),
                loaded: AtomicBool::new(false),
                answers: watch::Sender::new(0),
                wake: Notify::new(),
                health: watch::Sender::new(health),
            }),
        }
    }

    /// The generation of the newest policy.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The newest policy.
    #[must_use]
    pub fn current(&self) -> Published {
        self.shared.current.borrow().clone()
    }

    /// Whether a catalogue is configured.
    #[must_use]
    pub fn has_catalog(&self) -> bool {
        self.shared.kept
    }

    /// Whether a session of this database may be judged: the catalogue is of one database alone.
    #[must_use]
    pub fn is_of(&self, database: &str) -> bool {
        self.shared.database.as_deref().is_none_or(|own| own == database)
    }

    /// How the catalogue is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        *self.shared.health.borrow()
    }

    /// Asks for a new reading; its number is for [`Self::answered`].
    #[must_use]
    pub fn ask(&self) -> u64 {
        let number = self.shared.asked.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        self.shared.wake.notify_one();
        number
    }

    /// The database has changed: the catalogue is stale until it is read anew.
    pub fn mark_stale(&self) {
        if self.shared.kept {
            // In this order: a reading that begins after the first step has seen the change.
            let number = self.shared.asked.fetch_add(1, Ordering::AcqRel).saturating_add(1);
            self.shared.changed.fetch_max(number, Ordering::AcqRel);
            self.shared.wake.notify_one();
        }
    }

    /// Whether there is nothing to wait for: the catalogue was read, and no change is known that
    /// it cannot have seen.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let shared = &self.shared;
        !shared.kept
            || (shared.loaded.load(Ordering::Acquire)
                && shared.answered.load(Ordering::Acquire)
                    >= shared.changed.load(Ordering::Acquire))
    }

    /// Waits until [`Self::is_settled`].
    pub async fn settled(&self) {
        let mut answers = self.shared.answers.subscribe();
        while !self.is_settled() {
            if answers.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until a request is answered.
    pub async fn answered(&self, number: u64) {
        let mut answers = self.shared.answers.subscribe();
        // An error means that the sender is gone, and `self` holds it.
        let _ = answers.wait_for(|answered| *answered >= number).await;
    }

    /// The last request, which a reading that begins now answers.
    pub(super) fn last_asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Acquire)
    }

    /// Whether a change is known that no reading has answered.
    pub(super) fn is_behind(&self) -> bool {
        self.shared.answered.load(Ordering::Acquire) < self.shared.changed.load(Ordering::Acquire)
    }

    /// Waits until someone asks; requests made meanwhile count.
    pub(super) async fn woken(&self) {
        self.shared.wake.notified().await;
    }

    /// Publishes a catalogue that differs from the last one.
    pub(super) fn publish(&self, catalog: Catalog) {
        let mut generation = 0;
        self.shared.current.send_modify(|current| {
            current.generation = current.generation.saturating_add(1);
            // Other tables may be guarded than when it was read.
            let catalog = Some(Arc::new(catalog.guarded_by(&current.policy.tables)));
            current.policy = Arc::new(Policy { catalog, ..(*current.policy).clone() });
            generation = current.generation;
        });
        self.shared.generation.store(generation, Ordering::Release);
    }

    /// Puts another configuration's policy in the place of this one; the catalogue stays.
    pub fn replace(&self, policy: &Policy) {
        let mut generation = 0;
        self.shared.current.send_modify(|current| {
            current.generation = current.generation.saturating_add(1);
            let catalog = current.policy.catalog.as_ref();
            let catalog = catalog.map(|it| Arc::new((**it).clone().guarded_by(&policy.tables)));
            current.policy = Arc::new(Policy { catalog, ..policy.clone() });
            generation = current.generation;
        });
        self.shared.generation.store(generation, Ordering::Release);
    }

    /// A reading that answers the requests up to `number` has ended.
    pub(super) fn answer(&self, number: u64, health: Health) {
        self.shared.health.send_replace(health);
        if health == Health::Fresh {
            self.shared.loaded.store(true, Ordering::Release);
        }
        self.shared.answered.fetch_max(number, Ordering::AcqRel);
        self.shared.answers.send_replace(number);
    }

    /// The connection was lost between two readings.
    pub(super) fn lost(&self, health: Health) {
        self.shared.health.send_replace(health);
    }
}

impl Health {
    /// How long ago a stale catalogue was read.
    #[must_use]
    pub fn age(self) -> Option<Duration> {
        match self {
            Self::Stale(read) => Some(read.elapsed()),
            Self::Absent | Self::Unread | Self::Fresh => None,
        }
    }
}
