use std::sync::Arc;

use super::conversation::Conversation;
use super::startup::Startup;
use crate::policy::Settings;
use crate::session::{Client, Event, Identity, Planner, Session, SessionRules};

/// One session without sockets: bytes in, bytes out. What fuzz targets and tests drive; the relay
/// does the same between two sockets.
#[derive(Debug)]
pub struct Exchange {
    conversation: Conversation,
}

impl Exchange {
    /// A session before its login. `tenant` is the value of the tenant's setting in the startup
    /// packet, `message_bytes` the largest message of the client.
    #[must_use]
    pub fn new(rules: Arc<SessionRules>, tenant: Option<&str>, message_bytes: usize) -> Self {
        let mode = rules.mode;
        let identity = Identity { setting: tenant.map(str::to_owned), ..Identity::default() };
        let session = Session::new(rules, identity, &Client::default());
        Self { conversation: Conversation::new(session, mode, message_bytes) }
    }

    /// Takes bytes of the client. While [`Exchange::is_waiting`], the relay reads none.
    pub fn client(&mut self, bytes: &[u8], planner: &dyn Planner) {
        self.conversation.client_bytes(bytes, planner);
    }

    /// Takes bytes of the server.
    pub fn server(&mut self, bytes: &[u8], planner: &dyn Planner) {
        self.conversation.server_bytes(bytes, planner);
    }

    /// What is to be written to the server since the last call.
    pub fn to_server(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.conversation.to_server)
    }

    /// What is to be written to the client since the last call.
    pub fn to_client(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.conversation.to_client)
    }

    /// What there is to log and count since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.conversation.events().collect()
    }

    /// Whether a message of the client waits for the server.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.conversation.is_waiting()
    }

    /// Whether the session ends once everything is written.
    #[must_use]
    pub const fn is_ending(&self) -> bool {
        self.conversation.is_ending()
    }
}

/// The startup packet that the server gets in place of the client's, length included.
///
/// # Errors
/// Why the client's packet is not let through, as it is told.
pub fn startup_packet(packet: Vec<u8>, settings: &Settings) -> Result<Vec<u8>, String> {
    let built = Startup::read(packet).build(settings, "");
    built.map(|built| built.packet).map_err(|unwelcome| unwelcome.message)
}
