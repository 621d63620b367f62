//! One client session as a state machine over decoded messages from both sides: its tenant, its
//! prepared statements and portals, its transaction, the gate and the refusal. It has no sockets.

mod mode;

pub use mode::{Decision, Mode, Rebinding, TenantRules, UnknownTenant};
