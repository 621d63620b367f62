/// What one database says of its own schema. Temporary objects, the server's own and those of
/// extensions are left out.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// `server_version_num`, such as 150004.
    pub server_version: u32,
    /// The database's name.
    pub database: String,
    /// Tables, partitions and foreign tables.
    pub tables: Vec<Table>,
    /// Views and materialized views.
    pub views: Vec<View>,
    /// Foreign keys; those that partitions have of their parents are left out.
    pub foreign_keys: Vec<ForeignKey>,
    /// Functions and procedures.
    pub routines: Vec<Routine>,
    /// Every role of the server.
    pub roles: Vec<Role>,
    /// Roles with a session in this database now, the doctor's own session left out.
    pub connected: Vec<String>,
}

/// What a table is (`pg_class.relkind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// `r`.
    Plain,
    /// `p`.
    Partitioned,
    /// `f`.
    Foreign,
}

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// Whether it is a partition of another one.
    pub is_partition: bool,
    /// The role that owns it.
    pub owner: String,
    /// Whether row-level security is enabled.
    pub row_security: bool,
    /// Whether it holds for the owner too.
    pub forced: bool,
    /// Its policies.
    pub policies: i64,
    /// Its columns in order, dropped ones left out.
    pub columns: Vec<Column>,
    /// Its indexes.
    pub indexes: Vec<Index>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as `format_type` gives it.
    pub type_name: String,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// Whether it has a default.
    pub has_default: bool,
}

/// One index.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its name; that of its constraint too, if it has one.
    pub name: String,
    /// Its key columns in order; `None` for an expression.
    pub keys: Vec<Option<String>>,
    /// Whether it is unique.
    pub unique: bool,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Whether queries may use it.
    pub valid: bool,
    /// The access method, such as `btree`.
    pub method: String,
    /// The predicate of a partial index.
    pub predicate: Option<String>,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// `pg_get_constraintdef` of the unique or exclusion constraint that it belongs to.
    pub constraint: Option<String>,
}

/// One foreign key.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The table that has it.
    pub table: u32,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table it points at.
    pub target: u32,
    /// The columns it points at, in the same order.
    pub target_columns: Vec<String>,
    /// `pg_get_constraintdef`.
    pub definition: String,
}

/// What a view is (`pg_class.relkind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// `v`.
    View,
    /// `m`.
    Materialized,
}

/// One view.
#[derive(Clone, Debug)]
pub struct View {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ViewKind,
    /// Whether it reads with the caller's rights (PostgreSQL 15 and later).
    pub security_invoker: bool,
    /// Relations that its definition names.
    pub uses: Vec<u32>,
    /// Roles beside the owner with a right on it; `public` for everybody.
    pub grantees: Vec<String>,
}

/// One function or procedure.
#[derive(Clone, Debug)]
pub struct Routine {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The types of its arguments, as ALTER ROUTINE takes them.
    pub arguments: String,
    /// Its language.
    pub language: String,
    /// Whether it runs with its owner's rights.
    pub security_definer: bool,
    /// Its body, if it is text.
    pub body: String,
    /// Relations that a body between BEGIN ATOMIC and END names.
    pub uses: Vec<u32>,
}

/// One role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// Whether it has BYPASSRLS.
    pub bypass_rls: bool,
    /// Roles that it is a direct member of.
    pub member_of: Vec<String>,
}

impl Schema {
    /// The table of this oid.
    #[must_use]
    pub fn table(&self, oid: u32) -> Option<&Table> {
        self.tables.iter().find(|table| table.oid == oid)
    }
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
