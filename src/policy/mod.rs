//! What is guarded and how: tables, columns, settings, routines and limits.
//!
//! A [`Policy`] is a value: the configuration makes one, the analysis reads it. This room does not
//! know the configuration's file format, SQL, or any session.

mod catalog;
mod name;
mod overlay;
mod relation;
mod routine;
mod setting;
mod table;

pub use catalog::{Catalog, CatalogRoutine, CatalogSetting, Found, RelationName};
pub use name::{NAME_BYTES, Pattern, cut_name, fold};
pub use overlay::{Overlaid, Overlay, SchemaChange};
pub use relation::{
    CatalogColumn, CatalogReference, CatalogRelation, CatalogRule, CatalogTrigger, CatalogUnique,
    RelationKind, Write,
};
pub use routine::{Routine, Routines, computing_extension, is_harmless_routine, is_total_routine};
pub use setting::{SettingClass, Settings};
pub use table::{Guard, TableOverride, Tables, statistics_relation};

use std::sync::Arc;

use crate::tenant::TenantType;

/// Everything the analysis has to know beside the statement itself.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which relations are guarded, and by which columns.
    pub tables: Tables,
    /// The type of the tenant column.
    pub tenant_type: TenantType,
    /// The setting that holds the session's tenant, if settings are a tenant source. Only then
    /// does `current_setting('…')` prove anything.
    pub tenant_setting: Option<Box<str>>,
    /// Routines that do nothing but set the tenant's setting to their one argument, in lower case,
    /// with or without a schema.
    pub tenant_setters: Vec<Box<str>>,
    /// The key of the comment that names a statement's tenant, if comments are a tenant source.
    pub tenant_comment: Option<Box<str>>,
    /// Which settings a session may change.
    pub settings: Settings,
    /// Which routines a statement may call.
    pub routines: Routines,
    /// What is thought of expressions that PostgreSQL may run before the tenant predicate.
    pub evaluation_order: EvaluationOrder,
    /// In rewrite mode: DELETE from a table with soft deletion sets its column instead
    /// (`[rewrite] soft_delete`).
    pub soft_deletes: bool,
    /// In rewrite mode: where an expression could run too early, a reference is bound behind a
    /// fence instead of refused (`[rewrite] fence`).
    pub fences: bool,
    /// COPY FROM into a guarded table is judged row by row; else it is refused
    /// (`[guard] copy_from`).
    pub copy_from: bool,
    /// Limits on what is read at all.
    pub limits: ReadingLimits,
    /// Whether PostgreSQL's own grammar reads every statement too.
    pub second_reading: SecondReading,
    /// What the database says; `None` where no catalogue is configured, and names alone decide.
    pub catalog: Option<Arc<Catalog>>,
    /// What the session at hand knows beside the catalogue.
    pub overlay: Arc<Overlay>,
}

impl Policy {
    /// Whether a routine, by its folded schema and name, is one that sets the tenant.
    #[must_use]
    pub fn is_tenant_setter(&self, schema: Option<&str>, name: &str) -> bool {
        self.tenant_setters.iter().any(|own| match (own.split_once('.'), schema) {
            (Some((own_schema, own)), Some(schema)) => own_schema == schema && own == name,
            (None, None) => **own == *name,
            (Some(_), None) | (None, Some(_)) => false,
        })
    }
}

/// WHERE is no barrier: PostgreSQL orders predicates by their cost, so an expression beside the
/// tenant predicate may run on another tenant's row first, and show its value in an error
/// (`[guard] evaluation_order`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvaluationOrder {
    /// Nothing is said.
    #[default]
    Ignore,
    /// Admitted with an advice.
    Advise,
    /// Refused, unless a fence (OFFSET 0, MATERIALIZED) stands between.
    Refuse,
}

/// Whether every statement is read a second time, by PostgreSQL's own grammar (`[reading] second`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondReading {
    /// The first reading alone decides.
    Off,
    /// Both must agree; what only PostgreSQL's grammar reads is planned from that reading.
    Required,
}

/// Limits on a statement's text, applied to bytes and tokens before any parser sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadingLimits {
    /// Bytes in one simple query string or one Parse message.
    pub bytes: usize,
    /// Tokens that are neither space nor comment.
    pub tokens: usize,
    /// Operators on one path from the root of the expression tree to a leaf, counted from the
    /// token stream: flat chains of operators are trees as deep as they are long.
    pub operators: usize,
    /// Parentheses and brackets open at once.
    pub nesting: usize,
    /// Set operations (UNION, INTERSECT, EXCEPT) in one statement.
    pub set_operations: usize,
    /// Comments open at once: PostgreSQL takes quadratic time in this number.
    pub comment_nesting: usize,
    /// Bytes in one row of COPY data that is judged.
    pub copy_row_bytes: usize,
}

impl Default for ReadingLimits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            tokens: 200_000,
            operators: 1_000,
            nesting: 100,
            set_operations: 100,
            comment_nesting: 32,
            copy_row_bytes: 8 << 20,
        }
    }
}
