//! Clients of Amazon SQS as people use them, unmodified but for the endpoint.
//!
//! What they ask stands in `e2e/clients`, in Python. `e2e/clients/install FOLDER` installs them, and the
//! tests find them by `E2E_SQS_CLIENTS=FOLDER`; without it they say so and skip themselves.

mod clients;
mod under_kills;

use anyhow::Result;
use shoal_harness::{Bench, run};

use clients::{Client, ask};

async fn passes(bench: &Bench, test: &str, client: Client) -> Result<()> {
    let dev = bench.dev().start().await?;
    ask(test, client, &dev.endpoint()).await
}

#[test]
fn every_operation_keeps_the_contract() {
    run(async |bench| {
        passes(
            bench,
            "sqs::every_operation_keeps_the_contract",
            Client::Contract,
        )
        .await
    });
}

#[test]
fn boto3_works() {
    run(async |bench| passes(bench, "sqs::boto3_works", Client::Boto3).await);
}

#[test]
fn aiobotocore_works() {
    run(async |bench| passes(bench, "sqs::aiobotocore_works", Client::Aiobotocore).await);
}

#[test]
fn the_aws_cli_works() {
    run(async |bench| passes(bench, "sqs::the_aws_cli_works", Client::AwsCli).await);
}

#[test]
fn celery_works() {
    run(async |bench| passes(bench, "sqs::celery_works", Client::Celery).await);
}

#[test]
fn what_keda_and_terraform_ask_is_answered() {
    run(async |bench| {
        passes(
            bench,
            "sqs::what_keda_and_terraform_ask_is_answered",
            Client::Replays,
        )
        .await
    });
}
