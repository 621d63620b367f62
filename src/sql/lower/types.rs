use sqlparser::ast::{ArrayElemTypeDef, DataType, ExactNumberInfo, TimezoneInfo};

use super::{Lowered, Lowering};
use crate::sql::model::TypeName;

impl Lowering<'_> {
    /// A type as far as a proof needs it: only types of `pg_catalog` without a modifier are told
    /// apart. A name of the user's own is accounted for, since `::org_status` is no table.
    pub(super) fn type_name(&mut self, data_type: &DataType) -> Lowered<TypeName> {
        if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, None)) = data_type {
            return Ok(match self.type_name(element)? {
                TypeName::Plain(name) => TypeName::Array(name),
                TypeName::Array(_) | TypeName::Other => TypeName::Other,
            });
        }
        if let DataType::Custom(name, _) = data_type {
            let parts = self.object_name(name)?;
            return Ok(match parts.as_slice() {
                [schema, last] if &*schema.text == "pg_catalog" => plain(&last.text),
                _ => TypeName::Other,
            });
        }
        Ok(match data_type {
            DataType::Uuid => TypeName::Plain("uuid"),
            DataType::Text => TypeName::Plain("text"),
            DataType::Varchar(None) | DataType::CharacterVarying(None) => {
                TypeName::Plain("varchar")
            }
            DataType::BigInt(None) | DataType::Int8(None) => TypeName::Plain("bigint"),
            DataType::Integer(None) | DataType::Int(None) | DataType::Int4(None) => {
                TypeName::Plain("integer")
            }
            DataType::SmallInt(None) | DataType::Int2(None) => TypeName::Plain("smallint"),
            DataType::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
                TypeName::Plain("timestamptz")
            }
            DataType::Boolean | DataType::Bool => TypeName::Plain("bool"),
            DataType::Date => TypeName::Plain("date"),
            DataType::JSON => TypeName::Plain("json"),
            DataType::JSONB => TypeName::Plain("jsonb"),
            DataType::Numeric(ExactNumberInfo::None) => TypeName::Plain("numeric"),
            DataType::DoublePrecision | DataType::Float8 => TypeName::Plain("float8"),
            _ => TypeName::Other,
        })
    }
}

fn plain(name: &str) -> TypeName {
    match name {
        "uuid" => TypeName::Plain("uuid"),
        "text" => TypeName::Plain("text"),
        "varchar" => TypeName::Plain("varchar"),
        "int8" => TypeName::Plain("bigint"),
        "int4" => TypeName::Plain("integer"),
        "int2" => TypeName::Plain("smallint"),
        "timestamptz" => TypeName::Plain("timestamptz"),
        "bool" => TypeName::Plain("bool"),
        "date" => TypeName::Plain("date"),
        "json" => TypeName::Plain("json"),
        "jsonb" => TypeName::Plain("jsonb"),
        "numeric" => TypeName::Plain("numeric"),
        "float8" => TypeName::Plain("float8"),
        _ => TypeName::Other,
    }
}
