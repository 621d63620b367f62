use std::sync::Arc;

use super::modes::SessionModes;
use crate::analyze::{Plan, StatementPlan};
use crate::policy::{Overlay, Policy};
use crate::rewrite::{Rewrite, rewrite};
use crate::sql::Shape;

/// A text and its plan.
#[derive(Debug)]
#[repr(C)]
pub struct Planned {
    /// First, and so beside the count of those who hold it: both are needed each time.
    text: Box<str>,
    generation: u64,
    overlay: u64,
    fingerprint: Option<u64>,
    plan: Plan,
    rewrite: Option<Rewrite>,
    /// Whose plan this is too, if it was made of another text of the shape.
    base: Option<Arc<Self>>,
}

impl Planned {
    /// Joins a text and the plan made of it under the policy of a generation.
    #[must_use]
    pub const fn new(text: Box<str>, plan: Plan, generation: u64) -> Self {
        Self { text, plan, generation, overlay: 0, fingerprint: None, rewrite: None, base: None }
    }

    /// The same, planned beside what a session knows on its own, of this version.
    #[must_use]
    pub fn under(self, overlay: u64) -> Self {
        Self { overlay, ..self }
    }

    /// The version of what the session knew on its own when it was planned; 0 for nothing.
    #[must_use]
    pub const fn overlay(&self) -> u64 {
        self.overlay
    }

    /// The same with the fingerprint of the text's shape, which exemptions may name.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: u64) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// The fingerprint of the text's shape, if it was given.
    #[must_use]
    pub const fn fingerprint(&self) -> Option<u64> {
        self.fingerprint
    }

    /// The same, with what the text is to be changed into in rewrite mode.
    #[must_use]
    pub fn with_rewrite(mut self, policy: &Policy) -> Self {
        self.rewrite = rewrite(&self.text, &self.plan, policy);
        self
    }

    /// The same for another text of this shape; `None` if the plan does not hold for it.
    #[must_use]
    pub fn reused(self: &Arc<Self>, text: &str, shape: &Shape) -> Option<Self> {
        let plan = self.plan.reused(&self.text, text, shape)?;
        let Self { text: _, plan: _, generation, overlay, fingerprint, rewrite: _, base: _ } =
            **self;
        let (text, base) = (text.into(), Some(Arc::clone(self)));
        Some(Self { text, plan, generation, overlay, fingerprint, rewrite: None, base })
    }

    /// The text whose plan it shares, and which is there for as long as this is.
    #[must_use]
    pub const fn base(&self) -> Option<&Arc<Self>> {
        self.base.as_ref()
    }

    /// About how much memory it takes, beside its base.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len().saturating_add(self.plan.bytes())
    }

    /// What the text is to be changed into, if it lacks anything.
    #[must_use]
    pub const fn rewrite(&self) -> Option<&Rewrite> {
        self.rewrite.as_ref()
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

    /// The generation of the policy it was made under.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a newer catalogue may know a relation that this plan's did not.
    #[must_use]
    pub fn unknown_relation(&self) -> bool {
        self.plan.statements().iter().any(StatementPlan::unknown_relation)
    }
}

/// Where a session gets plans from: a cache in front of the analysis.
pub trait Planner {
    /// The plan of a text beside what the session knows on its own; `None` if it is still to come.
    /// Then the message is offered again when the driver has it.
    fn plan(&self, text: &str, overlay: &Overlay) -> Option<Arc<Planned>>;

    /// The plan of a text by what is known now, without waiting for more. For what a message runs
    /// beside its own text, whose plan has been waited for.
    fn plan_now(&self, text: &str, overlay: &Overlay) -> Arc<Planned>;

    /// Whether a plan would be made in the same way now.
    fn is_current(&self, planned: &Planned, overlay: &Overlay) -> bool;

    /// The session's modes under the newest configuration, if they are not of this generation.
    fn newer_modes(&self, generation: u64) -> Option<SessionModes> {
        let _ = generation;
        None
    }

    /// The plan of a text that is not UTF-8: not understood.
    ///
    /// PostgreSQL's texts have no NUL, so a text with one is never understood either.
    fn plan_bytes(&self, text: &[u8], overlay: &Overlay) -> Option<Arc<Planned>> {
        self.plan(std::str::from_utf8(text).unwrap_or("\0"), overlay)
    }
}
