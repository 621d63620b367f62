use sqlparser::ast::{
    self, Distinct, Fetch, GroupByExpr, GroupByWithModifier, LimitClause, NamedWindowDefinition,
    NamedWindowExpr, Offset, OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Select,
    SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetQuantifier,
    WildcardAdditionalOptions,
};

use super::{Lowered, Lowering};
use crate::policy::fold;
use crate::sql::Span;
use crate::sql::model::{Block, Body, Cte, Expr, Grouping, Item, Name, Query, SetOperator, Window};

impl Lowering<'_> {
    pub(super) fn query(&mut self, query: ast::Query) -> Lowered<Query> {
        let ast::Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        self.absent(locks.is_empty() && for_clause.is_none(), "a locking clause in an odd place")?;
        self.absent(
            settings.is_none() && format_clause.is_none() && pipe_operators.is_empty(),
            "a clause that PostgreSQL does not have",
        )?;
        let (with, recursive) = self.with(with)?;
        let body = self.body(*body)?;
        let order_by = match order_by {
            None => Vec::new(),
            Some(OrderBy { kind: OrderByKind::Expressions(keys), interpolate: None }) => {
                self.order_keys(keys)?
            }
            Some(_) => return self.refuse("an ORDER BY that PostgreSQL does not have"),
        };
        let mut limits = Vec::new();
        let limited = limit_clause.is_some() || fetch.is_some();
        match limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                self.absent(limit_by.is_empty(), "LIMIT BY")?;
                if let Some(limit) = limit {
                    limits.push(self.expr(limit)?);
                }
                if let Some(Offset { value, rows: _ }) = offset {
                    limits.push(self.expr(value)?);
                }
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => return self.refuse("LIMIT with a comma"),
        }
        if let Some(Fetch { with_ties: _, percent, quantity }) = fetch {
            self.absent(!percent, "FETCH PERCENT")?;
            if let Some(quantity) = quantity {
                limits.push(self.expr(quantity)?);
            }
        }
        Ok(Query { with, recursive, body, order_by, limits, limited })
    }

    fn with(&mut self, with: Option<ast::With>) -> Lowered<(Vec<Cte>, bool)> {
        let Some(ast::With { with_token: _, recursive, cte_tables }) = with else {
            return Ok((Vec::new(), false));
        };
        let mut ctes = Vec::with_capacity(cte_tables.len());
        for cte in cte_tables {
            let ast::Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
            self.absent(from.is_none(), "WITH … FROM")?;
            let ast::TableAlias { explicit: _, name, columns, at } = alias;
            self.absent(at.is_none(), "an alias with AT")?;
            let name = self.name(&name)?;
            let columns = self.alias_columns(columns)?;
            let materialized = matches!(materialized, Some(ast::CteAsMaterialized::Materialized));
            ctes.push(Cte { name, columns, materialized, query: self.query(*query)? });
        }
        Ok((ctes, recursive))
    }

    pub(super) fn order_keys(&mut self, keys: Vec<OrderByExpr>) -> Lowered<Vec<Expr>> {
        keys.into_iter()
            .map(|OrderByExpr { expr, options, with_fill }| {
                let OrderByOptions { sort, nulls_first: _ } = options;
                self.absent(with_fill.is_none(), "WITH FILL")?;
                match sort {
                    None | Some(ast::OrderBySort::Asc | ast::OrderBySort::Desc) => {}
                    Some(_) => return self.refuse("ORDER BY … USING"),
                }
                self.expr(expr)
            })
            .collect()
    }

    fn body(&mut self, body: SetExpr) -> Lowered<Body> {
        match body {
            SetExpr::Select(select) => Ok(Body::Block(Box::new(self.select(*select)?))),
            SetExpr::Query(query) => Ok(Body::Nested(Box::new(self.query(*query)?))),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let operator = match op {
                    ast::SetOperator::Union => SetOperator::Union,
                    ast::SetOperator::Intersect => SetOperator::Intersect,
                    ast::SetOperator::Except => SetOperator::Except,
                    ast::SetOperator::Minus => return self.refuse("MINUS"),
                };
                match set_quantifier {
                    SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                    SetQuantifier::ByName
                    | SetQuantifier::AllByName
                    | SetQuantifier::DistinctByName => return self.refuse("UNION BY NAME"),
                }
                Ok(Body::SetOperation {
                    operator,
                    left: Box::new(self.body(*left)?),
                    right: Box::new(self.body(*right)?),
                })
            }
            SetExpr::Values(ast::Values { explicit_row, value_keyword, rows }) => {
                self.absent(!explicit_row && !value_keyword, "VALUES ROW")?;
                rows.into_iter()
                    .map(|row| {
                        row.content.into_iter().map(|value| self.value_or_default(value)).collect()
                    })
                    .collect::<Lowered<Vec<Vec<Expr>>>>()
                    .map(Body::Values)
            }
            // `TABLE t` is written out before the parser sees it.
            SetExpr::Table(_) => self.refuse("TABLE in a place where it is not read"),
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => Ok(self.statement(statement)?.body),
        }
    }

    fn select(&mut self, select: Select) -> Lowered<Block> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        self.absent(into.is_none(), "SELECT INTO in a place where PostgreSQL does not allow it")?;
        self.absent(
            optimizer_hints.is_empty()
                && select_modifiers.is_none()
                && top.is_none()
                && exclude.is_none()
                && lateral_views.is_empty()
                && prewhere.is_none()
                && connect_by.is_empty()
                && cluster_by.is_empty()
                && distribute_by.is_empty()
                && sort_by.is_empty()
                && qualify.is_none()
                && value_table_mode.is_none()
                && matches!(flavor, SelectFlavor::Standard),
            "a clause that PostgreSQL does not have",
        )?;
        let distinct_on = match distinct {
            None | Some(Distinct::All) => None,
            Some(Distinct::Distinct) => None,
            Some(Distinct::On(keys)) => Some(self.exprs(keys)?),
        };
        let items = self.items(projection)?;
        let from = self.from(from)?;
        let filter = selection.map(|filter| self.expr(filter)).transpose()?;
        let grouping = self.grouping(group_by)?;
        let having = having.map(|having| self.expr(having)).transpose()?;
        let windows = named_window
            .into_iter()
            .map(|NamedWindowDefinition(name, window)| {
                let name = Some(self.name(&name)?);
                match window {
                    NamedWindowExpr::WindowSpec(spec) => Ok(Window { name, ..self.window(spec)? }),
                    NamedWindowExpr::NamedWindow(_) => self.refuse("a window that is only a name"),
                }
            })
            .collect::<Lowered<_>>()?;
        Ok(Block { distinct_on, items, from, filter, grouping, having, windows })
    }

    pub(super) fn items(&mut self, items: Vec<SelectItem>) -> Lowered<Vec<Item>> {
        items.into_iter().map(|item| self.item(item)).collect()
    }

    fn item(&mut self, item: SelectItem) -> Lowered<Item> {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let label = implied_label(&expr);
                let expr = self.expr(expr)?;
                let label = label.map(|text| Name { text, span: Span::default() });
                Ok(Item::Expr { expr, label })
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let expr = self.expr(expr)?;
                Ok(Item::Expr { expr, label: Some(self.label(&alias)?) })
            }
            SelectItem::ExprWithAliases { .. } => self.refuse("an expression with several aliases"),
            SelectItem::QualifiedWildcard(kind, options) => {
                self.plain_wildcard(options)?;
                match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(name) => {
                        Ok(Item::QualifiedWildcard(self.object_name(&name)?))
                    }
                    SelectItemQualifiedWildcardKind::Expr(expr) => {
                        let expr = Expr::Opaque(vec![self.expr(expr)?]);
                        Ok(Item::Expr { expr, label: None })
                    }
                }
            }
            SelectItem::Wildcard(options) => {
                self.plain_wildcard(options)?;
                Ok(Item::Wildcard)
            }
        }
    }

    fn plain_wildcard(&self, options: WildcardAdditionalOptions) -> Lowered<()> {
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        self.absent(
            opt_ilike.is_none()
                && opt_exclude.is_none()
                && opt_except.is_none()
                && opt_replace.is_none()
                && opt_rename.is_none()
                && opt_alias.is_none(),
            "a wildcard with options",
        )
    }

    fn grouping(&mut self, group_by: GroupByExpr) -> Lowered<Grouping> {
        let GroupByExpr::Expressions(keys, modifiers) = group_by else {
            return self.refuse("GROUP BY ALL");
        };
        let mut sets = false;
        let mut lowered = Vec::with_capacity(keys.len());
        for key in keys {
            sets = sets || is_grouping_set(&key);
            lowered.push(self.expr(key)?);
        }
        for modifier in modifiers {
            match modifier {
                GroupByWithModifier::GroupingSets(expr) => {
                    sets = true;
                    lowered.push(self.expr(expr)?);
                }
                GroupByWithModifier::Rollup
                | GroupByWithModifier::Cube
                | GroupByWithModifier::Totals => return self.refuse("GROUP BY … WITH"),
            }
        }
        Ok(match (sets, lowered.is_empty()) {
            (true, _) => Grouping::Sets(lowered),
            (false, true) => Grouping::None,
            (false, false) => Grouping::Keys(lowered),
        })
    }
}

/// GROUPING SETS, ROLLUP and CUBE, also where the parser takes them for functions or tuples.
fn is_grouping_set(key: &ast::Expr) -> bool {
    match key {
        ast::Expr::GroupingSets(_) | ast::Expr::Cube(_) | ast::Expr::Rollup(_) => true,
        ast::Expr::Function(function) => {
            let name = function.name.to_string().to_ascii_lowercase();
            matches!(name.as_str(), "rollup" | "cube" | "sets")
        }
        _ => false,
    }
}

/// The label PostgreSQL gives an unlabelled item: a column's own name, through a cast too
/// (`FigureColname`). Names of function results are left out: no proof rests on them.
fn implied_label(expr: &ast::Expr) -> Option<Box<str>> {
    let ident = match expr {
        ast::Expr::Identifier(ident) => ident,
        ast::Expr::CompoundIdentifier(parts) => parts.last()?,
        ast::Expr::Nested(inner) => return implied_label(inner),
        ast::Expr::Cast { kind: _, expr, data_type: _, format: _ } => return implied_label(expr),
        _ => return None,
    };
    Some(match ident.quote_style {
        None => fold(&ident.value),
        Some(_) => crate::policy::cut_name(&ident.value).into(),
    })
}
