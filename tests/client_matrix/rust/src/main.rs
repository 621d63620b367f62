//! tokio-postgres or sqlx (the argument) over the steps of `../raw/statements.sql`, first as they
//! are, then each of them again for every place in it that must name the organization or
//! `deleted_at`, with that one thing forgotten.
//!
//! `DATABASE_URL` is the guard, or PostgreSQL itself, without a tenant; `PART` is `honest` (the steps
//! as they are) or `forgotten`; `STATEMENTS` is the file. Prints one JSON object a line: the
//! versions, then one for each run of a step.

mod scope;
mod shop;
mod with_sqlx;
mod with_tokio_postgres;

use serde_json::{Value as Json, json};
use shop::{Connection, Failure, Shop};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let statements = std::fs::read_to_string(std::env::var("STATEMENTS").unwrap()).unwrap();
    match arguments[1].as_str() {
        "tokio-postgres" => run::<with_tokio_postgres::Client>(&statements).await,
        "sqlx" => run::<with_sqlx::Client>(&statements).await,
        other => panic!("{other} is neither tokio-postgres nor sqlx"),
    }
}

async fn run<C: Connection>(statements: &str) {
    println!("{}", json!({ "versions": [format!("{} {}", C::NAME, version(C::NAME))] }));
    let honest = std::env::var("PART").unwrap() == "honest";
    let mut shop = Shop::<C>::open(statements).await;
    let control = shop.step("by_id").await.unwrap();
    for name in shop.step_names() {
        let result = shop.step(&name).await;
        if honest || result.is_err() {
            tell(json!({ "step": name }), result);
            continue;
        }
        for (place, kinds) in shop.scope.places().into_iter().enumerate() {
            for kind in kinds {
                let line =
                    json!({ "step": name, "forgotten": format!("{kind}, place {}", place + 1) });
                let before = shop.pid().await.unwrap();
                shop.scope.forget(Some((place, kind)));
                let result = shop.step(&name).await;
                shop.scope.forget(None);
                let kept = shop.pid().await.unwrap() == before
                    && shop.step("by_id").await.unwrap() == control;
                let mut line = line;
                line["kept"] = kept.into();
                tell(line, result);
            }
        }
    }
}

fn tell(mut line: Json, result: Result<Json, Failure>) {
    match result {
        Ok(result) => line["result"] = result,
        Err(Failure { code, message }) => {
            line["error"] = json!({ "code": code, "message": message })
        }
    }
    println!("{line}");
}

/// The version of a package that this program was built with.
fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
    rest.split_once('"').unwrap().0
}
