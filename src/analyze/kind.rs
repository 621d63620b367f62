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
    /// MERGE.
    Merge,
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
            Self::Merge => "merge",
            Self::Transaction => "transaction",
            Self::Setting => "setting",
            Self::Prepared => "prepared",
            Self::Copy => "copy",
            Self::Utility => "utility",
            Self::NotUnderstood => "not_understood",
        }
    }
}
