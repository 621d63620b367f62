//! Rewriting: what a text needs so that it gives what row-level security would give.
//!
//! The analysis says which proofs are missing; each gets the smallest edit that gives it, at a
//! place where the condition filters that relation's rows and nothing else. Edits are spliced into
//! the client's own text. What comes out is planned and judged like any other text: this room is
//! not believed.

mod condition;
mod edits;
mod from;
mod insert;
mod layout;
mod merge;
mod splice;
mod tokens;
mod wrap;

use crate::analyze::{
    self, Arguments, Effect, Gap, GapKind, Plan, Rule, SessionTenant, StatementPlan,
};
use crate::policy::Policy;
use crate::sql::{Span, pieces};
use crate::tenant::TenantType;

use self::edits::{Editor, HIDDEN_ROW};
use self::layout::Layout;
use self::splice::{Edit, Part, splice};
use self::tokens::Tokens;

pub use self::splice::{Operand, PlaceMap, Spliced, literal, tenant_text};

/// Whether an error of the server says that ON CONFLICT DO UPDATE met a row that is hidden.
#[must_use]
pub fn is_hidden_row(error: &[u8]) -> bool {
    error.windows(HIDDEN_ROW.len()).any(|part| part == HIDDEN_ROW.as_bytes())
}

/// What one text is to be changed into. It knows no tenant, so it is kept with the text's plan.
#[derive(Debug)]
pub struct Rewrite {
    statements: Vec<StatementEdits>,
    tenant_type: TenantType,
    /// The greatest number of a parameter in the text.
    parameters: u16,
}

/// What one statement of the text is to be changed into.
#[derive(Debug)]
struct StatementEdits {
    edits: Vec<Edit>,
    injections: Vec<Injection>,
    /// The tenant can only be a constant: COPY takes no parameters.
    literal: bool,
    /// For PREPARE: the number of the parameter that its statement gained.
    prepared: Option<u16>,
    /// For EXECUTE: where another argument goes.
    execute: Option<Argument>,
}

/// Where EXECUTE takes another argument.
#[derive(Clone, Copy, Debug)]
struct Argument {
    at: u32,
    /// What stands around it.
    before: &'static str,
    after: &'static str,
}

/// One condition or value put into a statement, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// The rule that would have been broken.
    pub rule: Rule,
    /// The guarded table.
    pub table: Box<str>,
    /// Where its name stands in the original text.
    pub span: Span,
}

/// How one statement of a text is filled in.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'a> {
    /// The tenant.
    pub tenant: Operand<'a>,
    /// Whether its EXECUTE runs a statement that was prepared with one parameter more.
    pub execute: bool,
}

/// Finds what the statements of a text lack; `None` if they lack nothing, or if no edit is known
/// to give it.
#[must_use]
pub fn rewrite(text: &str, plan: &Plan, policy: &Policy) -> Option<Rewrite> {
    let plans = plan.statements();
    if !policy.soft_deletes && !plans.iter().any(is_concerned) {
        return None;
    }
    let tokens = Tokens::new(pieces(text, &policy.limits).ok()?);
    let mut statements = Vec::with_capacity(plans.len());
    for plan in plans {
        statements.push(part(&tokens, plan, policy)?);
    }
    let parameters = tokens.parameters(0, tokens.len());
    Some(Rewrite { statements, tenant_type: policy.tenant_type, parameters })
}

/// For each statement of a text, what it would be sent as, with the tenant as a parameter; `None`
/// if it is sent as it is, or refused.
#[must_use]
pub fn proposals(text: &str, plan: &Plan, policy: &Policy) -> Vec<Option<String>> {
    let plans = plan.statements();
    let Ok(pieces) = pieces(text, &policy.limits) else {
        return plans.iter().map(|_| None).collect();
    };
    let tokens = Tokens::new(pieces);
    plans.iter().map(|plan| proposal(text, &tokens, plan, policy)).collect()
}

fn proposal(text: &str, tokens: &Tokens, plan: &StatementPlan, policy: &Policy) -> Option<String> {
    let edits = part(tokens, plan, policy)?.edits;
    let (start, end) = tokens.within(plan.span());
    if edits.is_empty() {
        return None;
    }
    let number = tokens.parameters(start, end).checked_add(1)?;
    let edits = edits.iter().map(|edit| (edit, Operand::Parameter(number)));
    let whole = splice(text, edits, policy.tenant_type)?.text;
    let first = usize::try_from(plan.span().start).ok()?;
    let behind = text.len().checked_sub(usize::try_from(plan.span().end).ok()?)?;
    let own = whole.get(first..whole.len().checked_sub(behind)?)?;
    let again = analyze::plan(own, policy);
    let holds = again.statements().iter().all(|statement| {
        let statement = inner(statement).unwrap_or(statement);
        statement.settle(SessionTenant::Any, Arguments::Unknown).holds()
    });
    holds.then(|| own.to_owned())
}

/// Whether a statement may need an edit.
fn is_concerned(plan: &StatementPlan) -> bool {
    if matches!(plan.effect(), Effect::Execute { .. }) {
        return true;
    }
    lacks(inner(plan).unwrap_or(plan))
}

/// The statement inside a PREPARE.
fn inner(plan: &StatementPlan) -> Option<&StatementPlan> {
    let Effect::Prepare { statement, .. } = plan.effect() else { return None };
    Some(statement)
}

fn lacks(plan: &StatementPlan) -> bool {
    plan.gaps().is_some_and(|gaps| gaps.iter().any(|gap| gap.kind != GapKind::AdvisedLive))
}

fn part(tokens: &Tokens, plan: &StatementPlan, policy: &Policy) -> Option<StatementEdits> {
    let mut part = StatementEdits {
        edits: Vec::new(),
        injections: Vec::new(),
        literal: false,
        prepared: None,
        execute: None,
    };
    let (start, end) = tokens.within(plan.span());
    let own = plan.gaps()?;
    if matches!(plan.effect(), Effect::Execute { .. }) {
        part.execute = argument(tokens, start, end);
        part.literal = true;
        return Some(part);
    }
    let (gaps, number) = if let Effect::Prepare { types, statement, .. } = plan.effect() {
        let declared = u16::try_from(types.len()).ok()?;
        let number = declared.max(tokens.parameters(start, end)).checked_add(1)?;
        // What could not be helped is refused when it is executed.
        (statement.gaps().unwrap_or_default(), Some(number))
    } else {
        (own, None)
    };
    let complete = !gaps.iter().any(|gap| gap.kind != GapKind::AdvisedLive);
    if complete && !policy.soft_deletes {
        return Some(part);
    }
    let layout = Layout::read(tokens, start, end);
    let mut editor = Editor::new(&layout, policy, start, end);
    if policy.soft_deletes {
        editor.soften();
    }
    if complete && !editor.has_edits() {
        return Some(part);
    }
    editor.fill(&gaps)?;
    let (edits, has_tenant) = editor.into_edits(number);
    part.edits = edits;
    part.prepared = number.filter(|_| has_tenant);
    part.literal = tokens.word(start) == "copy";
    part.injections = gaps.iter().map(injection).collect();
    // A fence is one injection, whatever stands behind it.
    part.injections.dedup();
    Some(part)
}

fn injection(gap: &Gap) -> Injection {
    Injection { rule: gap.rule, table: gap.table.clone(), span: gap.span }
}

/// Where EXECUTE takes an argument more: in its brackets, or in new ones.
fn argument(tokens: &Tokens, start: usize, end: usize) -> Option<Argument> {
    let keyword = tokens.find_word(start, end, "execute")?;
    let name = keyword.saturating_add(1);
    let open = name.saturating_add(1);
    if open >= end {
        return Some(Argument { at: tokens.span(name).end, before: "(", after: ")" });
    }
    let close = tokens.close(open)?;
    let before = if close == open.saturating_add(1) { "" } else { ", " };
    Some(Argument { at: tokens.span(close).start, before, after: "" })
}

impl Rewrite {
    /// The number of the parameter that the tenant would be, of a text with so many declared;
    /// `None` if there can be no more.
    #[must_use]
    pub fn next_parameter(&self, declared: usize) -> Option<u16> {
        u16::try_from(declared).ok()?.max(self.parameters).checked_add(1)
    }

    /// Whether a statement can take the tenant only as a constant.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.statements.iter().any(|part| part.literal)
    }

    /// Whether a statement lacks something whatever was prepared before.
    #[must_use]
    pub fn has_edits(&self) -> bool {
        self.statements.iter().any(|part| !part.edits.is_empty())
    }

    /// Whether the edits of the statement at this place write the tenant.
    #[must_use]
    pub fn needs_tenant(&self, at: usize) -> bool {
        self.statements.get(at).is_some_and(|part| part.edits.iter().any(Edit::has_tenant))
    }

    /// For a PREPARE at this place: the number of the parameter that its statement gains.
    #[must_use]
    pub fn prepared(&self, at: usize) -> Option<u16> {
        self.statements.get(at)?.prepared
    }

    /// What is put in, and why.
    pub fn injections(&self) -> impl Iterator<Item = &Injection> {
        self.statements.iter().flat_map(|part| &part.injections)
    }

    /// The text with every statement filled in.
    #[must_use]
    pub fn splice(&self, text: &str, fills: &[Fill<'_>]) -> Option<Spliced> {
        let arguments: Vec<Option<Edit>> = self
            .statements
            .iter()
            .zip(fills)
            .map(|(part, fill)| {
                let Argument { at, before, after } = part.execute.filter(|_| fill.execute)?;
                let Operand::Literal(tenant) = fill.tenant else { return None };
                let text = format!("{before}{}{after}", literal(tenant));
                Some(Edit::insert(at, 0, vec![Part::Text(text)]))
            })
            .collect();
        let own = self.statements.iter().zip(fills);
        let edits = own.flat_map(|(part, fill)| part.edits.iter().map(|edit| (edit, fill.tenant)));
        let more = arguments.iter().zip(fills);
        let more = more.filter_map(|(edit, fill)| Some((edit.as_ref()?, fill.tenant)));
        splice(text, edits.chain(more), self.tenant_type)
    }
}
