use super::arguments::Arguments;
use super::effect::Effect;
use super::verdict::Verdict;
use crate::policy::Policy;
use crate::sql::Span;
use crate::tenant::Tenant;

/// What one text amounts to: a whole simple query string, or the text of one Parse message.
///
/// A plan knows no tenant and no mode. A text that could not be read is a plan with one statement
/// of kind [`Kind::NotUnderstood`] that never holds.
#[derive(Debug)]
pub struct Plan {
    statements: Vec<StatementPlan>,
}

impl Plan {
    /// The statements in order; none for an empty text.
    #[must_use]
    pub fn statements(&self) -> &[StatementPlan] {
        &self.statements
    }
}

/// The kind of a statement, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SELECT, VALUES, TABLE, and what wraps a query.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// BEGIN, COMMIT, SAVEPOINT …
    Transaction,
    /// SET, RESET, SHOW, DISCARD.
    Setting,
    /// PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, CLOSE.
    Prepared,
    /// COPY.
    Copy,
    /// CREATE, ALTER, DROP and other utility statements.
    Utility,
    /// Could not be read.
    NotUnderstood,
}

impl Kind {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Transaction => "transaction",
            Self::Setting => "setting",
            Self::Prepared => "prepared",
            Self::Copy => "copy",
            Self::Utility => "utility",
            Self::NotUnderstood => "not_understood",
        }
    }
}

/// The plan of one statement.
#[derive(Debug)]
pub struct StatementPlan {
    kind: Kind,
    span: Span,
    effect: Effect,
}

/// What is known of the session's tenant when a statement is settled.
#[derive(Clone, Copy, Debug)]
pub enum SessionTenant<'a> {
    /// The tenant.
    Known(&'a Tenant),
    /// Not known, and a guarded statement needs one: every obligation is refused.
    Required,
    /// Not known: a statement holds if some tenant, and some values of its unknown parameters,
    /// would make all its obligations hold together.
    Any,
}

impl StatementPlan {
    /// What kind of statement it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it stands in the whole text.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }

    /// What it does to the session.
    #[must_use]
    pub const fn effect(&self) -> &Effect {
        &self.effect
    }

    /// Compares the plan's operands with the tenant.
    #[must_use]
    pub fn settle(&self, _tenant: SessionTenant<'_>, _arguments: Arguments<'_>) -> Verdict {
        Verdict::default()
    }
}

/// Reads a text and plans each of its statements.
#[must_use]
pub fn plan(_text: &str, _policy: &Policy) -> Plan {
    Plan {
        statements: Vec::new(),
    }
}
