//! The guard's own questions to the server: what the settings are that it relies on. They are asked
//! between the server's ReadyForQuery and the client's, and the client sees nothing of them.

use super::message::{FromServer, Status};
use super::pipeline::Entry;
use super::refusal::{fatal, ready};
use super::tenant::Setting;
use super::{Event, Output, ServerStep, Session, gate};
use crate::analyze::{Rule, Violation};
use crate::policy::{SettingClass, cut_name};
use crate::sql::Span;

/// The setting by which a session knows that its startup packet has reached this very server
/// process, and no pooler keeps them apart.
pub const SESSION_SETTING: &str = "orgguard.session";

/// What is read back after login, beside the tenant's setting. Settings that PostgreSQL does not
/// know are NULL.
const READ_BACK: [&str; 11] = [
    SESSION_SETTING,
    "session_authorization",
    "role",
    "search_path",
    "row_security",
    "session_replication_role",
    "standard_conforming_strings",
    "client_encoding",
    "backslash_quote",
    "transform_null_equals",
    "lo_compat_privileges",
];

/// Who a session is, by its startup packet and by what lies around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The value of the tenant's setting in the startup packet.
    pub setting: Option<String>,
    /// The database role.
    pub role: String,
    /// The value that [`SESSION_SETTING`] was given; empty where none was.
    pub mark: String,
    /// Behind a pooler: settings that are set after login, for it would not hand them on.
    pub later: Vec<(String, String)>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Behind a pooler: whether the server process bears the mark of another session.
    Clean,
    /// To set what the startup packet could not.
    Set,
    /// All settings that the guard relies on.
    Login,
    /// The tenant's setting.
    Tenant,
}

/// A question of the guard's own whose answer is outstanding.
#[derive(Debug)]
pub(super) struct ReadBack {
    question: Question,
    /// The status that the client is still to be told.
    status: Status,
    row: Option<Vec<Option<String>>>,
    failed: bool,
}

impl Session {
    /// Asks for every setting that the guard relies on; behind a pooler, sets them before.
    pub(super) fn ask_at_login(&mut self, status: Status, out: &mut Output) -> ServerStep {
        if self.rules.settings.pooled {
            question(std::iter::once(SESSION_SETTING), &mut out.to_server);
            return self.ask(Question::Clean, status);
        }
        self.ask_for_all(status, out)
    }

    fn ask_for_all(&mut self, status: Status, out: &mut Output) -> ServerStep {
        let tenant = self.rules.tenant.setting.as_deref();
        question(READ_BACK.iter().copied().chain(tenant), &mut out.to_server);
        self.ask(Question::Login, status)
    }

    /// Asks for the tenant's setting; `None` where there is none, or nothing to ask.
    pub(super) fn ask_for_tenant(
        &mut self,
        status: Status,
        out: &mut Output,
    ) -> Option<ServerStep> {
        let setting = self.rules.tenant.setting.as_deref()?;
        let asks = gate::refuses(self.rules.mode)
            && status != Status::Failed
            && self.confirmed.is_unsure();
        if !asks {
            return None;
        }
        question(std::iter::once(setting), &mut out.to_server);
        Some(self.ask(Question::Tenant, status))
    }

    fn ask(&mut self, question: Question, status: Status) -> ServerStep {
        let asked = ReadBack { question, status, row: None, failed: false };
        self.pipeline.push(Entry::ReadBack(Box::new(asked)));
        ServerStep::Ask(gate::substitute())
    }

    /// Whether the server is answering a question of the guard's own.
    #[must_use]
    pub fn is_reading_back(&self) -> bool {
        matches!(self.pipeline.head(), Some(Entry::ReadBack(_)))
    }

    /// Takes a message while a question of the guard's own is outstanding.
    pub(super) fn answered(&mut self, message: &FromServer<'_>, out: &mut Output) -> ServerStep {
        let Some(Entry::ReadBack(asked)) = self.pipeline.head_mut() else {
            return ServerStep::Forward;
        };
        match message {
            FromServer::Row(body) => {
                asked.row = columns(body);
                ServerStep::Swallow
            }
            FromServer::RowDescription | FromServer::CommandComplete(_) => ServerStep::Swallow,
            FromServer::Error { .. } => {
                asked.failed = true;
                ServerStep::Swallow
            }
            FromServer::Ready(status) => self.read_back(*status, out),
            FromServer::Parameter { name, value } => match self.parameter(name, value) {
                Ok(()) => ServerStep::Forward,
                Err(reason) if self.lose(reason, out) => ServerStep::End,
                Err(_) => ServerStep::Forward,
            },
            FromServer::Other => ServerStep::Forward,
            FromServer::ParseComplete
            | FromServer::BindComplete
            | FromServer::CloseComplete
            | FromServer::ParameterDescription(_)
            | FromServer::NoData
            | FromServer::EmptyQuery
            | FromServer::PortalSuspended
            | FromServer::CopyIn
            | FromServer::CopyBoth
            | FromServer::NegotiateVersion => {
                self.lose("unexpected message of the server", out);
                ServerStep::End
            }
        }
    }

    fn read_back(&mut self, status: Status, out: &mut Output) -> ServerStep {
        let Some(Entry::ReadBack(asked)) = self.pipeline.pop() else {
            return ServerStep::End;
        };
        let ReadBack { question, status: before, row, failed } = *asked;
        if question != Question::Tenant && failed {
            let why = "orgguard: the server failed a question of the guard's own at login";
            fatal(&mut out.to_client, "08006", why, None);
            return ServerStep::End;
        }
        let row = row.unwrap_or_default();
        let unreliable = match question {
            Question::Clean if row.first().is_none_or(|mark| !is_unset(mark.as_deref())) => {
                Some(SESSION_SETTING.to_owned())
            }
            Question::Clean => {
                let later = self.identity.as_ref().map(|identity| &*identity.later);
                set(later.unwrap_or_default(), &mut out.to_server);
                return self.ask(Question::Set, status);
            }
            Question::Set => return self.ask_for_all(status, out),
            Question::Login => self.read_login(&row),
            Question::Tenant if failed => {
                // A cancel request may have met this question instead of the client's statement; the
                // tenant stays in doubt, and the question is asked again.
                self.confirmed.fail();
                self.confirmed.ready(status);
                None
            }
            Question::Tenant => self.read_tenant(row.first(), before),
        };
        if let Some(setting) = unreliable {
            self.unreliable(&setting, out);
            return ServerStep::End;
        }
        self.log_in();
        self.settle_predictions();
        ready(&mut out.to_client, status);
        ServerStep::Swallow
    }

    /// Holds what the server has against what the guard relies on; the setting that it cannot.
    fn read_login(&mut self, row: &[Option<String>]) -> Option<String> {
        for (at, name) in READ_BACK.iter().enumerate() {
            let value = row.get(at).and_then(Option::as_deref);
            if !self.is_reliable(name, value) {
                return Some((*name).to_owned());
            }
        }
        if self.rules.tenant.setting.is_some() {
            let value = row.get(READ_BACK.len()).and_then(Option::as_deref).unwrap_or_default();
            let startup = Setting::read(value, self.rules.tenant_type);
            let scope = self.confirmed.restarted(startup);
            self.confirmed = scope.clone();
            self.predicted = scope;
        }
        None
    }

    fn is_reliable(&self, name: &str, value: Option<&str>) -> bool {
        let Some(value) = value else {
            return !matches!(name, SESSION_SETTING | "session_authorization" | "search_path");
        };
        let identity = self.identity.as_ref();
        match name {
            SESSION_SETTING => identity.is_some_and(|identity| value == identity.mark),
            "session_authorization" => {
                identity.is_some_and(|identity| value == cut_name(&identity.role))
            }
            "role" => value == "none",
            "session_replication_role" => value == "origin",
            "lo_compat_privileges" => value == "off",
            _ => self.rules.settings.class(name, &[value]) == SettingClass::PinnedHolds,
        }
    }

    fn read_tenant(&mut self, value: Option<&Option<String>>, status: Status) -> Option<String> {
        let rules = &self.rules.tenant;
        let value = value.and_then(Option::as_deref).unwrap_or_default();
        let value = Setting::read(value, self.rules.tenant_type);
        let allowed = self.confirmed.learn(&value, status, rules.rebinding);
        (!allowed).then(|| rules.setting.as_deref().unwrap_or_default().to_owned())
    }

    /// Ends the session: the server has a setting on which no verdict can rest.
    fn unreliable(&self, setting: &str, out: &mut Output) {
        out.events.push(Event::Violation {
            text: None,
            mode: self.rules.mode,
            exemption: None,
            violation: Violation {
                rule: Rule::SessionEscape,
                table: Some(setting.into()),
                span: Span::default(),
                detail: "the server has another value than the guard relies on".into(),
                hint: "".into(),
            },
        });
        let hint = match setting {
            SESSION_SETTING if self.rules.settings.pooled => {
                "the pooler must give each session a server process of its own, and reset it between: \
                 pool_mode = session, server_reset_query = DISCARD ALL"
            }
            SESSION_SETTING => {
                "the startup packet did not reach the server as it was sent: connect the guard to \
                 the server itself, not to a pooler"
            }
            "search_path" => {
                "it comes from the role, the database or the server's configuration: change it \
                 there, or name its schemas under [session] search_path"
            }
            _ => {
                "a routine has changed it, or it comes from the role, the database or the server's \
                 configuration"
            }
        };
        let message = format!("orgguard: \"{setting}\" has a value that the guard cannot rely on");
        fatal(&mut out.to_client, "42501", &message, Some(hint));
    }
}

/// A simple query for the values of settings. Names are constants, or from the configuration, which
/// takes no quotes in them.
fn question<'a>(names: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    let calls: Vec<String> =
        names.map(|name| format!("pg_catalog.current_setting('{name}', true)")).collect();
    query(&calls, out);
}

/// A simple query that gives settings values for the session. Names and values are a client's: they
/// are written as hexadecimal digits, which no encoding and no setting reads otherwise.
fn set(settings: &[(String, String)], out: &mut Vec<u8>) {
    let literal = |text: &String| {
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("pg_catalog.convert_from(pg_catalog.decode('{digits}', 'hex'), 'UTF8')")
    };
    let one = |(name, value): &(String, String)| {
        format!("pg_catalog.set_config({}, {}, false)", literal(name), literal(value))
    };
    let calls: Vec<String> = settings.iter().map(one).collect();
    query(&calls, out);
}

/// Whether a setting has no value, or the empty one that a custom setting keeps after a reset.
fn is_unset(value: Option<&str>) -> bool {
    value.is_none_or(str::is_empty)
}

/// A simple query for the values of these expressions.
fn query(expressions: &[String], out: &mut Vec<u8>) {
    let text = format!("SELECT {}\0", expressions.join(", "));
    out.push(b'Q');
    let length = u32::try_from(text.len().saturating_add(4)).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The values of a DataRow (PostgreSQL documentation, 55.7); `None` if it is malformed.
fn columns(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let count = usize::from(u16::from_be_bytes(*count));
    let mut values = Vec::with_capacity(count.min(READ_BACK.len()));
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length);
        if length == u32::MAX {
            values.push(None);
            rest = after;
            continue;
        }
        let (value, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        values.push(Some(std::str::from_utf8(value).ok()?.to_owned()));
        rest = after;
    }
    rest.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_whole_or_not_at_all() {
        let row = b"\0\x02\0\0\0\x02on\xff\xff\xff\xff";
        assert_eq!(columns(row), Some(vec![Some("on".to_owned()), None]));
        for end in 0..row.len() {
            assert_eq!(columns(&row[..end]), None, "{end}");
        }
        assert_eq!(columns(b"\0\x01\0\0\0\x01\xff"), None);
        assert_eq!(columns(b"\0\0more"), None);
    }

    #[test]
    fn a_question_is_one_simple_query() {
        let mut bytes = Vec::new();
        question(["role", "app.organization_id"].into_iter(), &mut bytes);
        let text = "SELECT pg_catalog.current_setting('role', true), \
                    pg_catalog.current_setting('app.organization_id', true)\0";
        assert_eq!(bytes[5..], *text.as_bytes());
        assert_eq!(bytes[1..5], u32::to_be_bytes(text.len() as u32 + 4));
    }
}
