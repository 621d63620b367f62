//! Operands against the session's tenant.

use super::arguments::{Argument, Arguments, Form};
use super::array::{binary_elements, text_elements};
use super::graph::{Cast, Length, Named, Operand, OperandId};
use super::judge;
use super::plan::{Owed, SessionTenant, StatementPlan};
use super::solve::Truth;
use super::verdict::{Advice, Verdict};
use crate::tenant::{Tenant, TenantType, Uuid};

/// Every operand is taken for the tenant: what the structure alone can prove.
pub(super) struct Structure;

impl Truth for Structure {
    fn matches(&self, _: OperandId) -> bool {
        true
    }

    fn is_tenant(&self, _: OperandId) -> bool {
        true
    }
}

/// Operands compared with one tenant.
pub(super) struct Compared<'a> {
    pub(super) operands: &'a [Operand],
    pub(super) tenant_type: TenantType,
    pub(super) tenant: &'a Tenant,
    pub(super) arguments: Arguments<'a>,
}

/// What an operand's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Null,
    /// Not known, and allowed to be anything.
    Free,
    /// A value that is no tenant, or that cannot be read.
    Foreign,
    Tenant(Tenant),
}

impl Truth for Compared<'_> {
    fn matches(&self, operand: OperandId) -> bool {
        self.operands.get(operand).is_some_and(|operand| self.compare(operand, true))
    }

    fn is_tenant(&self, operand: OperandId) -> bool {
        self.operands.get(operand).is_some_and(|operand| self.compare(operand, false))
    }
}

impl Compared<'_> {
    fn compare(&self, operand: &Operand, null_matches: bool) -> bool {
        match operand {
            Operand::NotNull(inner) => self.compare(inner, false),
            Operand::All(operands) => {
                operands.iter().all(|operand| self.compare(operand, null_matches))
            }
            Operand::Constant(named) => named.tenant.as_ref() == Some(self.tenant),
            Operand::Null => null_matches,
            Operand::Setting => true,
            Operand::Parameter { number, cast } => {
                let value = parameter(*number, *cast, self.tenant_type, self.arguments);
                self.is_own(&value, null_matches)
            }
            Operand::Elements { number, cast } => {
                let values = array_parameter(*number, *cast, self.tenant_type, self.arguments);
                values.iter().all(|value| self.is_own(value, null_matches))
            }
            Operand::Unnested { array, beside } => {
                self.compare(array, null_matches)
                    && (null_matches || self.is_longest(array, beside))
            }
        }
    }

    /// Whether no array beside this one has more elements, so that no NULL stands for what it lacks.
    fn is_longest(&self, array: &Operand, beside: &[Length]) -> bool {
        let own = match array {
            Operand::All(elements) => Length::Known(elements.len()),
            Operand::Elements { number, cast: _ } => Length::Parameter(*number),
            Operand::Constant(_)
            | Operand::Null
            | Operand::Parameter { .. }
            | Operand::Setting
            | Operand::NotNull(_)
            | Operand::Unnested { .. } => Length::Unknown,
        };
        // Before Bind any length is possible.
        let own = length(own, self.arguments);
        beside.iter().all(|other| match (own, length(*other, self.arguments)) {
            (Some(own), Some(other)) => own.zip(other).is_none_or(|(own, other)| own >= other),
            (_, _) => false,
        })
    }

    fn is_own(&self, value: &Value, null_matches: bool) -> bool {
        match value {
            Value::Null => null_matches,
            Value::Free => true,
            Value::Foreign => false,
            Value::Tenant(tenant) => tenant == self.tenant,
        }
    }
}

impl StatementPlan {
    /// Compares the plan's operands with the tenant.
    #[must_use]
    pub fn settle(&self, tenant: SessionTenant<'_>, arguments: Arguments<'_>) -> Verdict {
        match (tenant, arguments) {
            (SessionTenant::Any, Arguments::Unknown) => {
                self.unbound.get(|| self.compare(tenant, arguments)).clone()
            }
            (SessionTenant::Known(own), _) if self.sole_tenant() == Some(own) => {
                let verdict = Verdict::default();
                debug_assert_eq!(verdict, self.compare(tenant, arguments), "it is not its own");
                verdict
            }
            (_, _) => self.compare(tenant, arguments),
        }
    }

    /// Kept with the plan, so that most texts with their values in them are settled by a look at
    /// one place.
    pub(super) fn sole_tenant(&self) -> Option<&Tenant> {
        let find = || {
            let Owed { graph: _, violations, advice, provable: _, shortcut } = &*self.owed;
            let quiet = violations.is_empty() && advice.is_empty() && self.copy.is_none();
            let shortcut = shortcut.as_ref().filter(|_| quiet)?;
            shortcut.sole_tenant(self.operands()).cloned()
        };
        self.sole.get(find).as_ref()
    }

    fn compare(&self, tenant: SessionTenant<'_>, arguments: Arguments<'_>) -> Verdict {
        let Owed { graph, violations, advice, provable, shortcut: _ } = &*self.owed;
        let mut verdict = Verdict::default();
        verdict.violations.extend_from_slice(violations);
        verdict.advice.extend_from_slice(advice);
        if !graph.obligations.is_empty() {
            let of = (graph, self.operands());
            let judge = || judge::judge(of, provable, self.tenant_type, tenant, arguments);
            let judged = match self.take_shortcut(tenant, arguments) {
                Some(advice) => {
                    let judged = Verdict { violations: Vec::new(), advice };
                    debug_assert_eq!(judged, judge(), "the shortcut leads elsewhere");
                    judged
                }
                None => judge(),
            };
            verdict.violations.extend(judged.violations);
            verdict.advice.extend(judged.advice);
        }
        if let Some(moved) = &self.moved {
            moved.place(&mut verdict);
        }
        // At Parse, the tenant may still come.
        if let (Some(copy), Arguments::Values(_)) = (&self.copy, arguments) {
            verdict.violations.extend(copy.settle(tenant));
        }
        verdict.violations.sort_by_key(|violation| violation.span.start);
        verdict
    }

    /// The advice of a statement that holds by what is enough.
    fn take_shortcut(
        &self,
        tenant: SessionTenant<'_>,
        arguments: Arguments<'_>,
    ) -> Option<Vec<Advice>> {
        let (Some(shortcut), SessionTenant::Known(tenant)) = (&self.owed.shortcut, tenant) else {
            return None;
        };
        let (operands, tenant_type) = (self.operands(), self.tenant_type);
        let truth = Compared { operands, tenant_type, tenant, arguments };
        let holds = shortcut.operands.iter().all(|operand| truth.is_tenant(*operand));
        holds.then(|| shortcut.advice.clone())
    }
}

/// Every tenant that some operand names.
pub(super) fn candidates(
    operands: &[Operand],
    tenant_type: TenantType,
    arguments: Arguments<'_>,
) -> Vec<Tenant> {
    let mut found = Vec::new();
    for operand in operands {
        for value in values(operand, tenant_type, arguments) {
            if let Value::Tenant(tenant) = value
                && !found.contains(&tenant)
                && found.len() < 64
            {
                found.push(tenant);
            }
        }
    }
    found
}

fn values(operand: &Operand, tenant_type: TenantType, arguments: Arguments<'_>) -> Vec<Value> {
    match operand {
        Operand::Constant(Named { tenant, slot: _ }) => {
            vec![tenant.clone().map_or(Value::Foreign, Value::Tenant)]
        }
        Operand::Null => vec![Value::Null],
        Operand::Setting => vec![Value::Free],
        Operand::NotNull(inner) => values(inner, tenant_type, arguments),
        Operand::All(operands) => {
            operands.iter().flat_map(|operand| values(operand, tenant_type, arguments)).collect()
        }
        Operand::Parameter { number, cast } => {
            vec![parameter(*number, *cast, tenant_type, arguments)]
        }
        Operand::Elements { number, cast } => {
            array_parameter(*number, *cast, tenant_type, arguments)
        }
        // All of them have to be the same tenant: one tells which.
        Operand::Unnested { array, beside: _ } => {
            values(array, tenant_type, arguments).into_iter().take(1).collect()
        }
    }
}

/// The outer `None`: it cannot be told; the inner one: nothing is bound yet.
fn length(length: Length, arguments: Arguments<'_>) -> Option<Option<usize>> {
    match length {
        Length::Known(length) => Some(Some(length)),
        Length::Unknown => None,
        Length::Parameter(number) => match argument(number, arguments) {
            None => Some(None),
            Some(argument) => argument.and_then(|argument| element_count(argument)).map(Some),
        },
    }
}

fn element_count(argument: &Argument<'_>) -> Option<usize> {
    if !ARRAYS.contains(&argument.type_oid) {
        return None;
    }
    match argument.form {
        Form::Null => Some(0),
        Form::Unknown => None,
        Form::Text(bytes) => {
            text_elements(std::str::from_utf8(bytes).ok()?).map(|elements| elements.len())
        }
        Form::Binary(bytes) => binary_elements(bytes).map(|(_, elements)| elements.len()),
    }
}

fn parameter(number: u16, cast: Cast, tenant_type: TenantType, arguments: Arguments<'_>) -> Value {
    match argument(number, arguments) {
        None => Value::Free,
        Some(None) => Value::Foreign,
        Some(Some(argument)) => scalar(argument, tenant_type, cast),
    }
}

fn array_parameter(
    number: u16,
    cast: Cast,
    tenant_type: TenantType,
    arguments: Arguments<'_>,
) -> Vec<Value> {
    match argument(number, arguments) {
        None => vec![Value::Free],
        Some(None) => vec![Value::Foreign],
        Some(Some(argument)) => {
            elements(argument, tenant_type, cast).unwrap_or_else(|| vec![Value::Foreign])
        }
    }
}

/// The outer `None`: nothing is bound yet; the inner one: no value has this number.
fn argument<'a>(number: u16, arguments: Arguments<'a>) -> Option<Option<&'a Argument<'a>>> {
    match arguments {
        Arguments::Unknown => None,
        Arguments::Values(values) => {
            let index = usize::from(number).checked_sub(1);
            Some(index.and_then(|index| values.get(index)))
        }
    }
}

// Type numbers of pg_type (PostgreSQL source, pg_type.dat).
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const UNKNOWN: u32 = 705;
const VARCHAR: u32 = 1043;
const UUID: u32 = 2950;
/// Arrays of the types that a cast is known by, and a type that is not told: a cast to an array of
/// such a type keeps their number of elements, which that of somebody's own type need not.
const ARRAYS: [u32; 14] =
    [0, 199, 1000, 1005, 1007, 1009, 1015, 1016, 1022, 1182, 1185, 1231, 2951, 3807];

/// Whether a parameter of this declared type is compared by the tenant type's own equality, or
/// cast to it from text without loss.
fn is_comparable(type_oid: u32, tenant_type: TenantType, cast: Cast) -> bool {
    let own = match tenant_type {
        TenantType::Bigint => matches!(type_oid, INT2 | INT4 | INT8),
        TenantType::Text => matches!(type_oid, TEXT | VARCHAR),
        TenantType::Uuid => type_oid == UUID,
    };
    let text = matches!(type_oid, TEXT | VARCHAR);
    let unknown = matches!(type_oid, 0 | UNKNOWN);
    match cast {
        Cast::None => own || unknown,
        Cast::Own => own || unknown || text,
        Cast::ViaText => unknown || text,
    }
}

fn scalar(argument: &Argument<'_>, tenant_type: TenantType, cast: Cast) -> Value {
    if !is_comparable(argument.type_oid, tenant_type, cast) {
        return Value::Foreign;
    }
    match argument.form {
        Form::Null => Value::Null,
        Form::Unknown => Value::Foreign,
        Form::Text(bytes) => text(bytes, tenant_type),
        // What is cast to text has the text for its binary form.
        Form::Binary(bytes) if cast == Cast::ViaText => text(bytes, tenant_type),
        Form::Binary(bytes) => binary(bytes, argument.type_oid, tenant_type),
    }
}

fn text(bytes: &[u8], tenant_type: TenantType) -> Value {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| tenant_type.parse(text))
        .map_or(Value::Foreign, Value::Tenant)
}

/// The binary form of a value whose type is declared, or of one that has a single meaning whatever
/// its type is: 16 bytes are no text that a cast to uuid would take.
fn binary(bytes: &[u8], type_oid: u32, tenant_type: TenantType) -> Value {
    if matches!(type_oid, TEXT | VARCHAR) {
        return text(bytes, tenant_type);
    }
    let value = match tenant_type {
        TenantType::Uuid => {
            bytes.try_into().ok().map(|bytes| Tenant::Uuid(Uuid::from_bytes(bytes)))
        }
        TenantType::Text => return text(bytes, tenant_type),
        TenantType::Bigint => match type_oid {
            INT8 => bytes.try_into().ok().map(i64::from_be_bytes),
            INT4 => bytes.try_into().ok().map(|bytes| i64::from(i32::from_be_bytes(bytes))),
            INT2 => bytes.try_into().ok().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
            _ => None,
        }
        .map(Tenant::Bigint),
    };
    value.map_or(Value::Foreign, Value::Tenant)
}

fn elements(argument: &Argument<'_>, tenant_type: TenantType, cast: Cast) -> Option<Vec<Value>> {
    let element_type = match argument.type_oid {
        0 => 0,
        1005 => INT2,
        1007 => INT4,
        1009 => TEXT,
        1015 => VARCHAR,
        1016 => INT8,
        2951 => UUID,
        _ => return None,
    };
    if !is_comparable(element_type, tenant_type, cast) {
        return None;
    }
    match argument.form {
        Form::Null => Some(vec![Value::Null]),
        Form::Unknown => None,
        Form::Text(bytes) => {
            let elements = text_elements(std::str::from_utf8(bytes).ok()?)?;
            let value = |element: Option<String>| match element {
                None => Value::Null,
                Some(element) => text(element.as_bytes(), tenant_type),
            };
            Some(elements.into_iter().map(value).collect())
        }
        Form::Binary(bytes) => {
            let (own_type, elements) = binary_elements(bytes)?;
            if !is_comparable(own_type, tenant_type, cast) || own_type == 0 {
                return None;
            }
            let value = |element: Option<&[u8]>| {
                element.map_or(Value::Null, |e| binary(e, own_type, tenant_type))
            };
            Some(elements.into_iter().map(value).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_a_bound_array() {
        let count = |type_oid, form| element_count(&Argument { type_oid, form });
        let mut bytes = Vec::new();
        for word in [1_u32, 0, TEXT, 2, 1, 1] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.push(b'x');
        bytes.extend(u32::MAX.to_be_bytes());
        assert_eq!(count(1009, Form::Binary(&bytes)), Some(2));
        assert_eq!(count(1009, Form::Text(b"{x,NULL,\"a,b\"}")), Some(3));
        assert_eq!(count(0, Form::Text(b"{}")), Some(0));
        assert_eq!(count(1009, Form::Null), Some(0));
        assert_eq!(count(1009, Form::Unknown), None);
        assert_eq!(count(1009, Form::Text(b"{{x},{y}}")), None, "two dimensions");
        assert_eq!(
            count(60_000, Form::Text(b"{x}")),
            None,
            "somebody's type, with a cast of its own"
        );
    }
}
