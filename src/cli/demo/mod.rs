//! `orgguard demo`: telling statements, first straight on a throwaway PostgreSQL, then through the
//! guard.

mod picture;
mod rows;
mod story;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, NoTls};

use super::arguments::DemoArguments;
use super::guard::{self, Guard, NotServed};
use super::throwaway::{NoPostgres, Throwaway};
use super::{could_not_run, print};
use crate::config::{self, Overrides};

use picture::Picture;
use rows::{Owners, Rows};
use story::{ACME, Guarded, SCENES, Scene};

/// What the guard of the demo goes by. The ports are free ones.
const CONFIG: &str = r#"
mode = "enforce"
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
[guard]
tables = ["org_*"]
[tenant]
sources = ["setting"]
setting = "app.organization_id"
"#;

/// What the demo's application logs in as.
const ROLE: &str = "app";

/// All that the statements could change; `updated_at` is left out because an honest one sets it.
const CONTENTS: &str = "SELECT coalesce(md5(string_agg(line, ',' ORDER BY line)), '') FROM ( \
    SELECT concat(id, organization_id, name, price, deleted_at) AS line FROM org_products \
    UNION ALL SELECT concat(id, organization_id, deleted_at) FROM org_orders) AS lines";

/// The demo could not be shown.
#[derive(Debug, thiserror::Error)]
enum NotShown {
    #[error("{0}")]
    NoPostgres(#[from] NoPostgres),
    #[error("{0}")]
    NotServed(#[from] NotServed),
    #[error("the demo's own statements failed: {}", said(.0))]
    Database(#[from] tokio_postgres::Error),
}

/// What came of one scene.
#[derive(Debug)]
struct Shown {
    scene: &'static Scene,
    /// The rows that PostgreSQL alone gave.
    alone: Rows,
    /// What the guard did.
    answer: Answer,
}

/// What the guard answered.
#[derive(Debug)]
enum Answer {
    /// Rows.
    Rows(Rows),
    /// An error.
    Error(Box<DbError>),
}

impl Shown {
    /// Whether everything came as the story tells it.
    fn is_as_expected(&self) -> bool {
        self.alone == self.scene.alone
            && match (&self.answer, self.scene.guarded) {
                (Answer::Rows(rows), Guarded::Pass) => *rows == self.alone,
                (Answer::Error(error), Guarded::Refuse(rule)) => {
                    *error.code() == SqlState::INSUFFICIENT_PRIVILEGE
                        && error.detail().is_some_and(|detail| detail.contains(rule))
                }
                (Answer::Rows(_), Guarded::Refuse(_)) | (Answer::Error(_), Guarded::Pass) => false,
            }
    }
}

/// Shows the demo; without `--once`, stays up until it is interrupted.
pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    let once = arguments.once;
    let shown = guard::runtime().map_err(NotServed::from).map_err(NotShown::from);
    match shown.and_then(|runtime| runtime.block_on(show(once))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => could_not_run(&error),
    }
}

/// Whether everything came as expected.
async fn show(once: bool) -> Result<bool, NotShown> {
    let server = tokio::task::block_in_place(Throwaway::start)?;
    let postgres = server.address();
    let admin = connect(postgres, "postgres").await?;
    admin.batch_execute(include_str!("schema.sql")).await?;
    let owners = Owners::read(&admin).await?;
    let before = contents(&admin).await?;

    let overrides = Overrides { upstream: Some(postgres.to_string()), ..Overrides::default() };
    let config = config::parse(CONFIG, &overrides).map_err(|problems| {
        NotServed::Config(config::Invalid { file: "the demo's configuration".into(), problems })
    });
    let mut guard = Guard::start(config?, None).await?;
    let guarded = guard.address().await?;

    let picture = Picture::new(std::io::stdout().is_terminal());
    print(&picture.opening());
    let mut all_shown = Vec::new();
    for scene in &SCENES {
        let alone = ask_alone(postgres, &owners, scene).await?;
        let answer = ask_guard(guarded, &owners, scene).await?;
        let shown = Shown { scene, alone, answer };
        print(&picture.row(&shown));
        all_shown.push(shown);
    }
    let unchanged = contents(&admin).await? == before;
    print(&picture.closing(&all_shown, unchanged));
    if !once {
        print(&picture.invitation(guarded, guard.admin_address()));
        guard::interrupted().await;
        print("\n");
    }
    guard.stop().await?;
    drop(admin);
    tokio::task::block_in_place(|| drop(server));
    Ok(unchanged && all_shown.iter().all(Shown::is_as_expected))
}

/// What PostgreSQL alone gives; nothing of it is kept.
async fn ask_alone(
    address: SocketAddr,
    owners: &Owners,
    scene: &Scene,
) -> Result<Rows, tokio_postgres::Error> {
    let client = connect_for_acme(address).await?;
    client.batch_execute("BEGIN").await?;
    if let Some(before) = scene.before {
        client.batch_execute(before).await?;
    }
    let rows = owners.ask(&client, scene.sql, scene.sent).await?;
    client.batch_execute("ROLLBACK").await?;
    Ok(rows)
}

/// What the guard answers.
async fn ask_guard(
    address: SocketAddr,
    owners: &Owners,
    scene: &Scene,
) -> Result<Answer, tokio_postgres::Error> {
    let client = connect_for_acme(address).await?;
    if let Some(before) = scene.before {
        client.batch_execute(before).await?;
    }
    match owners.ask(&client, scene.sql, scene.sent).await {
        Ok(rows) => Ok(Answer::Rows(rows)),
        Err(error) => match error.as_db_error() {
            Some(told) => Ok(Answer::Error(Box::new(told.clone()))),
            None => Err(error),
        },
    }
}

async fn connect_for_acme(address: SocketAddr) -> Result<Client, tokio_postgres::Error> {
    let client = connect(address, ROLE).await?;
    client.batch_execute(&format!("SET app.organization_id = '{ACME}'")).await?;
    Ok(client)
}

async fn connect(address: SocketAddr, role: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host(address.ip().to_string()).port(address.port()).user(role).dbname("postgres");
    config.application_name("orgguard-demo");
    let (client, connection) = config.connect(NoTls).await?;
    // An error of the connection reaches the client's next call.
    tokio::spawn(connection);
    Ok(client)
}

async fn contents(admin: &Client) -> Result<String, tokio_postgres::Error> {
    admin.query_one(CONTENTS, &[]).await?.try_get(0)
}

/// An error of the driver with what the server said, which its `Display` leaves out.
fn said(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}
