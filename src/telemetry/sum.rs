use std::collections::BTreeMap;
use std::time::SystemTime;

use super::account::{Account, Shape, Summary, rfc3339};
use crate::analyze::Rule;

/// Whether enforcing would refuse nothing that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Seen, and nothing of it violates.
    Ready,
    /// Something violates.
    NotReady,
    /// Nothing was seen: nothing is known.
    Unseen,
}

impl Readiness {
    /// In one word, for people and for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not ready",
            Self::Unseen => "not seen",
        }
    }
}

/// A ledger summed up.
#[derive(Debug)]
pub struct Report<'a> {
    /// What the ledger says once.
    pub summary: &'a Summary,
    /// The beginning of the time it is about.
    pub since: String,
    /// What violated in that time, the most frequent first.
    pub statements: Vec<&'a Shape>,
    /// Shapes last seen before that time.
    pub earlier: usize,
    /// By table; what has no table, or another object than one, is under that name or `None`.
    pub tables: Vec<(Option<&'a str>, Share<'a>)>,
    /// By rule, in the order of their names.
    pub rules: Vec<(&'static str, Share<'a>)>,
    /// Of all together.
    pub readiness: Readiness,
}

/// What one table or rule has of the violations.
#[derive(Debug, Default)]
pub struct Share<'a> {
    /// Shapes that violate.
    pub shapes: usize,
    /// Attempts to run them.
    pub attempts: u64,
    /// The rules violated on a table, or the tables that a rule is violated on.
    pub others: Vec<&'a str>,
    /// Texts that were read, for a table.
    pub texts: u64,
    /// When the last of them was.
    pub last: Option<&'a str>,
}

impl Share<'_> {
    /// Whether this table could be enforced.
    #[must_use]
    pub const fn readiness(&self) -> Readiness {
        match (self.shapes, self.texts) {
            (0, 0) => Readiness::Unseen,
            (0, _) => Readiness::Ready,
            _ => Readiness::NotReady,
        }
    }
}

impl<'a> Report<'a> {
    /// What a ledger says of the time since then.
    #[must_use]
    pub fn new(account: &'a Account, since: Option<SystemTime>) -> Self {
        let summary = &account.summary;
        let recent = |shape: &&Shape| {
            let Some(since) = since else { return true };
            // A time that is not understood is not taken for an old one.
            humantime::parse_rfc3339(&shape.last_seen).map_or(true, |last| last >= since)
        };
        let statements: Vec<&Shape> = account.statements.iter().filter(recent).collect();
        let mut tables: BTreeMap<Option<&str>, Share<'_>> = BTreeMap::new();
        for seen in &summary.tables {
            let share = tables.entry(Some(&seen.table)).or_default();
            share.texts = seen.texts;
            share.last = seen.last.as_deref();
        }
        let mut rules: BTreeMap<&'static str, Share<'_>> =
            Rule::ALL.iter().map(|rule| (rule.name(), Share::default())).collect();
        for shape in &statements {
            for broken in &shape.violations {
                let table = tables.entry(broken.table.as_deref()).or_default();
                table.add(&broken.rule, broken.count);
            }
            for (name, share) in &mut rules {
                let own = shape.violations.iter().filter(|broken| broken.rule == *name);
                let mut attempts = 0;
                for broken in own {
                    attempts = attempts.max(broken.count);
                    share.name(broken.table.as_deref().unwrap_or("no table"));
                }
                if attempts > 0 {
                    share.shapes = share.shapes.saturating_add(1);
                    share.attempts = share.attempts.saturating_add(attempts);
                }
            }
        }
        let judged = summary.judged;
        let seen = judged.holds > 0 || summary.tables.iter().any(|table| table.texts > 0);
        let readiness = match (statements.is_empty(), seen) {
            (false, _) => Readiness::NotReady,
            (true, true) => Readiness::Ready,
            (true, false) => Readiness::Unseen,
        };
        Self {
            summary,
            since: since.map_or_else(|| summary.since.clone(), rfc3339),
            earlier: account.statements.len().saturating_sub(statements.len()),
            statements,
            tables: tables.into_iter().collect(),
            rules: rules.into_iter().collect(),
            readiness,
        }
    }

    /// Attempts of all shapes together.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.statements.iter().fold(0, |sum, shape| sum.saturating_add(shape.count))
    }
}

impl<'a> Share<'a> {
    fn add(&mut self, rule: &'a str, count: u64) {
        self.shapes = self.shapes.saturating_add(1);
        self.attempts = self.attempts.saturating_add(count);
        self.name(rule);
    }

    fn name(&mut self, other: &'a str) {
        if !self.others.contains(&other) {
            self.others.push(other);
        }
    }
}
