use sqlparser::ast::{
    self, JoinConstraint, JoinOperator, TableAlias, TableAliasColumnDef, TableFactor,
    TableFunctionArgs, TableSample, TableSampleKind, TableSampleQuantity, TableSampleSeed,
    TableWithJoins,
};

use super::{Lowered, Lowering};
use crate::sql::keyword::is_reserved_in_any_way;
use crate::sql::model::{Expr, Join, JoinCondition, JoinKind, JoinTree, Name, Relation, Source};

impl Lowering<'_> {
    pub(super) fn from(&mut self, from: Vec<TableWithJoins>) -> Lowered<Vec<JoinTree>> {
        from.into_iter().map(|tree| self.join_tree(tree)).collect()
    }

    pub(super) fn join_tree(&mut self, tree: TableWithJoins) -> Lowered<JoinTree> {
        let TableWithJoins { relation, joins } = tree;
        let mut left = self.factor(relation)?;
        for join in joins {
            let ast::Join { relation, global, join_operator } = join;
            self.absent(!global, "GLOBAL JOIN")?;
            let right = self.factor(relation)?;
            let (kind, constraint) = match join_operator {
                JoinOperator::Join(on) | JoinOperator::Inner(on) => (JoinKind::Inner, on),
                JoinOperator::CrossJoin(on) => (JoinKind::Inner, on),
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (JoinKind::Left, on),
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (JoinKind::Right, on),
                JoinOperator::FullOuter(on) => (JoinKind::Full, on),
                _ => return self.refuse("a join that PostgreSQL does not have"),
            };
            let condition = match constraint {
                JoinConstraint::None => JoinCondition::None,
                JoinConstraint::On(on) => JoinCondition::On(self.expr(on)?),
                JoinConstraint::Natural => JoinCondition::Natural,
                JoinConstraint::Using(columns) => JoinCondition::Using(
                    columns
                        .iter()
                        .map(|column| match self.qualified(column)? {
                            (qualifier, name) if qualifier.is_empty() => Ok(name),
                            (_, _) => self.refuse("a qualified name in USING"),
                        })
                        .collect::<Lowered<_>>()?,
                ),
            };
            left = JoinTree::Join(Box::new(Join { kind, left, right, condition }));
        }
        Ok(left)
    }

    pub(super) fn factor(&mut self, factor: TableFactor) -> Lowered<JoinTree> {
        let (source, alias, lateral) = match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                self.absent(
                    with_hints.is_empty()
                        && version.is_none()
                        && partitions.is_empty()
                        && json_path.is_none()
                        && index_hints.is_empty(),
                    "a table clause that PostgreSQL does not have",
                )?;
                let (source, lateral) = match args {
                    None => {
                        self.absent(!with_ordinality, "WITH ORDINALITY on a table")?;
                        (self.table(&name, sample)?, false)
                    }
                    Some(TableFunctionArgs { args, settings }) => {
                        self.absent(sample.is_none() && settings.is_none(), "a sampled function")?;
                        (Source::Function(vec![self.call(&name, args)?]), true)
                    }
                };
                (source, alias, lateral)
            }
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                self.absent(sample.is_none(), "a sampled subquery")?;
                (Source::Derived(Box::new(self.query(*subquery)?)), alias, lateral)
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality: _, alias } => {
                (Source::Function(vec![self.call(&name, args)?]), alias, true)
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset,
                with_offset_alias,
                with_ordinality,
            } => {
                self.absent(!with_offset && with_offset_alias.is_none(), "WITH OFFSET")?;
                let arrays = self.exprs(array_exprs)?;
                let source = if with_ordinality { Err(arrays) } else { Source::unnest(arrays) };
                (source.unwrap_or_else(Source::Function), alias, true)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.absent(alias.is_none(), "a join with an alias")?;
                return self.join_tree(*table_with_joins);
            }
            _ => return self.refuse("a FROM item that is not read"),
        };
        let (alias, columns) = match alias {
            None => (None, Vec::new()),
            Some(alias) => {
                let (name, columns) = self.table_alias(alias)?;
                (Some(name), columns)
            }
        };
        Ok(JoinTree::Relation(Box::new(Relation { source, alias, columns, lateral })))
    }

    fn table(
        &mut self,
        name: &ast::ObjectName,
        sample: Option<TableSampleKind>,
    ) -> Lowered<Source> {
        // `FROM current_schema` is a call.
        if let [ast::ObjectNamePart::Identifier(only)] = name.0.as_slice() {
            let word = only.value.to_ascii_lowercase();
            self.absent(
                only.quote_style.is_some() || !is_reserved_in_any_way(&word),
                "a reserved word as a table",
            )?;
        }
        let (qualifier, name) = self.qualified(name)?;
        let mut arguments = Vec::new();
        match sample {
            None => {}
            Some(TableSampleKind::BeforeTableAlias(_)) => {
                return self.refuse("TABLESAMPLE before an alias");
            }
            Some(TableSampleKind::AfterTableAlias(sample)) => {
                let TableSample { modifier: _, name: _, quantity, seed, bucket, offset } = *sample;
                self.absent(
                    bucket.is_none() && offset.is_none(),
                    "a sample that PostgreSQL does not have",
                )?;
                if let Some(TableSampleQuantity { parenthesized: _, value, unit }) = quantity {
                    self.absent(unit.is_none(), "a sample with a unit")?;
                    arguments.push(self.expr(value)?);
                }
                if let Some(TableSampleSeed { modifier: _, value: _ }) = seed {
                    arguments.push(Expr::Opaque(Vec::new()));
                }
            }
        }
        Ok(Source::Table { qualifier, name, sample: arguments })
    }

    pub(super) fn table_alias(&mut self, alias: TableAlias) -> Lowered<(Name, Vec<Name>)> {
        let TableAlias { explicit, name, columns, at } = alias;
        self.absent(at.is_none(), "an alias with AT")?;
        let name = if explicit { self.name(&name)? } else { self.label(&name)? };
        Ok((name, self.alias_columns(columns)?))
    }

    pub(super) fn alias_columns(
        &mut self,
        columns: Vec<TableAliasColumnDef>,
    ) -> Lowered<Vec<Name>> {
        columns
            .into_iter()
            .map(|TableAliasColumnDef { name, data_type }| {
                if let Some(data_type) = data_type {
                    self.type_name(&data_type)?;
                }
                self.name(&name)
            })
            .collect()
    }
}
