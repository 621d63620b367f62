//! Metrics and logs: one struct for each event, whose `emit` does both.
//!
//! INVARIANT: no literal of any statement reaches a metric or a log, and every label has a bound.

mod account;
mod catalog;
mod config;
mod event;
mod history;
mod keep;
mod ledger;
mod log;
mod metrics;
mod normal;
mod pace;
mod peer;
mod sum;
mod tally;
mod text;

pub use account::{Account, Broken, Judged, NoAccount, Shape, Summary, TableSeen, rfc3339};
pub use catalog::{CatalogAbsent, CatalogRead, CatalogUnread};
pub use config::{
    ConfigReloaded, CredentialsRead, CredentialsResult, ExemptionExpired, ExemptionUsed,
    ReloadResult,
};
pub use event::{
    AdviceGiven, BytesRelayed, Cached, ConnectionOpened, ConnectionRefused, Direction, EndedBy,
    FramingLost, MessageUnjudged, OpenConnection, PlanCached, RefusedReason, Remembered,
    SessionEnded, SessionLabels, SessionMoved, StatementJudged, StatementRewritten, TextPlanned,
    UnjudgedReason, ViolationFound,
};
pub use history::{Sample, Totals, keep_history};
pub use keep::{keep_ledger, take_up, write_ledger};
pub use log::start_logging;
pub use metrics::Telemetry;
pub use normal::{Normal, normalize};
pub use peer::Peer;
pub use sum::{Readiness, Report, Share};
pub use text::StatementText;
