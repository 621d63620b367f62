use std::sync::Arc;

use smallvec::SmallVec;

use super::build::{Built, build};
use super::copy::CopyPlan;
use super::effect::{Effect, NewValue};
use super::explain::Explained;
use super::gap::Gap;
use super::graph::{Graph, Obligation, Operand};
use super::kind::Kind;
use super::memo::Memo;
use super::reader::Reader;
use super::reuse::{Moved, Reuse};
use super::settle::Structure;
use super::shortcut::{self, Shortcut};
use super::solve::Solver;
use super::statement::{self, Outline};
use super::twice::{self, Disagreement, Planned};
use super::verdict::{Advice, Rule, Verdict, Violation};
use crate::policy::{Policy, SchemaChange};
use crate::sql::{self, Comment, NotUnderstood, Shape, Slots, Span, Statement};
use crate::tenant::{Tenant, TenantType};

/// What one text amounts to: a whole simple query string, or the text of one Parse message.
///
/// A plan knows no tenant and no mode. A text that could not be read is a plan with one statement
/// of kind [`Kind::NotUnderstood`] that never holds.
#[derive(Debug)]
pub struct Plan {
    /// Hardly ever more than one, which is where the plan is.
    pub(super) statements: SmallVec<[StatementPlan; 1]>,
    pub(super) comment: Comment,
    pub(super) disagreement: Option<Disagreement>,
    /// For which other texts it can be used, if for any.
    pub(super) reuse: Option<Reuse>,
}

impl Plan {
    /// The statements in order; none for an empty text.
    #[must_use]
    pub fn statements(&self) -> &[StatementPlan] {
        &self.statements
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.statements.iter().map(StatementPlan::bytes).fold(0, usize::saturating_add)
    }

    /// Whether another plan of the same text says just the same.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.comment == other.comment
            && self.disagreement == other.disagreement
            && self.statements.len() == other.statements.len()
            && self.statements.iter().zip(&other.statements).all(|(it, own)| it.says_the_same(own))
    }

    /// Whether the text was refused because its two readings do not agree.
    #[must_use]
    pub const fn disagreement(&self) -> Option<Disagreement> {
        self.disagreement
    }

    /// What its comments say of the tenant, if they are asked.
    #[must_use]
    pub const fn comment(&self) -> &Comment {
        &self.comment
    }
}

/// The plan of one statement.
#[derive(Debug)]
pub struct StatementPlan {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) effect: Effect,
    pub(super) tenant_type: TenantType,
    pub(super) owed: Arc<Owed>,
    /// Where the text is another one than what is owed was made of.
    pub(super) moved: Option<Moved>,
    pub(super) unknown_relation: bool,
    /// What it does to the names of relations.
    pub(super) schema_change: Option<SchemaChange>,
    pub(super) may_set_tenant: bool,
    pub(super) copy: Option<Arc<CopyPlan>>,
    /// The verdict before anything is bound, which every Parse of the text asks for.
    pub(super) unbound: Memo<Verdict>,
    /// The one tenant for whom it holds whatever is bound, with nothing to tell.
    pub(super) sole: Memo<Option<Tenant>>,
}

/// What a statement owes and how that may be proved: all that planning finds out at length. Texts of
/// one shape share it.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub(super) graph: Graph,
    /// Violations whatever the tenant.
    pub(super) violations: Vec<Violation>,
    /// Advice whatever the tenant.
    pub(super) advice: Vec<Advice>,
    /// For each obligation, whether some values of its operands would prove it.
    pub(super) provable: Vec<bool>,
    /// What is enough for every obligation, if anything is.
    pub(super) shortcut: Option<Shortcut>,
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
    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        const EACH: usize = 256;
        let parts = match &self.moved {
            Some(moved) => return size_of::<Self>().saturating_add(moved.bytes()),
            None => {
                let Graph { references, contexts, columns, outputs, operands, obligations, .. } =
                    &self.owed.graph;
                [references.len(), contexts.len(), columns.len(), outputs.len()]
                    .into_iter()
                    .chain([operands.len(), obligations.len(), self.owed.violations.len()])
                    .fold(0, usize::saturating_add)
            }
        };
        size_of::<Self>().saturating_add(parts.saturating_mul(EACH))
    }

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

    /// Whether it has anything to do with a guarded table.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        // The first is at hand where the others are not, and only what owes a proof has it.
        self.sole_tenant().is_some()
            || self.copy.is_some()
            || !self.owed.graph.obligations.is_empty()
    }

    /// The guarded tables that owe a proof; one may come more than once.
    pub fn guarded_tables(&self) -> impl Iterator<Item = &str> {
        let graph = &self.owed.graph;
        let of = |reference: &usize| Some(&*graph.references.get(*reference)?.table);
        graph.obligations.iter().filter_map(move |obligation| match obligation {
            Obligation::Bound { reference, conflict: _ }
            | Obligation::Live { reference, conflict: _ } => of(reference),
            Obligation::Written { table, .. } | Obligation::Kept { table, .. } => Some(&**table),
        })
    }

    /// Whether it names a relation that the catalogue did not know when the plan was made: worth
    /// planning again under a newer one.
    #[must_use]
    pub const fn unknown_relation(&self) -> bool {
        self.unknown_relation
    }

    /// What it does to the names of relations, if it succeeds.
    #[must_use]
    pub const fn schema_change(&self) -> Option<&SchemaChange> {
        self.schema_change.as_ref()
    }

    /// Whether another plan of the same text, made under another policy or catalogue, says just the
    /// same: then what was settled under it still holds.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.said() == other.said()
    }

    /// All of it in words. The derived ones have every field of every part, and are only made where
    /// a catalogue has changed.
    fn said(&self) -> String {
        let Self {
            kind,
            span,
            effect,
            tenant_type,
            owed: _,
            moved: _,
            unknown_relation,
            schema_change,
            may_set_tenant,
            copy,
            unbound: _,
            sole: _,
        } = self;
        let session = (effect, unknown_relation, schema_change, may_set_tenant, copy);
        format!("{:?}", (kind, span, tenant_type, self.whole(), session))
    }

    /// What it owes, in the places of its own text and with its own literals.
    fn whole(&self) -> Arc<Owed> {
        match &self.moved {
            None => Arc::clone(&self.owed),
            Some(moved) => Arc::new(moved.whole(&self.owed)),
        }
    }

    pub(super) fn operands(&self) -> &[Operand] {
        self.moved.as_ref().map_or(&self.owed.graph.operands, Moved::operands)
    }

    /// How the rows that it copies into a guarded table are judged, if it does.
    #[must_use]
    pub const fn copy(&self) -> Option<&Arc<CopyPlan>> {
        self.copy.as_ref()
    }

    /// Whether a predicate or a written value is the tenant's setting.
    #[must_use]
    pub fn reads_setting(&self) -> bool {
        self.owed.graph.operands.iter().any(Operand::reads_setting)
    }

    /// Whether it calls a routine that may set the tenant: one that the configuration says does, or
    /// one of which nothing is known but that the configuration vouches for it.
    #[must_use]
    pub const fn may_set_tenant(&self) -> bool {
        self.may_set_tenant
    }

    /// What the text lacks for its proofs, whatever the tenant and the values; `None` if no more
    /// predicates would make it hold.
    #[must_use]
    pub fn gaps(&self) -> Option<Vec<Gap>> {
        let Owed { graph, violations, advice: _, provable, shortcut: _ } = &*self.whole();
        super::gap::gaps(graph, provable, violations)
    }

    /// What each guarded reference owes and whether it can be proved, for a reader.
    #[must_use]
    pub fn explain(&self) -> Vec<Explained> {
        let owed = self.whole();
        super::explain::explain(&owed.graph, &owed.provable)
    }
}

/// Reads a text and plans each of its statements.
#[must_use]
pub fn plan(text: &str, policy: &Policy) -> Plan {
    let slots = Shape::of(text).filter(Shape::has_literals).map(Slots::of);
    let Planned { statements, disagreement, readings } =
        twice::read_and_plan(text, policy, slots.as_ref());
    let key = policy.tenant_comment.as_deref();
    let comment = key.map_or(Comment::None, |key| sql::comment(text, key));
    let reuse = slots.zip(readings).and_then(|(it, count)| Reuse::of(&it, count, &statements));
    Plan { statements: statements.into_iter().collect(), comment, disagreement, reuse }
}

/// A later statement of a text sees what an earlier one has made.
pub(super) fn plan_in_turn(
    text: &str,
    statements: &[Statement],
    policy: &Policy,
    reader: Reader,
) -> Vec<StatementPlan> {
    let mut later: Option<Policy> = None;
    let mut plans = Vec::with_capacity(statements.len());
    for statement in statements {
        let policy = later.as_ref().unwrap_or(policy);
        let schema_change = sql::schema_change(text, statement, &policy.limits);
        let plan = plan_statement(statement, policy, reader);
        if let Some(change) = &schema_change {
            let mut own = policy.clone();
            Arc::make_mut(&mut own.overlay).apply(change);
            later = Some(own);
        }
        plans.push(StatementPlan { schema_change, ..plan });
    }
    plans
}

/// A text of which nothing may be believed.
pub(super) fn not_understood(refused: NotUnderstood, policy: &Policy) -> StatementPlan {
    let violation = Violation {
        rule: Rule::NotUnderstood,
        table: None,
        span: refused.span,
        detail: refused.reason.into(),
        hint: "write it in a form that the guard reads, or send it on a direct connection".into(),
    };
    StatementPlan {
        kind: Kind::NotUnderstood,
        span: refused.span,
        effect: Effect::None,
        tenant_type: policy.tenant_type,
        owed: Arc::new(Owed { violations: vec![violation], ..Owed::default() }),
        moved: None,
        unknown_relation: false,
        schema_change: None,
        may_set_tenant: false,
        copy: None,
        unbound: Memo::new(),
        sole: Memo::new(),
    }
}

pub(super) fn plan_statement(
    statement: &Statement,
    policy: &Policy,
    reader: Reader,
) -> StatementPlan {
    let Outline {
        kind,
        effect,
        mut violations,
        query,
        explained,
        is_view,
        copy,
        mut unknown_relation,
    } = statement::outline(statement, policy, reader);
    let mut graph = Graph::default();
    let mut may_set_tenant = false;
    let mut advice = Vec::new();
    if let Some(query) = query {
        let built = build(query, policy, reader);
        let Built {
            graph: own,
            violations: more,
            advice: own_advice,
            vouched,
            unknown_relation: unknown,
        } = built;
        may_set_tenant = vouched.is_some() || statement::is_setter_call(query, policy);
        if let Some(span) = vouched
            && own.operands.iter().any(Operand::reads_setting)
        {
            violations.push(beside_setting(span));
        }
        advice = own_advice;
        graph = own;
        unknown_relation = unknown_relation || unknown;
        violations.extend(more);
    }
    if is_view && let Some(kept) = kept_rows(&graph) {
        violations.push(kept);
        graph = Graph::default();
    }
    if let Some(span) = explained
        && !graph.obligations.is_empty()
    {
        violations.push(Violation {
            rule: Rule::StatisticsLeak,
            table: None,
            span,
            detail: "the row estimates of EXPLAIN come from the statistics of all tenants".into(),
            hint: "write EXPLAIN (COSTS OFF …)".into(),
        });
    }
    let provable = provable(&graph);
    let settled = reader != Reader::Compared && violations.is_empty();
    let shortcut = if settled && !graph.obligations.is_empty() {
        shortcut::find(&graph, &provable)
    } else {
        None
    };
    StatementPlan {
        kind,
        span: statement.span,
        effect,
        tenant_type: policy.tenant_type,
        owed: Arc::new(Owed { graph, violations, advice, provable, shortcut }),
        moved: None,
        unknown_relation,
        schema_change: None,
        may_set_tenant,
        copy: copy.map(Arc::new),
        unbound: Memo::new(),
        sole: Memo::new(),
    }
}

/// For each obligation, whether some values of its operands would prove it.
fn provable(graph: &Graph) -> Vec<bool> {
    let solver = Solver::new(graph, &Structure);
    let solution = solver.solve();
    graph
        .obligations
        .iter()
        .map(|obligation| match obligation {
            Obligation::Bound { reference, conflict: _ } => solver.is_bound(*reference, &solution),
            Obligation::Live { reference, conflict: _ } => solver.is_live(*reference, false),
            Obligation::Written { values, .. } => {
                !values.is_empty() && values.iter().all(|value| solver.is_written(value, &solution))
            }
            Obligation::Kept { value, .. } => solver.is_written(value, &solution),
        })
        .collect()
}

/// A routine may move the tenant's setting while the statement that is bound by it runs.
fn beside_setting(span: Span) -> Violation {
    Violation {
        rule: Rule::OpaqueSql,
        table: None,
        span,
        detail: "a routine that could change the tenant's setting stands beside a predicate on it"
            .into(),
        hint: "write the tenant as a constant or a parameter, or call the routine on its own"
            .into(),
    }
}

/// A view over guarded rows shows them to whoever asks later, of whatever tenant. Where there is a
/// catalogue it is read in its place at each use, but what makes it is a migration all the same:
/// the same statement has the same verdict with a catalogue and without one.
fn kept_rows(graph: &Graph) -> Option<Violation> {
    let reference = graph.obligations.iter().find_map(|obligation| match obligation {
        Obligation::Bound { reference, .. } | Obligation::Live { reference, .. } => {
            graph.references.get(*reference)
        }
        Obligation::Written { .. } | Obligation::Kept { .. } => None,
    })?;
    Some(Violation {
        rule: Rule::GuardedDdl,
        table: Some(reference.table.clone()),
        span: reference.span,
        detail: "a view over a guarded table has no tenant of its own".into(),
        hint: "make it in a migration, on a direct connection".into(),
    })
}

impl From<&sql::Operand> for NewValue {
    fn from(operand: &sql::Operand) -> Self {
        match operand {
            sql::Operand::Null => Self::Null,
            sql::Operand::Text(text) => Self::Text(text.clone()),
            sql::Operand::Parameter(number) => Self::Parameter(*number),
        }
    }
}
