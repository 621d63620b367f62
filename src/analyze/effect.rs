use super::StatementPlan;

/// What a statement does to its session, as far as the guard follows it.
///
/// Names are folded and cut to 63 bytes as the server does.
#[derive(Debug)]
pub enum Effect {
    /// Nothing that the guard follows.
    None,
    /// BEGIN or START TRANSACTION.
    Begin,
    /// COMMIT or END; `chain` with AND CHAIN.
    Commit {
        /// A new transaction starts at once.
        chain: bool,
    },
    /// ROLLBACK or ABORT.
    Rollback {
        /// A new transaction starts at once.
        chain: bool,
    },
    /// SAVEPOINT name.
    Savepoint(Box<str>),
    /// RELEASE SAVEPOINT name.
    Release(Box<str>),
    /// ROLLBACK TO SAVEPOINT name.
    RollbackTo(Box<str>),
    /// PREPARE TRANSACTION: ends the transaction block, keeps none of its settings undone.
    PrepareTransaction,
    /// SET, SET LOCAL or `SELECT set_config(…)` of the setting that holds the tenant.
    SetTenant {
        /// Until the end of the transaction only.
        local: bool,
        /// The new value.
        value: NewValue,
    },
    /// RESET of the setting that holds the tenant, RESET ALL: back to the startup value.
    ResetTenant,
    /// DISCARD ALL: RESET ALL, DEALLOCATE ALL, CLOSE ALL and more.
    DiscardAll,
    /// PREPARE name AS statement.
    Prepare {
        /// The prepared statement's name.
        name: Box<str>,
        /// The types of its first parameters, by their numbers in pg_type.
        types: Vec<u32>,
        /// The statement, judged at every EXECUTE and Bind.
        statement: std::sync::Arc<StatementPlan>,
    },
    /// EXECUTE name (arguments).
    Execute {
        /// The prepared statement's name.
        name: Box<str>,
        /// The arguments, in order.
        arguments: Vec<NewValue>,
        /// Inside EXPLAIN, which may not run it.
        explained: bool,
    },
    /// DEALLOCATE name, or ALL with no name.
    Deallocate(Option<Box<str>>),
    /// DECLARE name CURSOR FOR query; the query's obligations are the statement's own.
    Declare {
        /// The cursor's (and portal's) name.
        name: Box<str>,
        /// WITH HOLD: lives past its transaction.
        hold: bool,
    },
    /// FETCH or MOVE from a cursor.
    Fetch(Box<str>),
    /// CLOSE name, or ALL with no name.
    CloseCursor(Option<Box<str>>),
}

/// A value written in a statement: of a setting or an EXECUTE argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewValue {
    /// NULL, or DEFAULT of a setting.
    Null,
    /// A constant, in text form.
    Text(Box<str>),
    /// `$n`, settled at Bind (1-based).
    Parameter(u16),
    /// Anything else: not known before the server computes it.
    Unknown,
}

impl StatementPlan {
    /// Whether running it changes nothing that a session keeps, be it known or not: neither its
    /// tenant nor names, transaction or schema, and no COPY data follows.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        // All named: what a plan gains later has to be looked at here.
        let Self {
            kind: _,
            span: _,
            effect,
            tenant_type: _,
            owed: _,
            moved: _,
            unknown_relation: _,
            schema_change,
            may_set_tenant,
            copy,
            unbound: _,
            sole: _,
        } = self;
        matches!(effect, Effect::None)
            && !*may_set_tenant
            && schema_change.is_none()
            && copy.is_none()
    }
}
