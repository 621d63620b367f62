//! Our own small, closed model of SQL: what the analysis reads. Nothing in it comes from a parser.
//!
//! Names are folded and cut as the server does. An expression whose meaning does not matter is
//! [`Expr::Opaque`] and keeps its parts, so that nothing inside it is lost.

use super::{Literal, Span};

/// An identifier and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Folded and cut to 63 bytes.
    pub text: Box<str>,
    /// Where it stands; empty if the reading does not know.
    pub span: Span,
}

/// A query, with everything that may stand around its body.
#[derive(Debug)]
pub struct Query {
    /// WITH, in order.
    pub with: Vec<Cte>,
    /// WITH RECURSIVE.
    pub recursive: bool,
    /// What gives the rows.
    pub body: Body,
    /// ORDER BY keys.
    pub order_by: Vec<Expr>,
    /// LIMIT, OFFSET and FETCH expressions.
    pub limits: Vec<Expr>,
    /// Whether there is any LIMIT, OFFSET or FETCH.
    pub limited: bool,
}

/// What gives a query its rows.
#[derive(Debug)]
pub enum Body {
    /// SELECT …
    Block(Box<Block>),
    /// A query in parentheses.
    Nested(Box<Query>),
    /// UNION, INTERSECT, EXCEPT.
    SetOperation {
        /// Which.
        operator: SetOperator,
        /// The left arm.
        left: Box<Self>,
        /// The right arm.
        right: Box<Self>,
    },
    /// VALUES rows.
    Values(Vec<Vec<Expr>>),
    /// INSERT, UPDATE, DELETE or MERGE as a statement or in WITH.
    Write(Box<Write>),
}

/// A set operation; ALL or not makes no difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperator {
    /// Rows of both arms.
    Union,
    /// Rows of the left arm that the right one has.
    Intersect,
    /// Rows of the left arm that the right one has not.
    Except,
}

/// One WITH entry.
#[derive(Debug)]
pub struct Cte {
    /// Its name.
    pub name: Name,
    /// Its column names, if given.
    pub columns: Vec<Name>,
    /// MATERIALIZED: no filter is pushed into it.
    pub materialized: bool,
    /// Its query.
    pub query: Query,
}

/// SELECT … FROM … WHERE … GROUP BY … HAVING.
#[derive(Debug)]
pub struct Block {
    /// DISTINCT ON keys.
    pub distinct_on: Option<Vec<Expr>>,
    /// The select list.
    pub items: Vec<Item>,
    /// The FROM list.
    pub from: Vec<JoinTree>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY.
    pub grouping: Grouping,
    /// HAVING.
    pub having: Option<Expr>,
    /// WINDOW definitions.
    pub windows: Vec<Window>,
}

/// GROUP BY.
#[derive(Debug)]
pub enum Grouping {
    /// None.
    None,
    /// Plain keys.
    Keys(Vec<Expr>),
    /// GROUPING SETS, ROLLUP or CUBE among the keys.
    Sets(Vec<Expr>),
}

/// One item of a select list or of RETURNING.
#[derive(Debug)]
pub enum Item {
    /// An expression with its label, if it has one.
    Expr {
        /// The expression.
        expr: Expr,
        /// Its label.
        label: Option<Name>,
    },
    /// `*`.
    Wildcard,
    /// `name.*`; the parts of the name.
    QualifiedWildcard(Vec<Name>),
}

/// A FROM item with its joins.
#[derive(Debug)]
pub enum JoinTree {
    /// One relation.
    Relation(Box<Relation>),
    /// A join of two trees.
    Join(Box<Join>),
}

/// One join.
#[derive(Debug)]
pub struct Join {
    /// Which side is preserved.
    pub kind: JoinKind,
    /// The left input.
    pub left: JoinTree,
    /// The right input.
    pub right: JoinTree,
    /// What joins them.
    pub condition: JoinCondition,
}

/// Which side of a join is preserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Neither.
    Inner,
    /// The left one.
    Left,
    /// The right one.
    Right,
    /// Both.
    Full,
}

/// What joins two inputs.
#[derive(Debug)]
pub enum JoinCondition {
    /// CROSS JOIN.
    None,
    /// ON.
    On(Expr),
    /// USING.
    Using(Vec<Name>),
    /// NATURAL.
    Natural,
}

/// One relation of a FROM list.
#[derive(Debug)]
pub struct Relation {
    /// What it is.
    pub source: Source,
    /// Its alias.
    pub alias: Option<Name>,
    /// Its column aliases.
    pub columns: Vec<Name>,
    /// LATERAL, written or implied: it sees the relations before it.
    pub lateral: bool,
}

/// What a relation is.
#[derive(Debug)]
pub enum Source {
    /// A table, view or CTE by name.
    Table {
        /// Schema (and database), if qualified.
        qualifier: Vec<Name>,
        /// The relation's name.
        name: Name,
        /// TABLESAMPLE arguments.
        sample: Vec<Expr>,
    },
    /// A query.
    Derived(Box<Query>),
    /// A function or functions.
    Function(Vec<Expr>),
    /// PostgreSQL's own `unnest` of several arrays, each cast to an array of a type of `pg_catalog`:
    /// a column for each, and no other.
    Unnest(Vec<Expr>),
}

impl Source {
    /// What `unnest(…)` of these arrays is. With one argument it may be somebody's function; what is
    /// not cast to a type that is known may be an array of rows, which become several columns.
    pub fn unnest(arrays: Vec<Expr>) -> Result<Self, Vec<Expr>> {
        let is_array =
            |expr: &Expr| matches!(expr, Expr::Cast { target: TypeName::Array(_), expr: _ });
        if arrays.len() > 1 && arrays.iter().all(is_array) {
            Ok(Self::Unnest(arrays))
        } else {
            Err(arrays)
        }
    }
}

/// INSERT, UPDATE, DELETE or MERGE.
#[derive(Debug)]
pub enum Write {
    /// INSERT.
    Insert(Insert),
    /// UPDATE.
    Update(Update),
    /// DELETE.
    Delete(Delete),
    /// MERGE.
    Merge(Merge),
}

/// The table that a write changes; never a CTE.
#[derive(Debug)]
pub struct Target {
    /// Schema, if qualified.
    pub qualifier: Vec<Name>,
    /// The table's name.
    pub name: Name,
    /// Its alias.
    pub alias: Option<Name>,
}

/// INSERT.
#[derive(Debug)]
pub struct Insert {
    /// The table.
    pub target: Target,
    /// The columns named; empty if none are.
    pub columns: Vec<Name>,
    /// The rows; `None` for DEFAULT VALUES.
    pub source: Option<Query>,
    /// ON CONFLICT.
    pub conflict: Option<Conflict>,
    /// RETURNING.
    pub returning: Vec<Item>,
}

/// ON CONFLICT.
#[derive(Debug)]
pub struct Conflict {
    /// The columns of the arbiter index, if it is named by columns.
    pub arbiter: Vec<Name>,
    /// The constraint that is the arbiter, if it is named (ON CONSTRAINT).
    pub constraint: Option<Name>,
    /// DO UPDATE; `None` for DO NOTHING.
    pub update: Option<ConflictUpdate>,
}

/// ON CONFLICT DO UPDATE.
#[derive(Debug)]
pub struct ConflictUpdate {
    /// SET.
    pub assignments: Vec<Assignment>,
    /// WHERE.
    pub filter: Option<Expr>,
}

/// UPDATE.
#[derive(Debug)]
pub struct Update {
    /// The table.
    pub target: Target,
    /// SET.
    pub assignments: Vec<Assignment>,
    /// FROM.
    pub from: Vec<JoinTree>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// RETURNING.
    pub returning: Vec<Item>,
}

/// DELETE.
#[derive(Debug)]
pub struct Delete {
    /// The table.
    pub target: Target,
    /// USING.
    pub using: Vec<JoinTree>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// RETURNING.
    pub returning: Vec<Item>,
}

/// MERGE (documentation, MERGE; BY SOURCE and RETURNING since PostgreSQL 17).
#[derive(Debug)]
pub struct Merge {
    /// The table.
    pub target: Target,
    /// USING.
    pub source: JoinTree,
    /// ON.
    pub on: Expr,
    /// The WHEN clauses, in order: the first that fits a row is taken.
    pub clauses: Vec<MergeClause>,
    /// RETURNING.
    pub returning: Vec<Item>,
}

/// One WHEN clause of MERGE.
#[derive(Debug)]
pub struct MergeClause {
    /// Which rows it is about.
    pub rows: MergeRows,
    /// AND …, which a row must fulfil beside.
    pub condition: Option<Expr>,
    /// What is done with them.
    pub action: MergeAction,
}

/// Which rows a WHEN clause is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeRows {
    /// MATCHED: pairs of a source and a target row for which ON is true.
    Matched,
    /// NOT MATCHED [BY TARGET]: source rows without a target row.
    NotMatchedByTarget,
    /// NOT MATCHED BY SOURCE: target rows without a source row, of which ON says nothing.
    NotMatchedBySource,
}

/// What a WHEN clause does.
#[derive(Debug)]
pub enum MergeAction {
    /// UPDATE SET.
    Update(Vec<Assignment>),
    /// DELETE.
    Delete,
    /// INSERT.
    Insert {
        /// The columns named; empty if none are.
        columns: Vec<Name>,
        /// The values of the one row; `None` for DEFAULT VALUES.
        values: Option<Vec<Expr>>,
    },
    /// DO NOTHING.
    Nothing,
}

/// One assignment of SET.
#[derive(Debug)]
pub struct Assignment {
    /// The column, or the columns of a tuple.
    pub columns: Vec<Name>,
    /// The value: of several columns a [`Expr::Row`], or a subquery.
    pub value: Expr,
}

/// An expression.
#[derive(Debug)]
pub enum Expr {
    /// A column, with its qualifiers.
    Column(Vec<Name>),
    /// A constant.
    Constant(Constant),
    /// `$n`, 1-based.
    Parameter(u16),
    /// A cast.
    Cast {
        /// What is cast.
        expr: Box<Self>,
        /// To which type.
        target: TypeName,
    },
    /// AND of two or more.
    And(Vec<Self>),
    /// OR of two or more.
    Or(Vec<Self>),
    /// NOT.
    Not(Box<Self>),
    /// A comparison by `=`, `<>`, `<`, `<=`, `>`, `>=`.
    Compare {
        /// Which.
        operator: Comparison,
        /// Left operand.
        left: Box<Self>,
        /// Right operand.
        right: Box<Self>,
    },
    /// IS NULL, IS NOT NULL.
    IsNull {
        /// The operand.
        expr: Box<Self>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// IS DISTINCT FROM, IS NOT DISTINCT FROM.
    IsDistinct {
        /// Left operand.
        left: Box<Self>,
        /// Right operand.
        right: Box<Self>,
        /// IS NOT DISTINCT FROM.
        negated: bool,
    },
    /// IS TRUE. (IS FALSE, IS UNKNOWN and the negated forms are opaque.)
    IsTrue(Box<Self>),
    /// `x [NOT] IN (a, b)`.
    InList {
        /// The operand.
        expr: Box<Self>,
        /// The list.
        list: Vec<Self>,
        /// NOT IN.
        negated: bool,
    },
    /// `x [NOT] IN (query)`.
    InQuery {
        /// The operand.
        expr: Box<Self>,
        /// The query.
        query: Box<Query>,
        /// NOT IN.
        negated: bool,
    },
    /// `x = ANY (array)`: only with `=`. The array is a [`Expr::Array`], a constant, a parameter
    /// or anything else.
    EqualsAny {
        /// The operand.
        expr: Box<Self>,
        /// The array.
        array: Box<Self>,
    },
    /// EXISTS (query), NOT EXISTS (query).
    Exists {
        /// The query.
        query: Box<Query>,
        /// NOT EXISTS.
        negated: bool,
    },
    /// `(query)` as a value, or ARRAY(query).
    Subquery(Box<Query>),
    /// `ROW(a, b)` or `(a, b)`.
    Row(Vec<Self>),
    /// `ARRAY[a, b]`.
    Array(Vec<Self>),
    /// `(x).name`: a field of a composite value, a column of `x` if that is a relation, or else the
    /// call `name(x)` (documentation, 4.2.4 and 4.2.6).
    Field {
        /// What stands in the parentheses.
        base: Box<Self>,
        /// The field.
        name: Name,
    },
    /// A function call.
    Call(Box<Call>),
    /// An operator of PostgreSQL's own that is NULL when an operand is: arithmetic, LIKE, BETWEEN.
    Strict(Vec<Self>),
    /// A comparison of PostgreSQL's own with ANY or ALL of an array or a query, other than those
    /// above: it says nothing that proves, and cannot fail.
    Quantified(Vec<Self>),
    /// DEFAULT, as a value of INSERT or UPDATE.
    Default,
    /// Anything else, with its parts.
    Opaque(Vec<Self>),
}

/// A constant.
#[derive(Debug)]
pub enum Constant {
    /// A string of unknown type.
    Text(Literal),
    /// A number as written.
    Number(Literal),
    /// TRUE or FALSE.
    Boolean(bool),
    /// NULL.
    Null,
    /// Anything else (bit strings, intervals).
    Other,
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>` or `!=`
    NotEqual,
    /// `<`, `<=`, `>`, `>=`
    Order,
}

/// The type of a cast, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeName {
    /// A type of `pg_catalog`, without modifier, by its name (`uuid`, `bigint`, `text`).
    Plain(&'static str),
    /// An array of such a type.
    Array(&'static str),
    /// Any other.
    Other,
}

/// A function call with everything that may stand around it.
#[derive(Debug)]
pub struct Call {
    /// Schema, if qualified.
    pub qualifier: Vec<Name>,
    /// The function's name.
    pub name: Name,
    /// The arguments; `*` is left out.
    pub arguments: Vec<Expr>,
    /// ORDER BY, WITHIN GROUP and other expressions inside.
    pub inside: Vec<Expr>,
    /// FILTER (WHERE …).
    pub filter: Option<Expr>,
    /// OVER.
    pub over: Option<Window>,
}

/// A window.
#[derive(Debug)]
pub struct Window {
    /// The name of the window that it is or extends.
    pub base: Option<Name>,
    /// The name that it is given by WINDOW.
    pub name: Option<Name>,
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY and frame bounds.
    pub inside: Vec<Expr>,
}

impl Expr {
    /// Calls `visit` with each part that is an expression, and `enter` with each that is a query.
    pub fn parts<'a>(&'a self, visit: &mut dyn FnMut(&'a Self), enter: &mut dyn FnMut(&'a Query)) {
        match self {
            Self::Column(_) | Self::Constant(_) | Self::Parameter(_) | Self::Default => {}
            Self::Cast { expr, target: _ }
            | Self::Field { base: expr, name: _ }
            | Self::Not(expr)
            | Self::IsNull { expr, negated: _ }
            | Self::IsTrue(expr) => visit(expr),
            Self::And(parts)
            | Self::Or(parts)
            | Self::Row(parts)
            | Self::Array(parts)
            | Self::Strict(parts)
            | Self::Quantified(parts)
            | Self::Opaque(parts) => parts.iter().for_each(visit),
            Self::Compare { operator: _, left, right }
            | Self::IsDistinct { left, right, negated: _ } => {
                visit(left);
                visit(right);
            }
            Self::InList { expr, list, negated: _ } => {
                visit(expr);
                list.iter().for_each(visit);
            }
            Self::InQuery { expr, query, negated: _ } => {
                visit(expr);
                enter(query);
            }
            Self::EqualsAny { expr, array } => {
                visit(expr);
                visit(array);
            }
            Self::Exists { query, negated: _ } | Self::Subquery(query) => enter(query),
            Self::Call(call) => {
                call.arguments.iter().for_each(&mut *visit);
                call.inside.iter().for_each(&mut *visit);
                call.filter.iter().for_each(&mut *visit);
                if let Some(window) = &call.over {
                    window.partition.iter().for_each(&mut *visit);
                    window.inside.iter().for_each(visit);
                }
            }
        }
    }
}
