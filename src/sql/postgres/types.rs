use pg_raw_parse::nodes;

use super::places::texts;
use super::{Lowered, Lowering};
use crate::sql::model::TypeName;

impl Lowering<'_> {
    /// A type as far as a proof needs it: only types of `pg_catalog` without a modifier are told
    /// apart.
    pub(super) fn type_name(&mut self, name: &nodes::TypeName) -> Lowered<TypeName> {
        for modifier in name.typmods() {
            self.unused(modifier)?;
        }
        let bounds = self.exprs_of_bounds(name)?;
        let parts: Vec<&str> = name.names().iter().filter_map(|part| part.sval()).collect();
        // The grammar writes `pg_catalog` before the types that are words of its own.
        let written = self
            .places
            .at(name.location)
            .is_some_and(|lexeme| lexeme.name().as_deref() == parts.first().copied());
        if written {
            self.places.dotted(&parts, name.location);
        }
        if !name.typmods().is_empty() || name.setof || name.pct_type {
            return Ok(TypeName::Other);
        }
        let plain = plain(&parts);
        Ok(match (plain, bounds) {
            (Some(plain), None) => TypeName::Plain(plain),
            (Some(plain), Some(1)) => TypeName::Array(plain),
            (_, _) => TypeName::Other,
        })
    }

    /// How many dimensions of an array are written without a size; `None` if it is no array.
    fn exprs_of_bounds(&self, name: &nodes::TypeName) -> Lowered<Option<usize>> {
        let mut open = 0_usize;
        for bound in name.array_bounds() {
            match bound {
                pg_raw_parse::Node::Integer(size) if size.ival == -1 => {
                    open = open.saturating_add(1);
                }
                // A size says nothing, but the first reading does not know that.
                pg_raw_parse::Node::Integer(_) => return Ok(Some(0)),
                _ => return self.refuse("an array bound that is not a number"),
            }
        }
        Ok((open > 0).then_some(open))
    }

    pub(super) fn collation(&mut self, collate: &nodes::CollateClause) -> Lowered<()> {
        let Some(parts) = texts(collate.collname()) else {
            return self.refuse("a collation that is not a name");
        };
        // The clause starts at COLLATE; the name stands behind it.
        for part in parts {
            self.places.loose(part);
        }
        Ok(())
    }
}

/// Types that a proof may go through, by the grammar's own names or the user's.
fn plain(parts: &[&str]) -> Option<&'static str> {
    let name = match parts {
        ["pg_catalog", name] | [name] => *name,
        _ => return None,
    };
    Some(match name {
        "uuid" => "uuid",
        "text" => "text",
        "varchar" => "varchar",
        "int8" => "bigint",
        "int4" => "integer",
        "int2" => "smallint",
        "timestamptz" => "timestamptz",
        "bool" => "bool",
        "date" => "date",
        "json" => "json",
        "jsonb" => "jsonb",
        "numeric" => "numeric",
        "float8" => "float8",
        _ => return None,
    })
}
