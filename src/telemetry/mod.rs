//! Metrics and logs: one struct for each event, whose `emit` does both.
//!
//! INVARIANT: no literal of any statement reaches a metric or a log, and every label has a bound.

mod catalog;
mod event;
mod log;
mod metrics;
mod normal;
mod pace;

pub use catalog::{CatalogAbsent, CatalogRead, CatalogUnread};
pub use event::{
    AdviceGiven, AnalysisTook, BytesRelayed, ConnectionOpened, ConnectionRefused, Direction,
    FramingLost, MessageUnjudged, OpenConnection, PlanCached, RefusedReason, Remembered,
    SessionLabels, StatementJudged, UnjudgedReason, ViolationFound,
};
pub use log::start_logging;
pub use metrics::Telemetry;
pub use normal::{Normal, normalize};
