use std::sync::Arc;

use crate::analyze::Plan;

/// A text and its plan.
#[derive(Debug)]
pub struct Planned {
    text: Box<str>,
    plan: Plan,
}

impl Planned {
    /// Joins a text and the plan made of it.
    #[must_use]
    pub const fn new(text: Box<str>, plan: Plan) -> Self {
        Self { text, plan }
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &str {
        &self.text
    }

    /// Its plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Where a session gets plans from: a cache in front of the analysis.
pub trait Planner {
    /// The plan of a text.
    fn plan(&self, text: &str) -> Arc<Planned>;

    /// The plan of a text that is not UTF-8: not understood.
    ///
    /// PostgreSQL's texts have no NUL, so a text with one is never understood either.
    fn plan_bytes(&self, text: &[u8]) -> Arc<Planned> {
        self.plan(std::str::from_utf8(text).unwrap_or("\0"))
    }
}
