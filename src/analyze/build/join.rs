//! FROM: references, the reduction of outer joins, and which facts hold for which input.

use super::super::graph::{
    Arm, ArmColumn, ColumnId, ContextId, Fact, Output, OutputId, Reference, ReferenceId,
    Source as GraphSource, Term,
};
use super::relation::Meaning;
use super::{Builder, Clause, CteEntry, Scope};
use crate::sql::Span;
use crate::sql::model::{Expr, Join, JoinCondition, JoinKind, JoinTree, Name, Relation, Source};

/// What is visible at a node of a join tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    pub(super) references: Vec<ReferenceId>,
    pub(super) merged: Vec<(Box<str>, Option<ColumnId>)>,
    pub(super) natural: bool,
}

impl Level {
    pub(super) fn scope<'s>(&self, outer: Option<&'s Scope<'s>>) -> Scope<'s> {
        Scope {
            references: self.references.clone(),
            merged: self.merged.clone(),
            natural: self.natural,
            ctes: Vec::new(),
            outer,
        }
    }

    pub(super) fn join(mut self, other: Self) -> Self {
        self.references.extend(other.references);
        self.merged.extend(other.merged);
        self.natural = self.natural || other.natural;
        self
    }
}

/// A join tree whose relations are references.
#[derive(Debug)]
pub(super) enum Tree<'q> {
    Leaf(ReferenceId),
    Join(Box<Node<'q>>),
}

#[derive(Debug)]
pub(super) struct Node<'q> {
    kind: JoinKind,
    left: Tree<'q>,
    right: Tree<'q>,
    on: Option<&'q Expr>,
    /// Columns that USING makes equal, and for FULL the merged column.
    using: Vec<(ColumnId, ColumnId, Option<ColumnId>)>,
    left_references: Vec<ReferenceId>,
    right_references: Vec<ReferenceId>,
    level: Level,
}

/// What is known to be true of every row at the top of some trees.
#[derive(Clone, Debug)]
enum Conjunct<'q> {
    Predicate(&'q Expr, Level),
    Using(ReferenceId, ReferenceId),
}

impl Builder<'_> {
    /// Makes the references of a FROM list; each owes its proof from here on.
    pub(super) fn from<'q>(
        &mut self,
        from: &'q [JoinTree],
        mut level: Level,
        outer: Option<&Scope<'_>>,
    ) -> (Vec<Tree<'q>>, Level) {
        let mut trees = Vec::with_capacity(from.len());
        for item in from {
            let before = level.clone();
            let (tree, own) = self.tree(item, &before, outer);
            level = level.join(own);
            trees.push(tree);
        }
        (trees, level)
    }

    fn tree<'q>(
        &mut self,
        item: &'q JoinTree,
        before: &Level,
        outer: Option<&Scope<'_>>,
    ) -> (Tree<'q>, Level) {
        match item {
            JoinTree::Relation(relation) => {
                let reference = self.relation(relation, before, outer);
                let level = Level { references: vec![reference], ..Level::default() };
                (Tree::Leaf(reference), level)
            }
            JoinTree::Join(join) => self.join(join, before, outer),
        }
    }

    fn join<'q>(
        &mut self,
        join: &'q Join,
        before: &Level,
        outer: Option<&Scope<'_>>,
    ) -> (Tree<'q>, Level) {
        let Join { kind, left, right, condition } = join;
        let (left, left_level) = self.tree(left, before, outer);
        let (right, right_level) =
            self.tree(right, &before.clone().join(left_level.clone()), outer);
        let mut using = Vec::new();
        let mut merged = Vec::new();
        for column in self.merged_columns(condition, &left_level, &right_level) {
            let l = self.resolve_bare(&column, &left_level.scope(None));
            let r = self.resolve_bare(&column, &right_level.scope(None));
            let visible = match kind {
                JoinKind::Inner | JoinKind::Left => l,
                JoinKind::Right => r,
                JoinKind::Full => Some(self.merged(&column)),
            };
            for own in [l, r].into_iter().flatten() {
                let span = self.graph.place_of(own);
                self.early_columns(self.graph.computes(own), span);
            }
            if let (Some(l), Some(r)) = (l, r) {
                using.push((l, r, visible.filter(|_| *kind == JoinKind::Full)));
            }
            merged.push((column, visible));
        }
        let left_references = left_level.references.clone();
        let right_references = right_level.references.clone();
        let mut level = left_level.join(right_level);
        if matches!(condition, JoinCondition::Natural) {
            for reference in left_references.iter().chain(&right_references) {
                let arms = self.graph.arms_of(*reference).iter();
                let computed = arms.flat_map(|arm| arm.computed.iter().copied()).collect();
                let span = self.graph.references.get(*reference).map(|it| it.span);
                self.early_columns(computed, span);
            }
            // What was merged below may be merged again, with a column that is not known.
            level.natural = true;
            level.merged.clear();
        }
        level.merged.extend(merged);
        let on = match condition {
            JoinCondition::On(on) => Some(on),
            JoinCondition::None | JoinCondition::Using(_) | JoinCondition::Natural => None,
        };
        let node = Node {
            kind: *kind,
            left,
            right,
            on,
            using,
            left_references,
            right_references,
            level: level.clone(),
        };
        (Tree::Join(Box::new(node)), level)
    }

    /// The join that MERGE makes of its source and its target. The source is preserved if its rows
    /// without a target row matter; the target's rows without a source row are not in it.
    pub(super) fn merge_join<'q>(
        &mut self,
        source: Tree<'q>,
        source_level: &Level,
        target: ReferenceId,
        on: &'q Expr,
        preserved: bool,
    ) -> (Tree<'q>, Level) {
        let target_level = Level { references: vec![target], ..Level::default() };
        let level = source_level.clone().join(target_level);
        let node = Node {
            kind: if preserved { JoinKind::Left } else { JoinKind::Inner },
            left: source,
            right: Tree::Leaf(target),
            on: Some(on),
            using: Vec::new(),
            left_references: source_level.references.clone(),
            right_references: vec![target],
            level: level.clone(),
        };
        (Tree::Join(Box::new(node)), level)
    }

    /// The rows of `unnest`, of which each array is a column; all have the function's name.
    fn unnest(&mut self, arrays: &[Expr]) -> OutputId {
        let mut columns = Vec::with_capacity(arrays.len());
        for operand in self.unnested(arrays) {
            let term = operand.map(|operand| Term::Operand(self.graph.operand(operand)));
            columns.push(ArmColumn::One { name: Some("unnest".into()), term });
        }
        let context = self.graph.context(None, Vec::new());
        let arm = Arm {
            context,
            columns,
            keys: Vec::new(),
            closed: true,
            comes_out: true,
            against: Vec::new(),
            witness: false,
            open: Vec::new(),
            computed: Vec::new(),
        };
        self.graph.output(Output { arms: vec![arm], ..Output::default() })
    }

    /// One relation. Its context has no parent yet: the placement gives it one.
    fn relation(
        &mut self,
        relation: &Relation,
        before: &Level,
        outer: Option<&Scope<'_>>,
    ) -> ReferenceId {
        let Relation { source, alias, columns, lateral } = relation;
        let context = self.graph.context(None, Vec::new());
        let aliases: Vec<Box<str>> = columns.iter().map(|name| name.text.clone()).collect();
        let named =
            |name: &str| alias.as_ref().map_or_else(|| name.into(), |alias| alias.text.clone());
        let mut schema = None;
        let (table, span, meaning) = match source {
            Source::Table { qualifier, name, sample } => {
                for argument in sample {
                    self.walk(argument, &before.scope(outer), context, Clause::Value);
                }
                let meaning = self.table(qualifier, name, outer, context).renamed(&aliases);
                schema = qualifier.last().map(|schema| schema.text.clone());
                (name.text.clone(), name.span, meaning)
            }
            Source::Derived(query) => {
                let scope = if *lateral { before.scope(outer) } else { Scope::inside(outer) };
                let output = self.query(query, context, Some(&scope));
                let span = alias.as_ref().map_or(Span::default(), |a| a.span);
                let source = GraphSource::Output(output);
                ("".into(), span, Meaning { source, columns: None })
            }
            Source::Function(calls) => {
                for call in calls {
                    self.walk(call, &before.scope(outer), context, Clause::Value);
                }
                let name = match calls.first() {
                    Some(Expr::Call(call)) => call.name.text.clone(),
                    Some(_) | None => "unnest".into(),
                };
                let source = GraphSource::Unknown;
                (name, Span::default(), Meaning { source, columns: None })
            }
            Source::Unnest(arrays) => {
                for array in arrays {
                    self.walk(array, &before.scope(outer), context, Clause::Value);
                }
                let source = GraphSource::Output(self.unnest(arrays));
                ("unnest".into(), Span::default(), Meaning { source, columns: None })
            }
        };
        let output = match &meaning.source {
            GraphSource::Output(output) => Some(*output),
            GraphSource::Recursion(_) | GraphSource::Guarded(_) | GraphSource::Unknown => None,
        };
        let reference = self.graph.reference(Reference {
            alias: named(&table),
            aliased: alias.is_some(),
            table,
            schema,
            span: self.shown(span),
            source: meaning.source,
            context,
            aliases: if meaning.columns.is_some() { Vec::new() } else { aliases },
            columns: meaning.columns,
        });
        if let Some(output) = output.and_then(|output| self.graph.outputs.get_mut(output)) {
            output.uses.push(reference);
        }
        if self.inside_view.is_some() {
            self.graph.viewed.push(reference);
        }
        self.owe(reference, false);
        reference
    }

    /// What a name in FROM means: a CTE first, unless it is qualified.
    fn table(
        &mut self,
        qualifier: &[Name],
        name: &Name,
        outer: Option<&Scope<'_>>,
        context: ContextId,
    ) -> Meaning {
        let cte = outer.filter(|_| qualifier.is_empty()).and_then(|scope| scope.cte(&name.text));
        let source = match cte {
            Some(CteEntry::Output(output)) => GraphSource::Output(output),
            Some(CteEntry::Recursion(output)) => GraphSource::Recursion(output),
            None => return self.relation_read(qualifier, name, context),
        };
        Meaning { source, columns: None }
    }

    /// Decides, for each input, which facts hold for those of its rows that matter.
    pub(super) fn place<'q>(
        &mut self,
        trees: &mut [Tree<'q>],
        context: ContextId,
        filter: Option<(&'q Expr, &Level)>,
        outer: Option<&Scope<'_>>,
    ) {
        let known =
            filter.into_iter().map(|(expr, level)| Conjunct::Predicate(expr, level.clone()));
        self.reduce_all(trees, &known.collect::<Vec<_>>(), outer);
        for tree in trees {
            self.assign(tree, context, outer);
        }
    }

    /// Reduces outer joins until no conjunct, of those known and of the inner joins at the top,
    /// reduces another.
    fn reduce_all<'q>(
        &mut self,
        trees: &mut [Tree<'q>],
        known: &[Conjunct<'q>],
        outer: Option<&Scope<'_>>,
    ) {
        loop {
            let mut conjuncts = known.to_vec();
            for tree in trees.iter() {
                gather(tree, &mut conjuncts);
            }
            let mut changed = false;
            for tree in trees.iter_mut() {
                changed |= self.reduce(tree, &conjuncts, outer);
            }
            if !changed {
                return;
            }
        }
    }

    /// Makes outer joins inner where a conjunct rejects the rows that they would add.
    fn reduce(
        &mut self,
        tree: &mut Tree<'_>,
        conjuncts: &[Conjunct<'_>],
        outer: Option<&Scope<'_>>,
    ) -> bool {
        let Tree::Join(node) = tree else {
            return false;
        };
        let mut changed = false;
        let rejects_left = self.any_rejects(conjuncts, &node.left_references, outer);
        let rejects_right = self.any_rejects(conjuncts, &node.right_references, outer);
        let reduced = match node.kind {
            JoinKind::Inner => JoinKind::Inner,
            JoinKind::Left if rejects_right => JoinKind::Inner,
            JoinKind::Left => JoinKind::Left,
            JoinKind::Right if rejects_left => JoinKind::Inner,
            JoinKind::Right => JoinKind::Right,
            JoinKind::Full => match (rejects_left, rejects_right) {
                (true, true) => JoinKind::Inner,
                // Rows without a left part are rejected, so every row has one: left is preserved.
                (true, false) => JoinKind::Left,
                (false, true) => JoinKind::Right,
                (false, false) => JoinKind::Full,
            },
        };
        if reduced != node.kind {
            node.kind = reduced;
            changed = true;
        }
        let Node { kind, left, right, .. } = &mut **node;
        if matches!(kind, JoinKind::Inner | JoinKind::Left) {
            changed |= self.reduce(left, conjuncts, outer);
        }
        if matches!(kind, JoinKind::Inner | JoinKind::Right) {
            changed |= self.reduce(right, conjuncts, outer);
        }
        changed
    }

    fn any_rejects(
        &mut self,
        conjuncts: &[Conjunct<'_>],
        references: &[ReferenceId],
        outer: Option<&Scope<'_>>,
    ) -> bool {
        conjuncts.iter().any(|conjunct| match conjunct {
            Conjunct::Predicate(expr, level) => self.rejects(expr, references, &level.scope(outer)),
            Conjunct::Using(left, right) => references.contains(left) || references.contains(right),
        })
    }

    fn assign(&mut self, tree: &mut Tree<'_>, context: ContextId, outer: Option<&Scope<'_>>) {
        let node = match tree {
            Tree::Leaf(reference) => {
                let own = self.graph.references.get(*reference).map(|reference| reference.context);
                if let Some(own) = own.and_then(|own| self.graph.contexts.get_mut(own)) {
                    own.parent = Some(context);
                }
                return;
            }
            Tree::Join(node) => node,
        };
        let (left, right, on) = match node.kind {
            JoinKind::Inner => (context, context, context),
            JoinKind::Left => {
                let inner = self.graph.context(Some(context), node.right_references.clone());
                (context, inner, inner)
            }
            JoinKind::Right => {
                let inner = self.graph.context(Some(context), node.left_references.clone());
                (inner, context, inner)
            }
            JoinKind::Full => {
                let both = node.level.references.clone();
                let mut side = || self.graph.context(Some(context), both.clone());
                (side(), side(), side())
            }
        };
        if let Some(predicate) = node.on {
            self.early(predicate, &node.level.scope(outer));
            let facts = self.predicate(predicate, true, &node.level.scope(outer), on);
            self.graph.add_facts(on, facts);
        }
        // The nullable side has the ON condition for its WHERE: outer joins inside it are reduced by it.
        let known: Vec<Conjunct<'_>> =
            node.on.iter().map(|on| Conjunct::Predicate(on, node.level.clone())).collect();
        match node.kind {
            JoinKind::Left => self.reduce_all(std::slice::from_mut(&mut node.right), &known, outer),
            JoinKind::Right => self.reduce_all(std::slice::from_mut(&mut node.left), &known, outer),
            JoinKind::Inner | JoinKind::Full => {}
        }
        for (l, r, merged) in &node.using {
            let equal =
                |a: ColumnId, b: ColumnId| vec![Fact::Equal(Term::Column(a), Term::Column(b))];
            self.graph.add_facts(on, equal(*l, *r));
            // The merged column is that of a side wherever that side has a row.
            if let Some(merged) = merged {
                if node.kind != JoinKind::Right {
                    self.graph.add_facts(left, equal(*l, *merged));
                }
                if node.kind != JoinKind::Left {
                    self.graph.add_facts(right, equal(*r, *merged));
                }
            }
        }
        self.assign(&mut node.left, left, outer);
        self.assign(&mut node.right, right, outer);
    }
}

/// The conjuncts of inner joins that stand at the top, below other inner joins or on the preserved
/// side of outer ones.
fn gather<'q>(tree: &Tree<'q>, conjuncts: &mut Vec<Conjunct<'q>>) {
    let Tree::Join(node) = tree else {
        return;
    };
    if node.kind == JoinKind::Inner {
        if let Some(on) = node.on {
            conjuncts.push(Conjunct::Predicate(on, node.level.clone()));
        }
        for _ in &node.using {
            if let ([left], [right]) =
                (node.left_references.as_slice(), node.right_references.as_slice())
            {
                conjuncts.push(Conjunct::Using(*left, *right));
            }
        }
    }
    if matches!(node.kind, JoinKind::Inner | JoinKind::Left) {
        gather(&node.left, conjuncts);
    }
    if matches!(node.kind, JoinKind::Inner | JoinKind::Right) {
        gather(&node.right, conjuncts);
    }
}
