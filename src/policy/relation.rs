use super::catalog::RelationName;

/// What a relation is (`pg_class.relkind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// `f`: its rows are on another server.
    Foreign,
    /// `m`: it keeps rows that its definition once gave.
    MaterializedView,
    /// `r` or `p`.
    Table,
    /// `v`: its definition is read in its place.
    View,
}

/// One relation.
#[derive(Clone, Debug)]
pub struct CatalogRelation {
    /// What it is.
    pub kind: RelationKind,
    /// Its columns in order, dropped ones left out.
    pub columns: Vec<CatalogColumn>,
    /// The definition of a view or materialized view, as `pg_get_viewdef` gives it under an empty
    /// search path: every name in it is qualified.
    pub definition: Option<Box<str>>,
    /// Its direct parents and children, by inheritance and by partition: they share rows.
    pub family: Vec<RelationName>,
    /// Foreign keys of other tables on this one, and of its own.
    pub references: Vec<CatalogReference>,
    /// Rewrite rules other than a view's own definition.
    pub rules: Vec<CatalogRule>,
    /// Triggers of the user's that fire in an ordinary session.
    pub triggers: Vec<CatalogTrigger>,
    /// Unique indexes, which ON CONFLICT may name or match.
    pub unique: Vec<CatalogUnique>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogColumn {
    /// `pg_attribute.attname`.
    pub name: Box<str>,
    /// The type, as `format_type` gives it.
    pub type_name: Box<str>,
    /// NOT NULL.
    pub not_null: bool,
    /// The DEFAULT expression, as `pg_get_expr` gives it.
    pub default: Option<Box<str>>,
}

/// What a write does to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// INSERT, COPY FROM.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE.
    Truncate,
}

/// A foreign key on a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogReference {
    /// The table that references.
    pub table: RelationName,
    /// The columns that are referenced.
    pub columns: Vec<Box<str>>,
    /// What happens to the rows that reference a deleted one: nothing where the delete is refused.
    pub on_delete: Option<Write>,
    /// What happens to the rows that reference one whose key changes.
    pub on_update: Option<Write>,
}

impl CatalogReference {
    /// What a write of the referenced table does to the one that references; `columns` are those
    /// that an UPDATE sets, `None` if any may be.
    pub(super) fn action(&self, write: Write, columns: Option<&[Box<str>]>) -> Option<Write> {
        match write {
            Write::Insert | Write::Truncate => None,
            Write::Delete => self.on_delete,
            Write::Update => self.on_update.filter(|_| {
                columns.is_none_or(|set| set.iter().any(|column| self.columns.contains(column)))
            }),
        }
    }
}

/// A rewrite rule: it puts other statements beside or in the place of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRule {
    /// `pg_rewrite.rulename`.
    pub name: Box<str>,
    /// The write that it is for.
    pub write: Write,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogTrigger {
    /// `pg_trigger.tgname`.
    pub name: Box<str>,
    /// The routine's schema and name.
    pub routine: RelationName,
    /// The writes that fire it.
    pub writes: Vec<Write>,
}

/// A unique index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogUnique {
    /// The index's name, which is that of its constraint.
    pub name: Box<str>,
    /// Its key columns; `None` if an expression is among them.
    pub columns: Option<Vec<Box<str>>>,
    /// Whether it has no WHERE: it holds for every row.
    pub is_whole: bool,
}

impl CatalogRelation {
    /// A relation of which nothing more is known.
    #[must_use]
    pub const fn of(kind: RelationKind) -> Self {
        Self {
            kind,
            columns: Vec::new(),
            definition: None,
            family: Vec::new(),
            references: Vec::new(),
            rules: Vec::new(),
            triggers: Vec::new(),
            unique: Vec::new(),
        }
    }

    /// Whether it has a column of this name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|own| *own.name == *column)
    }
}
