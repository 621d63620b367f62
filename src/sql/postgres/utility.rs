//! Statements as a whole. Those with a query in them are read here; the others are read from their
//! tokens, as the first reading reads them, and must be what PostgreSQL's grammar says they are.

use pg_raw_parse::list::NodeList;
use pg_raw_parse::raw::{
    DiscardMode, ObjectType, TransactionStmtKind as Kind, VariableSetKind as Setting,
};
use pg_raw_parse::{ConstValue, Node, nodes};

use super::places::texts;
use super::{Counts, Lowered, Lowering};
use crate::sql::model::{Block, Grouping, Item, Name, Query};
use crate::sql::statement::{
    CopyFrom, Operand, Statement, StatementBody, TransactionControl, Utility, Wrapper,
    statement as by_tokens,
};
use crate::sql::token::Lexeme;
use crate::sql::{NotUnderstood, Span};

/// CURSOR … WITH HOLD (`CURSOR_OPT_HOLD`, parsenodes.h).
const HOLD: i32 = 0x0020;

/// One statement of a text.
pub(super) fn statement(node: Node<'_>, lexemes: &[Lexeme], span: Span) -> Lowered<Statement> {
    let mut lowering = Lowering::new(lexemes, span);
    let Some(body) = lowering.whole(node)? else {
        let read = by_tokens(lexemes)?;
        if fits(&read.body, node) {
            return Ok(read);
        }
        return Err(NotUnderstood::new("PostgreSQL sees a statement of another kind", span));
    };
    Ok(Statement { span, body, unaccounted: lowering.places.unaccounted() })
}

impl Lowering<'_> {
    /// The body of a statement that is a query or has one in it; `None` for any other.
    fn whole(&mut self, node: Node<'_>) -> Lowered<Option<StatementBody>> {
        Ok(Some(match node {
            Node::SelectStmt(select) if select.into_clause().is_some() => {
                self.may_select_into = true;
                self.wrapped(Wrapper::TableAs, node)?
            }
            Node::SelectStmt(_)
            | Node::InsertStmt(_)
            | Node::UpdateStmt(_)
            | Node::DeleteStmt(_)
            | Node::MergeStmt(_) => StatementBody::Query(self.counted(node)?),
            Node::ExplainStmt(explain) => StatementBody::Explain {
                costs_off: costs_off(explain),
                statement: self.explained(explain.query())?,
            },
            Node::PrepareStmt(prepare) => {
                let name = self.own_name(prepare.name())?;
                let types = prepare
                    .argtypes()
                    .iter()
                    .map(|name| self.parameter_type(name))
                    .collect::<Lowered<_>>()?;
                StatementBody::Prepare { name, types, statement: self.inner(prepare.query())? }
            }
            Node::DeclareCursorStmt(declare) => {
                let name = self.own_name(declare.portalname())?;
                let hold = declare.options & HOLD != 0;
                StatementBody::Declare { name, hold, statement: self.inner(declare.query())? }
            }
            Node::CopyStmt(copy)
                if copy.relation().is_none()
                    && !copy.is_from
                    && !copy.is_program
                    && copy.filename().is_none() =>
            {
                self.wrapped(Wrapper::Copy, copy.query())?
            }
            Node::CreateTableAsStmt(create) => match create.objtype {
                ObjectType::OBJECT_TABLE => self.wrapped(Wrapper::TableAs, create.query())?,
                ObjectType::OBJECT_MATVIEW => self.wrapped(Wrapper::View, create.query())?,
                _ => return self.refuse("CREATE … AS of a kind that is not known"),
            },
            Node::ViewStmt(view) => self.wrapped(Wrapper::View, view.query())?,
            Node::CallStmt(call) => self.called(call)?,
            _ => return Ok(None),
        }))
    }

    fn wrapped(&mut self, wrapper: Wrapper, query: Node<'_>) -> Lowered<StatementBody> {
        Ok(StatementBody::Wrapped { wrapper, statement: self.inner(query)? })
    }

    /// CALL routine(…), as SELECT routine(…).
    fn called(&mut self, call: &nodes::CallStmt) -> Lowered<StatementBody> {
        let Some(call) = call.funccall() else {
            return self.refuse("CALL without a routine");
        };
        self.counts = Counts::default();
        let expr = self.expr(Node::FuncCall(call))?;
        self.absent(
            self.counts == Counts::of(Node::FuncCall(call)),
            "a part of PostgreSQL's parse tree is not accounted for",
        )?;
        let query = Query::of_block(Block {
            distinct_on: None,
            items: vec![Item::Expr { expr, label: None }],
            from: Vec::new(),
            filter: None,
            grouping: Grouping::None,
            having: None,
            windows: Vec::new(),
        });
        let body = StatementBody::Query(query);
        let statement = Box::new(Statement { span: self.statement, body, unaccounted: Vec::new() });
        Ok(StatementBody::Wrapped { wrapper: Wrapper::Call, statement })
    }

    /// The query or write inside another statement. What it does not account for, the statement
    /// around it answers for.
    fn inner(&mut self, node: Node<'_>) -> Lowered<Box<Statement>> {
        let body = StatementBody::Query(self.counted(node)?);
        Ok(Box::new(Statement { span: self.statement, body, unaccounted: Vec::new() }))
    }

    fn explained(&mut self, node: Node<'_>) -> Lowered<Box<Statement>> {
        match node {
            Node::ExecuteStmt(_) => {
                let start = self.places.lexemes().iter().position(|lexeme| lexeme.is("execute"));
                let inner = start.and_then(|start| self.places.take_from(start));
                let Some(inner) = inner else {
                    return self.refuse("EXPLAIN EXECUTE that is not read");
                };
                let read = by_tokens(inner)?;
                self.absent(fits(&read.body, node), "EXPLAIN of another statement")?;
                Ok(Box::new(read))
            }
            Node::DeclareCursorStmt(_) | Node::CreateTableAsStmt(_) => match self.whole(node)? {
                Some(body) => {
                    let span = self.statement;
                    Ok(Box::new(Statement { span, body, unaccounted: Vec::new() }))
                }
                None => self.refuse("EXPLAIN of a statement that is not read"),
            },
            node => self.inner(node),
        }
    }

    /// The name of a prepared statement or cursor, which names no relation.
    fn own_name(&mut self, name: Option<&str>) -> Lowered<Name> {
        let name = self.text(name)?;
        Ok(self.places.loose(name))
    }

    /// A parameter's type, by its number in pg_type (`pg_type.dat`), of those that are known.
    fn parameter_type(&mut self, name: &nodes::TypeName) -> Lowered<u32> {
        self.type_name(name)?;
        let parts: Vec<&str> = name.names().iter().filter_map(|part| part.sval()).collect();
        let known = match parts.as_slice() {
            ["pg_catalog", name] | [name] => TYPES.iter().find(|(own, _, _)| own == name),
            _ => None,
        };
        match (known, name.array_bounds().len(), name.setof) {
            (Some((_, scalar, _)), 0, false) => Ok(*scalar),
            (Some((_, _, array)), 1, false) => Ok(*array),
            (_, _, _) => self.refuse("PREPARE with parameter types that are not read"),
        }
    }
}

/// Names of the grammar, the type's number, and its array's.
const TYPES: &[(&str, u32, u32)] = &[
    ("bool", 16, 1000),
    ("int8", 20, 1016),
    ("int2", 21, 1005),
    ("int4", 23, 1007),
    ("text", 25, 1009),
    ("json", 114, 199),
    ("float4", 700, 1021),
    ("float8", 701, 1022),
    ("varchar", 1043, 1015),
    ("date", 1082, 1182),
    ("timestamp", 1114, 1115),
    ("timestamptz", 1184, 1185),
    ("numeric", 1700, 1231),
    ("uuid", 2950, 2951),
    ("jsonb", 3802, 3807),
];

/// Whether EXPLAIN leaves the row estimates out: the last COSTS decides.
fn costs_off(explain: &nodes::ExplainStmt) -> bool {
    let mut off = false;
    for option in explain.options() {
        if option.defname() == Some("costs") {
            off = match option.arg() {
                Node::Integer(number) => number.ival == 0,
                Node::Boolean(value) => !value.boolval,
                value => value.as_str().is_some_and(|text| {
                    ["off", "false", "0"].iter().any(|word| text.eq_ignore_ascii_case(word))
                }),
            };
        }
    }
    off
}

/// Whether what the tokens say is what the grammar says.
fn fits(body: &StatementBody, node: Node<'_>) -> bool {
    let named = |name: &Name, other: Option<&str>| other == Some(&*name.text);
    let maybe =
        |name: &Option<Name>, other: Option<&str>| name.as_ref().map(|name| &*name.text) == other;
    match (body, node) {
        (StatementBody::Execute { name, arguments }, Node::ExecuteStmt(execute)) => {
            named(name, execute.name()) && values_fit(arguments, execute.params())
        }
        (StatementBody::Deallocate(name), Node::DeallocateStmt(deallocate)) => {
            maybe(name, deallocate.name())
        }
        (StatementBody::Fetch(name), Node::FetchStmt(fetch)) => named(name, fetch.portalname()),
        (StatementBody::Close(name), Node::ClosePortalStmt(close)) => {
            maybe(name, close.portalname())
        }
        (StatementBody::Transaction(control), node) => transaction_fits(control, node),
        (StatementBody::Set { local, name, values }, Node::VariableSetStmt(set)) => {
            set.is_local == *local && set_fits(name, values, set)
        }
        (StatementBody::Reset(None), Node::VariableSetStmt(set)) => {
            set.kind == Setting::VAR_RESET_ALL
        }
        (StatementBody::Reset(Some(name)), Node::VariableSetStmt(set)) => {
            set.kind == Setting::VAR_RESET && same_setting(name, set)
        }
        (StatementBody::Show, Node::VariableShowStmt(_)) => true,
        (StatementBody::DiscardAll, Node::DiscardStmt(discard)) => {
            discard.target == DiscardMode::DISCARD_ALL
        }
        (StatementBody::Utility(Utility::CopyTable), Node::CopyStmt(copy)) => {
            copy.relation().is_some() && copy.filename().is_none() && !copy.is_program
        }
        (StatementBody::CopyFrom(own), Node::CopyStmt(copy)) => copy_fits(own, copy),
        (StatementBody::Utility(Utility::Plain), node) => is_plain(node),
        // Refused whatever it is.
        (StatementBody::Utility(Utility::Ddl(_) | Utility::Opaque(_) | Utility::Escape(_)), _) => {
            true
        }
        (_, _) => false,
    }
}

/// The table, the columns and every option are the same.
fn copy_fits(own: &CopyFrom, copy: &nodes::CopyStmt) -> bool {
    let table = copy.relation().and_then(|relation| relation.relname());
    let columns: Vec<&str> = own.columns.iter().map(|name| &*name.text).collect();
    let options: Vec<_> = copy.options().iter().collect();
    copy.is_from
        && !copy.is_program
        && copy.filename().is_none()
        && table == Some(&*own.table.text)
        && texts(copy.attlist()).as_deref() == Some(columns.as_slice())
        && options.len() == own.options.len()
        && own.options.iter().zip(options).all(|((name, value), option)| {
            let same = match (value, option.arg()) {
                (Some(value), Node::Integer(number)) => **value == *number.ival.to_string(),
                (Some(value), arg) => arg.as_str() == Some(&**value),
                (None, arg) => arg.as_str().is_none(),
            };
            same && option.defname() == Some(&**name)
        })
}

fn transaction_fits(control: &TransactionControl, node: Node<'_>) -> bool {
    use TransactionControl as T;
    let transaction = match node {
        Node::TransactionStmt(transaction) => transaction,
        Node::VariableSetStmt(set) => {
            return *control == T::Other
                && matches!(set.kind, Setting::VAR_SET_MULTI | Setting::VAR_RESET);
        }
        Node::ConstraintsSetStmt(_) => return *control == T::Other,
        _ => return false,
    };
    let savepoint = transaction.savepoint_name();
    match (control, transaction.kind) {
        (T::Begin, Kind::TRANS_STMT_BEGIN | Kind::TRANS_STMT_START)
        | (T::PrepareTransaction, Kind::TRANS_STMT_PREPARE)
        | (T::Other, Kind::TRANS_STMT_COMMIT_PREPARED | Kind::TRANS_STMT_ROLLBACK_PREPARED) => true,
        (T::Commit(chain), Kind::TRANS_STMT_COMMIT)
        | (T::Rollback(chain), Kind::TRANS_STMT_ROLLBACK) => *chain == transaction.chain,
        (T::Savepoint(name), Kind::TRANS_STMT_SAVEPOINT)
        | (T::Release(name), Kind::TRANS_STMT_RELEASE)
        | (T::RollbackTo(name), Kind::TRANS_STMT_ROLLBACK_TO) => savepoint == Some(&**name),
        (_, _) => false,
    }
}

/// Settings are compared without case.
fn same_setting(name: &Name, set: &nodes::VariableSetStmt) -> bool {
    set.name().is_some_and(|own| own.to_lowercase() == *name.text)
}

fn set_fits(name: &Name, values: &[Operand], set: &nodes::VariableSetStmt) -> bool {
    // Of these the values do not matter, so the tokens are not read for them.
    if matches!(&*name.text, "timezone" | "xmloption") && values.is_empty() {
        return same_setting(name, set);
    }
    match set.kind {
        Setting::VAR_SET_VALUE => same_setting(name, set) && values_fit(values, set.args()),
        Setting::VAR_SET_DEFAULT => same_setting(name, set) && values.is_empty(),
        _ => false,
    }
}

fn values_fit(values: &[Operand], nodes: &NodeList) -> bool {
    values.len() == nodes.len()
        && values.iter().zip(nodes).all(|(value, node)| value_fits(value, node))
}

fn value_fits(value: &Operand, node: Node<'_>) -> bool {
    match (value, node) {
        (value, Node::TypeCast(cast)) => value_fits(value, cast.arg()),
        (Operand::Parameter(number), Node::ParamRef(parameter)) => {
            i32::from(*number) == parameter.number
        }
        // A bare word is a column, which the server refuses there.
        (Operand::Text(text), Node::ColumnRef(column)) => {
            texts(column.fields()).as_deref() == Some([&**text].as_slice())
        }
        (Operand::Null, Node::A_Const(constant)) => constant.isnull,
        (Operand::Text(text), Node::A_Const(constant)) => match constant.val() {
            Some(ConstValue::Integer(number)) => number.to_string() == **text,
            Some(ConstValue::Float(digits)) => digits == &**text,
            Some(ConstValue::Boolean(value)) => {
                let word = if value { "true" } else { "false" };
                text.eq_ignore_ascii_case(word)
            }
            Some(ConstValue::String(own)) => own == &**text,
            Some(_) | None => false,
        },
        (_, _) => false,
    }
}

/// Utility statements that cannot run SQL or read rows into anything: what the first reading may
/// call plain.
const fn is_plain(node: Node<'_>) -> bool {
    matches!(
        node,
        Node::AlterSeqStmt(_)
            | Node::AlterTableStmt(_)
            | Node::AlterObjectSchemaStmt(_)
            | Node::CreateStatsStmt(_)
            | Node::CheckPointStmt(_)
            | Node::ClusterStmt(_)
            | Node::CommentStmt(_)
            | Node::CreateSchemaStmt(_)
            | Node::CreateSeqStmt(_)
            | Node::CreateStmt(_)
            | Node::DiscardStmt(_)
            | Node::DropStmt(_)
            | Node::GrantStmt(_)
            | Node::IndexStmt(_)
            | Node::ListenStmt(_)
            | Node::LockStmt(_)
            | Node::NotifyStmt(_)
            | Node::ReindexStmt(_)
            | Node::TruncateStmt(_)
            | Node::UnlistenStmt(_)
            | Node::VacuumStmt(_)
    )
}
