//! What the analysis knows of one statement: its references, the facts that hold for the rows of
//! each, and the obligations that they owe. Built once, tenant-free; solved for each tenant.

use std::collections::BTreeSet;

use super::has::Has;
use crate::sql::{Slot, Span};

pub(super) type ReferenceId = usize;
pub(super) type ContextId = usize;
pub(super) type ColumnId = usize;
pub(super) type OutputId = usize;
pub(super) type OperandId = usize;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Graph {
    pub(super) references: Vec<Reference>,
    pub(super) contexts: Vec<Context>,
    pub(super) columns: Vec<Column>,
    pub(super) outputs: Vec<Output>,
    pub(super) operands: Vec<Operand>,
    pub(super) obligations: Vec<Obligation>,
    /// References that stand in a view's definition, not in the text.
    pub(super) viewed: Vec<ReferenceId>,
    /// References on whose rows an expression may run before they are known to be the tenant's.
    pub(super) early: BTreeSet<ReferenceId>,
}

/// One use of a relation.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// The name by which columns may be qualified.
    pub(super) alias: Box<str>,
    /// Whether the alias is written, so that the relation's own name is hidden.
    pub(super) aliased: bool,
    /// The relation's own name.
    pub(super) table: Box<str>,
    /// Its schema, if it is written.
    pub(super) schema: Option<Box<str>>,
    pub(super) span: Span,
    pub(super) source: Source,
    /// The facts that hold for those of its rows that matter.
    pub(super) context: ContextId,
    /// Column aliases, by position, where the columns themselves are not known.
    pub(super) aliases: Vec<Box<str>>,
    /// All its columns under the names that they have here, if they are known.
    pub(super) columns: Option<Vec<Box<str>>>,
}

/// Where a derived table or a function stands is not compared: PostgreSQL's grammar does not say.
impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        let Self { alias, aliased, table, schema, span, source, context, aliases, columns } = self;
        let place = |span: Span, table: &str, source: &Source| match source {
            Source::Unknown | Source::Output(_) if table.is_empty() => None,
            Source::Unknown if span == Span::default() => None,
            Source::Guarded(_) | Source::Unknown | Source::Output(_) | Source::Recursion(_) => {
                Some(span.start)
            }
        };
        *alias == other.alias
            && *aliased == other.aliased
            && *table == other.table
            && *schema == other.schema
            && place(*span, table, source) == place(other.span, &other.table, &other.source)
            && *source == other.source
            && *context == other.context
            && *aliases == other.aliases
            && *columns == other.columns
    }
}

impl Eq for Reference {}

/// What a reference refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A guarded table.
    Guarded(Guarded),
    /// Any other table, or a function: its columns are not known.
    Unknown,
    /// A derived table or CTE.
    Output(OutputId),
    /// A recursive CTE inside its own recursive term.
    Recursion(OutputId),
}

/// The columns of a guarded table that matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guarded {
    pub(super) tenant: Box<str>,
    pub(super) live: Option<Box<str>>,
    pub(super) bound_by: Vec<Box<str>>,
}

impl Guarded {
    pub(super) fn has(&self, column: &str) -> bool {
        *self.tenant == *column
            || self.live.as_deref() == Some(column)
            || self.bound_by.iter().any(|name| **name == *column)
    }
}

/// A place where facts hold: the rows that reach it are only those for which each fact is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    /// Whose facts hold here too …
    pub(super) parent: Option<ContextId>,
    /// … except those about these references, which are null-extended between there and here.
    pub(super) masked: Vec<ReferenceId>,
    pub(super) facts: Vec<Fact>,
}

/// What is true of every row in a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// Both are equal and neither is NULL.
    Equal(Term, Term),
    /// The column is NULL.
    Null(ColumnId),
    /// The column equals some value of an output's column, by position.
    Member(ColumnId, OutputId, usize),
    /// All facts of at least one arm are true.
    Any(Vec<Vec<Self>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    Column(ColumnId),
    Operand(OperandId),
}

/// A column of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) reference: ReferenceId,
    pub(super) name: Box<str>,
    /// What it is in each arm of the output that the reference refers to; empty for others.
    pub(super) links: Vec<Option<Term>>,
    /// Its position in the output, if known.
    pub(super) position: Option<usize>,
}

/// The rows of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) arms: Vec<Arm>,
    /// Names from WITH, by position, instead of the first arm's.
    pub(super) names: Vec<Box<str>>,
    /// Every reference to it; only if all filter may a filter be pushed in.
    pub(super) uses: Vec<ReferenceId>,
    /// Whether a filter of its uses may be pushed in at all.
    pub(super) pushable: bool,
    /// For a recursive CTE: the number of arms of its non-recursive term.
    pub(super) base_arms: Option<usize>,
}

/// One arm of a set operation, or the whole of a plain query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arm {
    pub(super) context: ContextId,
    pub(super) columns: Vec<ArmColumn>,
    /// Column sets by which the arm groups: a filter passes only on columns that are in each.
    pub(super) keys: Vec<Vec<Term>>,
    /// No filter passes (LIMIT, GROUPING SETS).
    pub(super) closed: bool,
    /// Whether its rows come out (not the right arm of INTERSECT or EXCEPT).
    pub(super) comes_out: bool,
    /// For the right arm of INTERSECT or EXCEPT: the contexts of the arms whose rows alone matter.
    pub(super) against: Vec<ContextId>,
    /// Whether a row out means that some row has passed its context (not so for an aggregate
    /// without GROUP BY).
    pub(super) witness: bool,
    /// Those of its references whose rows come out with no fence between: PostgreSQL may run on
    /// rows of a guarded table what stands outside.
    pub(super) open: Vec<ReferenceId>,
    /// Those of them whose rows are seen by a column that is computed and may fail: PostgreSQL may
    /// run it where a filter outside stands.
    pub(super) computed: Vec<ReferenceId>,
}

impl Arm {
    /// One that gives these columns of rows of which nothing more is known.
    pub(super) fn of(context: ContextId, columns: Vec<ArmColumn>) -> Self {
        Self {
            context,
            columns,
            keys: Vec::new(),
            closed: true,
            comes_out: true,
            against: Vec::new(),
            witness: false,
            open: Vec::new(),
            computed: Vec::new(),
        }
    }

    /// Nothing outside runs on its rows before they have come out.
    pub(super) fn fence(&mut self) {
        self.open.clear();
        self.computed.clear();
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArmColumn {
    /// One column.
    One { name: Option<Box<str>>, term: Option<Term> },
    /// All columns of a reference whose columns are not all known.
    Rest(ReferenceId),
}

/// A value that a column is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// A constant.
    Constant(Named),
    /// NULL.
    Null,
    /// `$n`.
    Parameter { number: u16, cast: Cast },
    /// `$n` as an array, each element of which is compared.
    Elements { number: u16, cast: Cast },
    /// The setting that holds the session's tenant.
    Setting,
    /// Each of several.
    All(Vec<Self>),
    /// As the value, but NULL equals NULL (IS NOT DISTINCT FROM).
    NotNull(Box<Self>),
    /// Each element of an array, and NULL if one of those beside it is longer (`unnest`).
    Unnested { array: Box<Self>, beside: Vec<Length> },
}

/// How many elements an array has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(usize),
    /// As many as that of `$n`.
    Parameter(u16),
    Unknown,
}

/// What a constant names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// `None` if it is no value of the tenant's type.
    pub(super) tenant: Option<crate::tenant::Tenant>,
    /// The literal that it is in the text.
    pub(super) slot: Option<Slot>,
}

impl Operand {
    /// Whether it is the setting that holds the session's tenant, or one of several is.
    pub(super) fn reads_setting(&self) -> bool {
        match self {
            Self::Setting => true,
            Self::All(all) => all.iter().any(Self::reads_setting),
            Self::NotNull(inner) | Self::Unnested { array: inner, beside: _ } => {
                inner.reads_setting()
            }
            Self::Constant(_) | Self::Null | Self::Parameter { .. } | Self::Elements { .. } => {
                false
            }
        }
    }
}

/// How a parameter comes to the tenant's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    /// It is not cast.
    None,
    /// It is cast to the tenant's type.
    Own,
    /// It is cast to text first.
    ViaText,
}

/// What a statement owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obligation {
    /// Rows of the reference that matter are the tenant's.
    Bound { reference: ReferenceId, conflict: bool },
    /// Rows of the reference that matter are not soft-deleted.
    Live { reference: ReferenceId, conflict: bool },
    /// Every row written carries the tenant.
    Written { table: Box<str>, span: Span, column: Box<str>, values: Vec<Written> },
    /// A new value of the tenant column is the tenant.
    Kept { table: Box<str>, span: Span, column: Box<str>, value: Written },
}

/// A value written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) context: ContextId,
    /// `None` if nothing is known of it.
    pub(super) value: Option<WrittenValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrittenValue {
    Term(Term),
    /// A column of a query, by position.
    Output(OutputId, usize),
}

impl Graph {
    pub(super) fn context(
        &mut self,
        parent: Option<ContextId>,
        masked: Vec<ReferenceId>,
    ) -> ContextId {
        self.contexts.push(Context { parent, masked, facts: Vec::new() });
        self.contexts.len().saturating_sub(1)
    }

    pub(super) fn operand(&mut self, operand: Operand) -> OperandId {
        self.operands.push(operand);
        self.operands.len().saturating_sub(1)
    }

    pub(super) fn output(&mut self, output: Output) -> OutputId {
        self.outputs.push(output);
        self.outputs.len().saturating_sub(1)
    }

    pub(super) fn reference(&mut self, reference: Reference) -> ReferenceId {
        self.references.push(reference);
        self.references.len().saturating_sub(1)
    }

    pub(super) fn add_facts(&mut self, context: ContextId, facts: Vec<Fact>) {
        if let Some(context) = self.contexts.get_mut(context) {
            context.facts.extend(facts);
        }
    }

    /// The column of a reference, made when it is first asked for.
    pub(super) fn column(&mut self, reference: ReferenceId, name: &str) -> ColumnId {
        let found = self.columns.iter().position(|c| c.reference == reference && *c.name == *name);
        if let Some(found) = found {
            return found;
        }
        let (links, position) = match self.references.get(reference) {
            Some(Reference {
                source: Source::Output(output) | Source::Recursion(output),
                aliases,
                ..
            }) => {
                let (output, aliases) = (*output, aliases.clone());
                self.links(output, &aliases, name)
            }
            Some(_) | None => (Vec::new(), None),
        };
        self.columns.push(Column { reference, name: name.into(), links, position });
        self.columns.len().saturating_sub(1)
    }

    /// What a column of an output is in each arm.
    fn links(
        &mut self,
        output: OutputId,
        aliases: &[Box<str>],
        name: &str,
    ) -> (Vec<Option<Term>>, Option<usize>) {
        let position = self.position(output, aliases, name);
        let arms = self.outputs.get(output).map_or(0, |output| output.arms.len());
        let mut links = Vec::with_capacity(arms);
        for arm in 0..arms {
            let link = match position {
                Some(position) => self.at(output, arm, position),
                // Not at a known position: through a wildcard, which has no renames and only one arm.
                None if arms == 1 && aliases.is_empty() => self.through_wildcard(output, name),
                None => None,
            };
            links.push(link);
        }
        (links, position)
    }

    /// The term at a position of an arm, if every column before it is known.
    pub(super) fn at(&self, output: OutputId, arm: usize, position: usize) -> Option<Term> {
        let columns = &self.outputs.get(output)?.arms.get(arm)?.columns;
        let before = columns.get(..=position)?;
        if before.iter().any(|column| matches!(column, ArmColumn::Rest(_))) {
            return None;
        }
        match before.last()? {
            ArmColumn::One { term, name: _ } => *term,
            ArmColumn::Rest(_) => None,
        }
    }

    /// Where a name stands in an output, given the aliases of the reference.
    pub(super) fn position(
        &self,
        output: OutputId,
        aliases: &[Box<str>],
        name: &str,
    ) -> Option<usize> {
        let output = self.outputs.get(output)?;
        if let Some(position) = aliases.iter().position(|alias| **alias == *name) {
            return Some(position);
        }
        if let Some(position) = output.names.iter().position(|own| **own == *name) {
            return (position >= aliases.len()).then_some(position);
        }
        let columns = &output.arms.first()?.columns;
        let renamed = aliases.len().max(output.names.len());
        let mut found = columns.iter().enumerate().skip(renamed).filter(|(_, column)| {
            matches!(column, ArmColumn::One { name: Some(own), term: _ } if **own == *name)
        });
        let (position, _) = found.next()?;
        let rest =
            columns.get(..position)?.iter().any(|column| matches!(column, ArmColumn::Rest(_)));
        (found.next().is_none() && !rest).then_some(position)
    }

    /// What a name is if it comes out through `*`.
    fn through_wildcard(&mut self, output: OutputId, name: &str) -> Option<Term> {
        let output = self.outputs.get(output)?;
        if !output.names.is_empty() {
            return None;
        }
        let columns = &output.arms.first()?.columns;
        let named: Vec<Option<Term>> = columns
            .iter()
            .filter_map(|column| match column {
                ArmColumn::One { name: Some(own), term } if **own == *name => Some(*term),
                ArmColumn::One { .. } | ArmColumn::Rest(_) => None,
            })
            .collect();
        let rests: Vec<ReferenceId> = columns
            .iter()
            .filter_map(|column| match column {
                ArmColumn::Rest(reference) => Some(*reference),
                ArmColumn::One { .. } => None,
            })
            .collect();
        // A name that is given twice is an error to PostgreSQL when it is asked for.
        if let [only] = named.as_slice() {
            return *only;
        }
        let sure: Vec<ReferenceId> =
            rests.iter().copied().filter(|r| self.has(*r, name) == Has::Sure).collect();
        match (sure.as_slice(), rests.as_slice()) {
            ([only], _) | ([], [only]) => Some(Term::Column(self.column(*only, name))),
            (_, _) => None,
        }
    }
}
