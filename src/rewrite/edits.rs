//! From what a statement lacks to the edits that give it.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::condition::{Conditions, condition, join};
use super::layout::{Arm, Filter, Insert, InsertSource, Layout, Place, Use};
use super::splice::{Edit, Operand, Part, operand};
use super::wrap::{Lacking, WRAP, wrap};
use crate::analyze::{Gap, GapKind, quoted};
use crate::policy::{CatalogRelation, Found, Policy, RelationKind};
use crate::sql::PieceKind;

/// Edits at one place are made in this order, after those of rank [`WRAP`].
const ON: u8 = 1;
const SET: u8 = 2;
const WHERE: u8 = 3;

/// A setting that does not exist: reading it fails.
pub(super) const HIDDEN_ROW: &str = "orgguard.hidden_row";

/// Gathers the edits of one statement.
#[derive(Debug)]
pub(super) struct Editor<'l> {
    pub(super) layout: &'l Layout<'l>,
    pub(super) policy: &'l Policy,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The number of the use whose name stands at a place of the text; `None` if several do.
    uses: HashMap<u32, Option<usize>>,
    /// The conditions that each filter gains, by its number.
    conditions: Conditions,
    /// What the row of a conflict must fulfil for DO UPDATE, by the number of the filter.
    conflicts: Conditions,
    /// The conditions of each relation that becomes a derived table, by its number.
    pub(super) wrapped: Conditions,
    /// Those of them that get a fence.
    pub(super) fenced: BTreeSet<usize>,
    /// What a derived table would lack, found when it is first asked for.
    pub(super) lacking: OnceCell<Lacking>,
    edits: Vec<Edit>,
}

impl Edit {
    /// Whether the tenant is in it.
    pub(super) fn has_tenant(&self) -> bool {
        self.parts.contains(&Part::Tenant)
    }
}

impl<'l> Editor<'l> {
    pub(super) fn new(
        layout: &'l Layout<'l>,
        policy: &'l Policy,
        start: usize,
        end: usize,
    ) -> Self {
        let mut uses = HashMap::with_capacity(layout.uses.len());
        for (number, found) in layout.uses.iter().enumerate() {
            uses.entry(layout.tokens.span(found.name).start)
                .and_modify(|several| *several = None)
                .or_insert(Some(number));
        }
        Self {
            layout,
            policy,
            start,
            end,
            uses,
            conditions: Conditions::new(),
            conflicts: Conditions::new(),
            wrapped: Conditions::new(),
            fenced: BTreeSet::new(),
            lacking: OnceCell::new(),
            edits: Vec::new(),
        }
    }

    /// Whether there is any edit so far.
    pub(super) const fn has_edits(&self) -> bool {
        !self.edits.is_empty()
    }

    /// `DELETE FROM t USING …` becomes `UPDATE t SET deleted_at = now() FROM …`, where the table
    /// has soft deletion.
    pub(super) fn soften(&mut self) {
        let layout = self.layout;
        let tokens = layout.tokens;
        for delete in &layout.deletes {
            let Some(live) = layout.uses.get(delete.target).and_then(|it| self.live_column(it))
            else {
                continue;
            };
            let from = delete.keyword.saturating_add(1);
            let using = delete.using.map(|using| (using, "FROM"));
            for (word, text) in [(delete.keyword, "UPDATE"), (from, "")].into_iter().chain(using) {
                let span = tokens.span(word);
                let parts = vec![Part::Text(text.to_owned())];
                self.edits.push(Edit { start: span.start, end: span.end, rank: 0, parts });
            }
            let text = format!(" SET {} = pg_catalog.now()", quoted(&live));
            let at = tokens.span(delete.last).end;
            self.edits.push(Edit::insert(at, SET, vec![Part::Text(text)]));
        }
    }

    /// Rows that may not be removed are not, if their DELETE has become an UPDATE.
    fn softened(&self, gap: &Gap) -> Option<()> {
        let tokens = self.layout.tokens;
        let start =
            |number: usize| self.layout.uses.get(number).map(|found| tokens.span(found.name).start);
        let mut deletes = self.layout.deletes.iter();
        let delete = deletes.find(|delete| start(delete.target) == Some(gap.span.start))?;
        let at = tokens.span(delete.keyword).start;
        self.edits.iter().any(|edit| edit.start == at).then_some(())
    }

    /// The soft-delete column of a table.
    pub(super) fn live_column(&self, target: &Use) -> Option<Box<str>> {
        let name = self.layout.folded(target.name)?;
        let live: Box<str> = self.policy.tables.guard(&name)?.soft_delete_column?.into();
        let known = self.relation(target.name);
        known.is_none_or(|known| known.has(&live)).then_some(live)
    }

    /// Fills every gap; `None` if one cannot be filled.
    pub(super) fn fill(&mut self, gaps: &[Gap]) -> Option<()> {
        let mut filled = HashSet::with_capacity(gaps.len());
        for gap in gaps {
            // One use of a table may owe the same several times, as the target of MERGE does.
            if !filled.insert((gap.kind, gap.span.start, &*gap.column)) {
                continue;
            }
            match gap.kind {
                GapKind::Tenant | GapKind::Live | GapKind::AdvisedLive => self.filtered(gap)?,
                GapKind::ConflictLive | GapKind::ConflictTenant => self.conflict(gap)?,
                GapKind::Written => self.written(gap)?,
                GapKind::Copied => self.copied(gap)?,
                GapKind::Removed => self.softened(gap)?,
            }
        }
        Some(())
    }

    /// The edits; for a statement that is prepared, the tenant is the parameter of this number.
    /// Whether the tenant is in them is told beside.
    pub(super) fn into_edits(self, number: Option<u16>) -> (Vec<Edit>, bool) {
        let Self { layout, policy, mut edits, mut conditions, conflicts, wrapped, fenced, .. } =
            self;
        for (filter, mut condition) in conflicts {
            condition.insert(0, Part::Text("(".to_owned()));
            let fails = format!(" OR pg_catalog.current_setting('{HIDDEN_ROW}') IS NULL)");
            condition.push(Part::Text(fails));
            join(&mut conditions, filter, condition);
        }
        for (number, condition) in wrapped {
            if let Some(found) = layout.uses.get(number) {
                wrap(layout, found, condition, fenced.contains(&number), &mut edits);
            }
        }
        for (number, condition) in conditions {
            if let Some(filter) = layout.filters.get(number) {
                narrow(layout, filter, condition, &mut edits);
            }
        }
        let has_tenant = edits.iter().any(Edit::has_tenant);
        if let Some(number) = number {
            let parameter = operand(Operand::Parameter(number), policy.tenant_type);
            for part in edits.iter_mut().flat_map(|edit| &mut edit.parts) {
                if *part == Part::Tenant {
                    *part = Part::Text(parameter.clone());
                }
            }
        }
        (edits, has_tenant)
    }

    /// A condition on a relation that is read, or that UPDATE or DELETE changes.
    fn filtered(&mut self, gap: &Gap) -> Option<()> {
        let layout = self.layout;
        let number = (*self.uses.get(&gap.span.start)?)?;
        let found = layout.uses.get(number)?;
        if gap.fenced {
            return self.fence(number, found, gap);
        }
        match found.place {
            // Its columns have other names here.
            Place::Filter(_) if found.columns => self.wrap(number, found, gap),
            Place::Filter(filter) => {
                let own = self.layout.filters.get(filter)?;
                // WHERE CURRENT OF takes nothing beside it.
                if own.condition.is_some_and(|(at, _)| layout.tokens.are(at, &["current", "of"])) {
                    return None;
                }
                let condition = condition(&self.alias(found), gap);
                for more in &found.more {
                    join(&mut self.conditions, *more, condition.clone());
                }
                join(&mut self.conditions, filter, condition);
                if let Some(word) = found.table_word {
                    self.write_table_out(word);
                }
                Some(())
            }
            Place::Wrapped => self.wrap(number, found, gap),
            Place::Unknown => None,
        }
    }

    /// `TABLE t` becomes `SELECT * FROM t`, once.
    pub(super) fn write_table_out(&mut self, word: usize) {
        let span = self.layout.tokens.span(word);
        if self.edits.iter().any(|edit| edit.start == span.start) {
            return;
        }
        let parts = vec![Part::Text("SELECT * FROM".to_owned())];
        self.edits.push(Edit { start: span.start, end: span.end, rank: 0, parts });
    }

    /// The name by which a relation's columns are qualified.
    fn alias(&self, found: &Use) -> String {
        self.text(found.alias.unwrap_or(found.name))
    }

    /// A name as SQL writes it.
    pub(super) fn text(&self, at: usize) -> String {
        match self.layout.tokens.kind(at) {
            Some(PieceKind::Word(word)) => word.to_string(),
            Some(PieceKind::Quoted(name)) => format!("\"{}\"", name.replace('"', "\"\"")),
            Some(_) | None => String::new(),
        }
    }

    fn inserts_of(&self, gap: &Gap) -> impl Iterator<Item = &'l Insert> + use<'l> {
        let layout = self.layout;
        let start = gap.span.start;
        layout.inserts.iter().filter(move |it| layout.tokens.span(it.name).start == start)
    }

    /// DO UPDATE of a row that row-level security hides: the statement fails there, as it does
    /// under row-level security, after its own WHERE (`nodeModifyTable.c`, `ExecOnConflictUpdate`).
    fn conflict(&mut self, gap: &Gap) -> Option<()> {
        let insert = self.inserts_of(gap).next()?;
        // A conflict on the tenant column is with a row of the tenant that the new row has.
        if gap.kind == GapKind::ConflictTenant && insert.arbiter.contains(&gap.column) {
            return Some(());
        }
        let alias = self.text(insert.alias.unwrap_or(insert.name));
        join(&mut self.conflicts, insert.conflict?, condition(&alias, gap));
        Some(())
    }

    /// The tenant in every row written.
    fn written(&mut self, gap: &Gap) -> Option<()> {
        let mut found = self.inserts_of(gap).peekable();
        found.peek()?;
        found.try_for_each(|insert| self.with_tenant(insert, gap))
    }

    fn with_tenant(&mut self, insert: &Insert, gap: &Gap) -> Option<()> {
        let tokens = self.layout.tokens;
        if let Some(position) = insert.columns.iter().position(|name| *name == gap.column) {
            self.defaults(insert, position);
            return Some(());
        }
        let column = quoted(&gap.column);
        match (insert.open, &insert.source) {
            (_, InsertSource::Defaults(first, last)) => {
                let at = tokens.span(insert.last).end;
                self.edits.push(Edit::insert(at, 0, vec![Part::Text(format!(" ({column})"))]));
                let (start, end) = (tokens.span(*first).start, tokens.span(*last).end);
                let (open, close) = ("VALUES (".to_owned(), ")".to_owned());
                let parts = vec![Part::Text(open), Part::Tenant, Part::Text(close)];
                self.edits.push(Edit { start, end, rank: 0, parts });
                Some(())
            }
            (Some(open), InsertSource::Query(arms)) => {
                let at = tokens.span(tokens.close(open)?).start;
                self.edits.push(Edit::insert(at, 0, vec![Part::Text(format!(", {column}"))]));
                arms.iter().try_for_each(|arm| self.arm(arm))
            }
            // Which values are whose only the catalogue knows.
            (None, InsertSource::Query(_)) => self.named(insert, gap),
        }
    }

    /// One value more for the rows of an arm.
    fn arm(&mut self, arm: &Arm) -> Option<()> {
        let tokens = self.layout.tokens;
        let comma = || Part::Text(", ".to_owned());
        match *arm {
            Arm::Row(open) => {
                let at = tokens.span(tokens.close(open)?).start;
                self.edits.push(Edit::insert(at, 0, vec![comma(), Part::Tenant]));
            }
            Arm::List(last, empty) => {
                let separator = if empty { Part::Text(" ".to_owned()) } else { comma() };
                let at = tokens.span(last).end;
                self.edits.push(Edit::insert(at, 0, vec![separator, Part::Tenant]));
            }
            Arm::Table(word) => {
                let span = tokens.span(word);
                self.edits.retain(|edit| edit.start != span.start);
                let parts = vec![
                    Part::Text("SELECT *, ".to_owned()),
                    Part::Tenant,
                    Part::Text(" FROM".to_owned()),
                ];
                self.edits.push(Edit { start: span.start, end: span.end, rank: 0, parts });
            }
        }
        Some(())
    }

    /// DEFAULT in the tenant's place gives way to the tenant.
    fn defaults(&mut self, insert: &Insert, position: usize) {
        let tokens = self.layout.tokens;
        let InsertSource::Query(arms) = &insert.source else {
            return;
        };
        for arm in arms {
            let Arm::Row(open) = *arm else { continue };
            let Some(close) = tokens.close(open) else { continue };
            let mut at = open.saturating_add(1);
            for _ in 0..position {
                let comma = tokens.find(at, close, &|at| tokens.is(at, &PieceKind::Comma));
                at = comma.map_or(close, |comma| comma.saturating_add(1));
            }
            let next = at.saturating_add(1);
            if tokens.word(at) == "default" && (next == close || tokens.is(next, &PieceKind::Comma))
            {
                let span = tokens.span(at);
                let parts = vec![Part::Tenant];
                self.edits.push(Edit { start: span.start, end: span.end, rank: 0, parts });
            }
        }
    }

    /// An INSERT without a column list whose rows end before the tenant column: the columns that
    /// they fill are named, and the tenant's.
    fn named(&mut self, insert: &Insert, gap: &Gap) -> Option<()> {
        let tokens = self.layout.tokens;
        let InsertSource::Query(arms) = &insert.source else {
            return None;
        };
        let columns = &self.relation(insert.name)?.columns;
        let position = columns.iter().position(|column| column.name == gap.column)?;
        let mut width = None;
        for arm in arms {
            let Arm::Row(open) = *arm else { return None };
            let close = tokens.close(open)?;
            let mut at = open.saturating_add(1);
            let mut count = 1_usize;
            while let Some(comma) = tokens.find(at, close, &|at| tokens.is(at, &PieceKind::Comma)) {
                count = count.saturating_add(1);
                at = comma.saturating_add(1);
            }
            if width.is_some_and(|width| width != count) {
                return None;
            }
            width = Some(count);
        }
        let width = width?;
        if width > position {
            self.defaults(insert, position);
            return Some(());
        }
        let mut names: Vec<String> =
            columns.get(..width)?.iter().map(|column| quoted(&column.name)).collect();
        names.push(quoted(&gap.column));
        let text = format!(" ({})", names.join(", "));
        let at = tokens.span(insert.last).end;
        self.edits.push(Edit::insert(at, 0, vec![Part::Text(text)]));
        arms.iter().try_for_each(|arm| self.arm(arm))
    }

    /// `COPY t (a, b) TO STDOUT` becomes a copy of the tenant's rows. Like COPY of a table it takes
    /// no rows of children, and without a list no generated columns.
    fn copied(&mut self, gap: &Gap) -> Option<()> {
        let tokens = self.layout.tokens;
        let first = self.start.saturating_add(1);
        let (name, last) = self.layout.relation_name(first)?;
        if tokens.word(self.start) != "copy" || tokens.span(name).start != gap.span.start {
            return None;
        }
        let guard = self.policy.tables.guard(&gap.table)?;
        let known = self.relation(name);
        if known.is_some_and(|it| it.kind != RelationKind::Table || !it.family.is_empty()) {
            return None;
        }
        let after = last.saturating_add(1);
        let (columns, closing) = match (tokens.close(after), known) {
            (Some(close), _) => (self.layout.names(after, close), close),
            (None, Some(known)) => {
                let stored = known.columns.iter().filter(|column| !column.generated);
                (stored.map(|column| column.name.clone()).collect(), last)
            }
            (None, None) => return None,
        };
        let to = closing.saturating_add(1);
        if !tokens.are(to, &["to", "stdout"]) || to >= self.end || columns.is_empty() {
            return None;
        }
        let alias = self.text(name);
        let mut rows = vec![
            Part::Text(format!(" WHERE {alias}.{} = ", quoted(guard.tenant_column))),
            Part::Tenant,
        ];
        if let Some(live) = guard.soft_delete_column
            && known.is_none_or(|known| known.has(live))
        {
            rows.push(Part::Text(format!(" AND {alias}.{} IS NULL", quoted(live))));
        }
        rows.push(Part::Text(")".to_owned()));
        let columns: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let text = format!("(SELECT {} FROM ONLY ", columns.join(", "));
        self.edits.push(Edit::insert(tokens.span(first).start, 0, vec![Part::Text(text)]));
        let (start, end) = (tokens.span(last).end, tokens.span(closing).end);
        self.edits.push(Edit { start, end, rank: 0, parts: rows });
        Some(())
    }

    /// What the catalogue has of the relation whose name stands here.
    fn relation(&self, name: usize) -> Option<&'l CatalogRelation> {
        let catalog = self.policy.catalog.as_ref()?;
        let schema = self.layout.schema(name);
        let own = self.layout.folded(name)?;
        let path = &self.policy.settings.search_path;
        match catalog.find(schema.as_deref(), &own, path) {
            Found::One(found) => catalog.relation(&found),
            Found::None | Found::Several => None,
        }
    }
}

/// A filter gains a condition. Of what is written in a condition only OR binds less than AND.
fn narrow(layout: &Layout<'_>, filter: &Filter, condition: Vec<Part>, edits: &mut Vec<Edit>) {
    let tokens = layout.tokens;
    let Some((first, last)) = filter.condition else {
        let mut parts = vec![Part::Text(format!(" {} ", filter.keyword))];
        parts.extend(condition);
        edits.push(Edit::insert(tokens.span(filter.after).end, WHERE, parts));
        return;
    };
    let stop = last.saturating_add(1);
    let mut parts = Vec::new();
    if tokens.find_word(first, stop, "or").is_some() {
        let open = vec![Part::Text("(".to_owned())];
        edits.push(Edit::insert(tokens.span(first).start, WRAP, open));
        parts.push(Part::Text(")".to_owned()));
    }
    parts.push(Part::Text(" AND ".to_owned()));
    parts.extend(condition);
    edits.push(Edit::insert(tokens.span(last).end, ON, parts));
}
