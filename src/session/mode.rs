use super::source::TenantSource;

/// What is done with a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Everything passes unchanged; violations are counted and logged.
    Audit,
    /// A statement that does not hold is refused.
    Enforce,
    /// A statement that does not hold is repaired, or refused.
    Rewrite,
}

impl Mode {
    /// Every mode, the most lenient first.
    pub const ALL: [Self; 3] = [Self::Audit, Self::Enforce, Self::Rewrite];

    /// The name: configuration value and metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Enforce => "enforce",
            Self::Rewrite => "rewrite",
        }
    }
}

/// What happens to one message: its verdict under the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Sent on to the server.
    Forward,
    /// Answered by the guard; the server never sees it.
    Refuse,
    /// Sent on rewritten.
    Replace,
}

impl Decision {
    /// The metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Refuse => "refuse",
            Self::Replace => "replace",
        }
    }
}

/// How much of the server's errors a client is shown (`[guard] mask_errors`); in audit, all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MaskErrors {
    /// All of it.
    Off,
    /// All but the DETAIL of integrity constraints (SQLSTATE class 23), which may quote another
    /// tenant's key.
    #[default]
    Constraint,
    /// Neither that, nor the text of an error of a statement that can have come upon guarded rows.
    All,
}

/// How often a session may change its tenant (`[tenant] rebinding`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rebinding {
    /// The first value stays; a reset only if it restores that value.
    Never,
    /// Once in each transaction, by SET LOCAL or `set_config(…, true)`, before its first guarded
    /// statement.
    Transaction,
    /// At will.
    Free,
}

/// What a guarded statement gets on a session without a tenant (`[tenant] unknown`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnknownTenant {
    /// Refused.
    Refuse,
    /// The structural rules: bound, and all to the same tenant.
    Structural,
}

/// How a session learns its tenant (`[tenant]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRules {
    /// Where it comes from, the first source that says anything; none if `sources = ["none"]`.
    pub sources: Vec<TenantSource>,
    /// The setting that holds the tenant, in lower case; `None` if it is no source.
    pub setting: Option<Box<str>>,
    /// How often it may change.
    pub rebinding: Rebinding,
    /// What holds while there is none.
    pub unknown: UnknownTenant,
}
