//! The startup packet (PostgreSQL documentation, 55.7, StartupMessage): read, judged, and built
//! anew for the server.

use std::collections::HashSet;

use super::options;
use crate::policy::{SettingClass, Settings};
use crate::session::SESSION_SETTING;

/// The major version 3 in the high half of the version number.
const MAJOR: u32 = 3;

/// Settings that are always told to the server, since verdicts rest on them. Those that only a
/// superuser may set are read back after login, and so is search_path, which has no one value.
const PINS: [(&str, &str); 5] = [
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("row_security", "on"),
    ("backslash_quote", "safe_encoding"),
    ("transform_null_equals", "off"),
];

/// What PgBouncer keeps for each of its clients, and hands on to whatever server process it uses.
const TRACKED: [&str; 5] =
    ["application_name", "client_encoding", "datestyle", "standard_conforming_strings", "timezone"];

/// What the server is told in place of a client's startup packet.
#[derive(Debug)]
pub(super) struct Built {
    /// The packet.
    pub(super) packet: Vec<u8>,
    /// Behind a pooler: settings that are set after login.
    pub(super) later: Vec<(String, String)>,
}

impl Built {
    /// Whether the server is told a value of this setting.
    pub(super) fn sets(&self, name: &str) -> bool {
        let later = self.later.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        later || Startup::read(self.packet.clone()).setting(name).is_some()
    }
}

/// A startup packet as the client sent it.
#[derive(Debug)]
pub(super) struct Startup {
    /// The packet itself, length included.
    pub(super) raw: Vec<u8>,
    version: u32,
    parameters: Vec<(String, String)>,
    /// Why it is no packet the guard can read.
    malformed: Option<&'static str>,
}

/// Why the guard does not let a startup packet through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unwelcome {
    /// SQLSTATE.
    pub(super) code: &'static str,
    /// What is wrong.
    pub(super) message: String,
    /// The parameter concerned, if there is one.
    pub(super) parameter: Option<String>,
}

impl Unwelcome {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), parameter: None }
    }

    /// A setting that the role or the database comes with.
    pub(super) fn setting(name: &str) -> Self {
        Self {
            code: "42501",
            message: format!(
                "orgguard: ALTER ROLE or ALTER DATABASE gives \"{name}\" a value that the guard \
                 does not rely on"
            ),
            parameter: Some(name.to_owned()),
        }
    }

    pub(super) fn parameter(name: &str, why: &str) -> Self {
        Self {
            code: "42501",
            message: format!("orgguard: startup parameter \"{name}\" {why}"),
            parameter: Some(name.to_owned()),
        }
    }
}

impl Startup {
    /// Reads a packet whose length has been judged; `raw` starts with that length.
    pub(super) fn read(raw: Vec<u8>) -> Self {
        let version = raw.get(4..).and_then(|rest| rest.first_chunk::<4>());
        let version = version.map_or(0, |version| u32::from_be_bytes(*version));
        let mut parameters = Vec::new();
        let malformed = read_parameters(raw.get(8..).unwrap_or_default(), &mut parameters).err();
        Self { raw, version, parameters, malformed }
    }

    /// The last value of a parameter, as the server takes it; names are compared as it does.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().rev();
        found.find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    /// The database, which is named like the role unless the packet says otherwise; an empty name
    /// says nothing (`postmaster.c`, `ProcessStartupPacket`).
    pub(super) fn database(&self) -> &str {
        let named = self.parameter("database").filter(|name| !name.is_empty());
        named.or_else(|| self.parameter("user")).unwrap_or_default()
    }

    /// The last value of a setting, given as a parameter or in `options`.
    pub(super) fn setting(&self, name: &str) -> Option<String> {
        let settings = options::read(self.parameter("options").unwrap_or_default());
        let settings = settings.unwrap_or_default();
        let direct = self.parameters.iter().rev();
        direct
            .chain(settings.iter().rev())
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// The packet for the server, with nothing in it that the settings do not let through, and
    /// with a mark by which the session knows its server process again.
    ///
    /// # Errors
    /// What is not let through.
    pub(super) fn build(&self, settings: &Settings, mark: &str) -> Result<Built, Unwelcome> {
        if self.version >> 16 != MAJOR {
            return Err(Unwelcome::new("0A000", "unsupported frontend protocol"));
        }
        if let Some(malformed) = self.malformed {
            return Err(Unwelcome::new("08P01", malformed));
        }
        let options = options::read(self.parameter("options").unwrap_or_default());
        let options =
            options.map_err(|()| Unwelcome::parameter("options", "holds more than settings"))?;
        let mut seen = HashSet::new();
        let mut built = Vec::with_capacity(self.parameters.len());
        for (name, value) in &self.parameters {
            match name.as_str() {
                // The server knows these by their exact names.
                "user" | "database" => add(&mut seen, &mut built, name, value)?,
                "replication" => return Err(Unwelcome::parameter(name, "is not let through")),
                "options" => {
                    if !seen.insert("options".to_owned()) {
                        return Err(Unwelcome::parameter(name, "is given twice"));
                    }
                    for (name, value) in &options {
                        admit(settings, name, value)?;
                        add(&mut seen, &mut built, name, value)?;
                    }
                }
                _ => {
                    admit(settings, name, value)?;
                    add(&mut seen, &mut built, name, value)?;
                }
            }
        }
        if self.parameter("user").is_none_or(str::is_empty) {
            let message = "no PostgreSQL user name specified in startup packet";
            return Err(Unwelcome::new("28000", message));
        }
        for (name, value) in PINS.into_iter().chain([(SESSION_SETTING, mark)]) {
            if seen.insert(name.to_owned()) {
                built.push((name, value));
            }
        }
        let in_packet = |(name, _): &(&str, &str)| {
            matches!(*name, "user" | "database")
                || TRACKED.iter().any(|own| own.eq_ignore_ascii_case(name))
        };
        let (now, later): (Vec<_>, Vec<_>) =
            built.into_iter().partition(|setting| !settings.pooled || in_packet(setting));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let later = later.into_iter().map(owned).collect();
        Ok(Built { packet: packet(self.version, &now), later })
    }
}

fn read_parameters(
    mut rest: &[u8],
    parameters: &mut Vec<(String, String)>,
) -> Result<(), &'static str> {
    const MALFORMED: &str = "invalid startup packet layout: expected terminator as last byte";
    let mut text = || -> Result<String, &'static str> {
        let end = rest.iter().position(|byte| *byte == 0).ok_or(MALFORMED)?;
        let (text, after) = rest.split_at_checked(end).ok_or(MALFORMED)?;
        rest = after.get(1..).unwrap_or_default();
        String::from_utf8(text.to_vec()).map_err(|_| "a startup parameter is not UTF-8")
    };
    loop {
        let name = text()?;
        if name.is_empty() {
            break;
        }
        let value = text()?;
        parameters.push((name, value));
    }
    if rest.is_empty() { Ok(()) } else { Err(MALFORMED) }
}

fn admit(settings: &Settings, name: &str, value: &str) -> Result<(), Unwelcome> {
    if name.eq_ignore_ascii_case(SESSION_SETTING) {
        return Err(Unwelcome::parameter(name, "is the guard's own"));
    }
    if name.starts_with("_pq_.") {
        return Err(Unwelcome::parameter(name, "is a protocol option, and none is let through"));
    }
    match settings.class(name, &[value]) {
        SettingClass::Harmless | SettingClass::PinnedHolds => Ok(()),
        SettingClass::PinnedBroken => {
            Err(Unwelcome::parameter(name, "is a setting that the guard relies on"))
        }
        SettingClass::Unknown => Err(Unwelcome::parameter(name, "is not let through")),
    }
}

fn add<'a>(
    seen: &mut HashSet<String>,
    built: &mut Vec<(&'a str, &'a str)>,
    name: &'a str,
    value: &'a str,
) -> Result<(), Unwelcome> {
    if !seen.insert(name.to_ascii_lowercase()) {
        return Err(Unwelcome::parameter(name, "is given twice"));
    }
    built.push((name, value));
    Ok(())
}

fn packet(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = vec![0; 4];
    packet.extend_from_slice(&version.to_be_bytes());
    for (name, value) in parameters {
        for text in [name, value] {
            packet.extend_from_slice(text.as_bytes());
            packet.push(0);
        }
    }
    packet.push(0);
    let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
    if let Some(place) = packet.first_chunk_mut::<4>() {
        *place = length.to_be_bytes();
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(version: u32, parameters: &[(&str, &str)]) -> Startup {
        Startup::read(packet(version, parameters))
    }

    fn build(parameters: &[(&str, &str)]) -> Result<Vec<(String, String)>, Unwelcome> {
        let mut all = vec![("user", "app")];
        all.extend_from_slice(parameters);
        let built = startup(0x3_0000, &all).build(&Settings::default(), "mark")?;
        Ok(Startup::read(built.packet).parameters)
    }

    #[test]
    fn the_server_gets_the_pins_and_what_is_harmless() {
        let built = build(&[("database", "shop"), ("application_name", "web")]).unwrap();
        let expected = [
            ("user", "app"),
            ("database", "shop"),
            ("application_name", "web"),
            ("client_encoding", "UTF8"),
            ("standard_conforming_strings", "on"),
            ("row_security", "on"),
            ("backslash_quote", "safe_encoding"),
            ("transform_null_equals", "off"),
            ("orgguard.session", "mark"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(built, expected);
    }

    #[test]
    fn what_a_pooler_would_not_hand_on_comes_later() {
        let packet = [("user", "app"), ("TimeZone", "UTC"), ("app.organization_id", "7")];
        let settings = Settings { pooled: true, ..Settings::default() };
        let built = startup(0x3_0000, &packet).build(&settings, "mark").unwrap();
        assert!(built.sets("row_security") && built.sets("timezone") && !built.sets("search_path"));
        let now = Startup::read(built.packet).parameters;
        let now: Vec<&str> = now.iter().map(|(name, _)| &**name).collect();
        assert_eq!(now, ["user", "TimeZone", "client_encoding", "standard_conforming_strings"]);
        let later: Vec<&str> = built.later.iter().map(|(name, _)| &**name).collect();
        let settings = ["row_security", "backslash_quote", "transform_null_equals"];
        let expected = [&["app.organization_id"], &settings[..], &["orgguard.session"]].concat();
        assert_eq!(later, expected);
    }

    #[test]
    fn options_become_parameters() {
        let built = build(&[("options", "-c app.organization_id=7 --statement-timeout=5s")]);
        let built = built.unwrap();
        assert!(built.contains(&("app.organization_id".into(), "7".into())), "{built:?}");
        assert!(built.contains(&("statement_timeout".into(), "5s".into())), "{built:?}");
        assert!(built.iter().all(|(name, _)| name != "options"), "{built:?}");
    }

    #[test]
    fn what_is_not_let_through() {
        for parameters in [
            &[("user", "postgres")][..],
            &[("replication", "database")],
            &[("search_path", "evil")],
            &[("role", "postgres")],
            &[("client_encoding", "SJIS")],
            &[("standard_conforming_strings", "off")],
            &[("options", "-c session_replication_role=replica")],
            &[("options", "-c datestyle=iso"), ("options", "-c datestyle=iso")],
            &[("DateStyle", "ISO"), ("datestyle", "German")],
            &[("options", "-c datestyle=iso"), ("DateStyle", "ISO")],
            &[("options", "-d 5")],
            &[("local_preload_libraries", "x")],
            &[("_pq_.command_progress", "1")],
            &[("orgguard.session", "mine")],
            &[("options", "-c OrgGuard.Session=mine")],
            &[("User", "postgres")],
        ] {
            build(parameters).unwrap_err();
        }
    }

    #[test]
    fn versions_and_layout() {
        let settings = Settings::default();
        let user = [("user", "app")];
        startup(0x3_0000, &user).build(&settings, "mark").unwrap();
        startup(0x3_0002, &user).build(&settings, "mark").unwrap();
        assert_eq!(startup(0x2_0000, &user).build(&settings, "mark").unwrap_err().code, "0A000");
        assert_eq!(startup(0x3_0000, &[]).build(&settings, "mark").unwrap_err().code, "28000");
        for end in 8..packet(0x3_0000, &user).len() {
            let cut = Startup::read(packet(0x3_0000, &user)[..end].to_vec());
            assert_eq!(cut.build(&settings, "mark").unwrap_err().code, "08P01", "{end}");
        }
    }

    #[test]
    fn the_last_value_of_a_setting_is_the_one_in_force() {
        let startup = startup(
            0x3_0000,
            &[("user", "app"), ("options", "-c app.organization_id=1 -c App.Organization_ID=2")],
        );
        assert_eq!(startup.setting("app.organization_id"), Some("2".to_owned()));
    }
}
