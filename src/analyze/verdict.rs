use crate::sql::Span;

/// The rules, each named for the bad pattern that it finds. The name is the metric label and the
/// heading in `docs/rules.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// An expression that may run on other tenants' rows before the tenant predicate does.
    EarlyEvaluation,
    /// A guarded reference bound to a tenant that is not the session's.
    ForeignTenant,
    /// A row written with another tenant's value, or with none.
    ForeignInsert,
    /// COPY of a guarded table.
    GuardedCopy,
    /// DDL or a utility statement on a guarded table.
    GuardedDdl,
    /// DELETE from a table whose rows are only to be soft-deleted.
    HardDelete,
    /// A relation that may hide guarded rows: a view, a foreign table, one that is not known.
    HiddenRelation,
    /// References of one statement bound to different tenants.
    MixedTenants,
    /// A text that could not be read, or is not known to be harmless.
    NotUnderstood,
    /// A routine or statement that can run SQL or read rows beside the guard.
    OpaqueSql,
    /// A session setting changed that the guard relies on.
    SessionEscape,
    /// A view on other tenants' values through the statistics.
    StatisticsLeak,
    /// The tenant column of a row set to another value.
    TenantMove,
    /// A guarded reference that no predicate binds to one tenant.
    UnboundTenant,
    /// An ON CONFLICT DO UPDATE whose target row is not bound.
    UnguardedConflict,
    /// A guarded reference that may return or change soft-deleted rows.
    VisibleDeleted,
}

impl Rule {
    /// Every rule, in the order of their names.
    pub const ALL: [Self; 16] = [
        Self::EarlyEvaluation,
        Self::ForeignInsert,
        Self::ForeignTenant,
        Self::GuardedCopy,
        Self::GuardedDdl,
        Self::HardDelete,
        Self::HiddenRelation,
        Self::MixedTenants,
        Self::NotUnderstood,
        Self::OpaqueSql,
        Self::SessionEscape,
        Self::StatisticsLeak,
        Self::TenantMove,
        Self::UnboundTenant,
        Self::UnguardedConflict,
        Self::VisibleDeleted,
    ];

    /// The name: metric label, JSON value and documentation heading.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EarlyEvaluation => "early-evaluation",
            Self::ForeignInsert => "foreign-insert",
            Self::ForeignTenant => "foreign-tenant",
            Self::GuardedCopy => "guarded-copy",
            Self::GuardedDdl => "guarded-ddl",
            Self::HardDelete => "hard-delete",
            Self::HiddenRelation => "hidden-relation",
            Self::MixedTenants => "mixed-tenants",
            Self::NotUnderstood => "not-understood",
            Self::OpaqueSql => "opaque-sql",
            Self::SessionEscape => "session-escape",
            Self::StatisticsLeak => "statistics-leak",
            Self::TenantMove => "tenant-move",
            Self::UnboundTenant => "unbound-tenant",
            Self::UnguardedConflict => "unguarded-conflict",
            Self::VisibleDeleted => "visible-deleted",
        }
    }
}

/// An obligation without a proof: why a statement is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule broken.
    pub rule: Rule,
    /// The guarded table (or hidden relation, routine, setting) concerned, if it has a name.
    pub table: Option<Box<str>>,
    /// Where in the whole text.
    pub span: Span,
    /// What is wrong, without any literal of the statement.
    pub detail: Box<str>,
    /// What to write instead, without any literal of the statement.
    pub hint: Box<str>,
}

/// A weaker flaw: admitted, counted and logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The rule that the flaw belongs to.
    pub rule: Rule,
    /// The guarded table concerned.
    pub table: Box<str>,
    /// Where in the whole text.
    pub span: Span,
    /// What could go wrong, without any literal of the statement.
    pub detail: Box<str>,
}

/// What is thought of a statement, whatever the mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is not admitted; empty if it is. The first one is what a client is told first.
    pub violations: Vec<Violation>,
    /// What is admitted all the same.
    pub advice: Vec<Advice>,
}

/// A verdict in one word, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Every obligation has a proof.
    Holds,
    /// The text could not be read, so nothing could be proved.
    NotUnderstood,
    /// Some obligation has none.
    Violates,
}

impl Outcome {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::NotUnderstood => "not_understood",
            Self::Violates => "violates",
        }
    }
}

impl Verdict {
    /// A verdict with one violation.
    #[must_use]
    pub fn refused(violation: Violation) -> Self {
        Self { violations: vec![violation], advice: Vec::new() }
    }

    /// The verdict in one word.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.violations.first() {
            None => Outcome::Holds,
            Some(violation) if violation.rule == Rule::NotUnderstood => Outcome::NotUnderstood,
            Some(_) => Outcome::Violates,
        }
    }

    /// Whether every obligation has a proof.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}
