/// What is wrong with one object of a database, each named for the bad pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flaw {
    /// A role of the application that row-level security does not hold for.
    BypassrlsRole,
    /// A foreign key between guarded tables that does not carry the tenant.
    CrossingForeignKey,
    /// A routine that reads guarded tables with its owner's rights.
    DefinerRoutine,
    /// A view of guarded tables that reads with its owner's rights.
    DefinerView,
    /// A materialized view of guarded tables that others than its owner may read.
    GuardedMatview,
    /// A guarded table on which row-level security is not in force.
    MissingRls,
    /// A guarded table without the soft-delete column, or with one that cannot work.
    MissingSoftDelete,
    /// A guarded table without the tenant column, or with one of another type.
    MissingTenantColumn,
    /// A guarded table that does not refer to the table of tenants.
    MissingTenantReference,
    /// A guarded table without `created_at` or `updated_at`.
    MissingTimestamps,
    /// A guarded table without an index that starts with the tenant column.
    NoTenantIndex,
    /// A tenant column that may be NULL.
    NullableTenant,
    /// A unique index that allows one row for each tenant.
    OneRowPerTenant,
    /// A role of the application that owns guarded tables.
    OwnerRole,
    /// A routine that reads guarded tables with its caller's rights.
    ReadingRoutine,
    /// A role of the application that is a superuser.
    SuperuserRole,
    /// A table without a tenant whose rows belong to rows of a guarded table.
    UnguardedChild,
    /// A table with the tenant column that no pattern guards.
    UnguardedTenantTable,
    /// A unique or exclusion constraint over the rows of all tenants.
    UniqueWithoutTenant,
}

/// How much a flaw matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing; the guard does its work all the same.
    Note,
    /// Breaks the convention, or costs time.
    Warning,
    /// Lets a row be seen or changed beside its tenant.
    Error,
}

/// One flaw of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub flaw: Flaw,
    /// The object: a relation or routine with its schema, or a role; quoted where SQL needs it.
    pub object: String,
    /// The part of it concerned, such as a column, an index or a constraint.
    pub part: Option<String>,
    /// What is wrong, without any value of a row.
    pub detail: String,
    /// What to do, in words.
    pub help: String,
    /// SQL statements that do it, in order; empty if a person must decide.
    pub fix: Vec<String>,
}

impl Flaw {
    /// Every flaw, in the order of their names.
    pub const ALL: [Self; 19] = [
        Self::BypassrlsRole,
        Self::CrossingForeignKey,
        Self::DefinerRoutine,
        Self::DefinerView,
        Self::GuardedMatview,
        Self::MissingRls,
        Self::MissingSoftDelete,
        Self::MissingTenantColumn,
        Self::MissingTenantReference,
        Self::MissingTimestamps,
        Self::NoTenantIndex,
        Self::NullableTenant,
        Self::OneRowPerTenant,
        Self::OwnerRole,
        Self::ReadingRoutine,
        Self::SuperuserRole,
        Self::UnguardedChild,
        Self::UnguardedTenantTable,
        Self::UniqueWithoutTenant,
    ];

    /// The name: JSON value, SARIF rule and argument of `--allow`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BypassrlsRole => "bypassrls-role",
            Self::CrossingForeignKey => "crossing-foreign-key",
            Self::DefinerRoutine => "definer-routine",
            Self::DefinerView => "definer-view",
            Self::GuardedMatview => "guarded-matview",
            Self::MissingRls => "missing-rls",
            Self::MissingSoftDelete => "missing-soft-delete",
            Self::MissingTenantColumn => "missing-tenant-column",
            Self::MissingTenantReference => "missing-tenant-reference",
            Self::MissingTimestamps => "missing-timestamps",
            Self::NoTenantIndex => "no-tenant-index",
            Self::NullableTenant => "nullable-tenant",
            Self::OneRowPerTenant => "one-row-per-tenant",
            Self::OwnerRole => "owner-role",
            Self::ReadingRoutine => "reading-routine",
            Self::SuperuserRole => "superuser-role",
            Self::UnguardedChild => "unguarded-child",
            Self::UnguardedTenantTable => "unguarded-tenant-table",
            Self::UniqueWithoutTenant => "unique-without-tenant",
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::BypassrlsRole
            | Self::CrossingForeignKey
            | Self::DefinerRoutine
            | Self::DefinerView
            | Self::GuardedMatview
            | Self::MissingTenantColumn
            | Self::NullableTenant
            | Self::OwnerRole
            | Self::SuperuserRole
            | Self::UnguardedTenantTable => Level::Error,
            Self::MissingSoftDelete
            | Self::MissingTenantReference
            | Self::MissingTimestamps
            | Self::NoTenantIndex
            | Self::OneRowPerTenant
            | Self::UnguardedChild
            | Self::UniqueWithoutTenant => Level::Warning,
            Self::MissingRls | Self::ReadingRoutine => Level::Note,
        }
    }

    /// The flaw in one sentence.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::BypassrlsRole => "a role of the application passes by row-level security",
            Self::CrossingForeignKey => "a foreign key can point at another tenant's row",
            Self::DefinerRoutine => "a routine reads guarded tables with its owner's rights",
            Self::DefinerView => "a view reads guarded tables with its owner's rights",
            Self::GuardedMatview => "a materialized view shows every tenant's rows",
            Self::MissingRls => "row-level security is not in force below the guard",
            Self::MissingSoftDelete => "a guarded table has no usable soft-delete column",
            Self::MissingTenantColumn => "a guarded table has no usable tenant column",
            Self::MissingTenantReference => {
                "a guarded table does not refer to the table of tenants"
            }
            Self::MissingTimestamps => "a guarded table has no created_at or updated_at",
            Self::NoTenantIndex => "no index of a guarded table starts with the tenant column",
            Self::NullableTenant => "the tenant column may be NULL",
            Self::OneRowPerTenant => "a unique index allows one row for each tenant",
            Self::OwnerRole => "a role of the application owns guarded tables",
            Self::ReadingRoutine => "a routine reads guarded tables",
            Self::SuperuserRole => "a role of the application is a superuser",
            Self::UnguardedChild => "rows of a table without a tenant belong to guarded rows",
            Self::UnguardedTenantTable => "a table has the tenant column and is not guarded",
            Self::UniqueWithoutTenant => "a unique constraint covers the rows of all tenants",
        }
    }
}

impl Level {
    /// The name: JSON value and SARIF level.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
