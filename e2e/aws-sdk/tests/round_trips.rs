//! `aws-sdk-sqs`, unmodified but for the endpoint.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use shoal_harness::{Dev, run};

fn client(dev: &Dev) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(dev.endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .build();
    Client::from_conf(config)
}

async fn create(
    sqs: &Client,
    name: &str,
    attributes: &[(QueueAttributeName, &str)],
) -> Result<String> {
    let mut wanted = sqs.create_queue().queue_name(name);
    for (name, value) in attributes {
        wanted = wanted.attributes(name.clone(), *value);
    }
    wanted.send().await?.queue_url.context("no URL")
}

#[test]
fn a_message_goes_round() {
    run(async |bench| {
        let dev = bench.dev().start().await?;
        let sqs = client(&dev);
        let url = create(&sqs, "orders", &[]).await?;
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("blue");
        let sent = sqs.send_message().queue_url(&url).message_body("hello");
        let sent = sent.message_attributes("team", attribute.build()?);
        let sent = sent.send().await?;

        let asked = sqs.receive_message().queue_url(&url).wait_time_seconds(5);
        let asked = asked.message_attribute_names("All");
        let asked = asked.message_system_attribute_names(MessageSystemAttributeName::All);
        let found = asked.send().await?;
        let [message] = found.messages() else {
            anyhow::bail!("{found:?}")
        };
        ensure!(message.body() == Some("hello"), "{message:?}");
        ensure!(message.message_id() == sent.message_id(), "{message:?}");
        let team = message.message_attributes().and_then(|all| all.get("team"));
        ensure!(
            team.and_then(|team| team.string_value()) == Some("blue"),
            "{message:?}"
        );

        let receipt = message.receipt_handle().context("no receipt")?;
        let deleted = sqs.delete_message().queue_url(&url).receipt_handle(receipt);
        deleted.send().await?;
        let nothing = sqs.receive_message().queue_url(&url).send().await?;
        ensure!(nothing.messages().is_empty(), "{nothing:?}");
        Ok(())
    });
}

#[test]
fn a_fifo_batch_keeps_its_order() {
    run(async |bench| {
        let dev = bench.dev().start().await?;
        let sqs = client(&dev);
        let fifo = [(QueueAttributeName::FifoQueue, "true")];
        let url = create(&sqs, "orders.fifo", &fifo).await?;
        let mut batch = sqs.send_message_batch().queue_url(&url);
        for number in 0..10 {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(number.to_string())
                .message_group_id("g")
                .message_deduplication_id(number.to_string());
            batch = batch.entries(entry.build()?);
        }
        let sent = batch.send().await?;
        ensure!(
            sent.successful().len() == 10 && sent.failed().is_empty(),
            "{sent:?}"
        );
        let asked = sqs
            .receive_message()
            .queue_url(&url)
            .max_number_of_messages(10);
        let found = asked.wait_time_seconds(5).send().await?;
        let bodies: Vec<&str> = found.messages().iter().filter_map(|m| m.body()).collect();
        ensure!(bodies.join("") == "0123456789", "{bodies:?}");
        Ok(())
    });
}

#[test]
fn a_waiting_receive_gets_what_is_sent_meanwhile() {
    run(async |bench| {
        let dev = bench.dev().start().await?;
        let sqs = client(&dev);
        let url = create(&sqs, "orders", &[]).await?;
        let begun = Instant::now();
        let waiting = sqs.receive_message().queue_url(&url).wait_time_seconds(20);
        let send = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sqs.send_message()
                .queue_url(&url)
                .message_body("late")
                .send()
                .await
        };
        let (found, sent) = tokio::join!(waiting.send(), send);
        sent?;
        ensure!(found?.messages().len() == 1, "nothing was received");
        ensure!(begun.elapsed() < Duration::from_secs(10), "it waited on");
        Ok(())
    });
}

#[test]
fn a_message_that_nobody_deletes_dies_once_and_a_task_brings_it_back() {
    run(async |bench| {
        let dev = bench.dev().start().await?;
        let sqs = client(&dev);
        let dead = create(&sqs, "dead", &[]).await?;
        let asked = sqs.get_queue_attributes().queue_url(&dead);
        let asked = asked.attribute_names(QueueAttributeName::QueueArn);
        let shown = asked.send().await?.attributes.context("no attributes")?;
        let arn = &shown[&QueueAttributeName::QueueArn];
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"2"}}"#);
        let redrive = [(QueueAttributeName::RedrivePolicy, policy.as_str())];
        let source = create(&sqs, "source", &redrive).await?;
        let poison = sqs.send_message().queue_url(&source).message_body("poison");
        poison.send().await?;
        for _ in 0..2 {
            ensure!(take(&sqs, &source, 0).await? == ["poison"]);
        }
        ensure!(take(&sqs, &dead, 0).await? == ["poison"]);
        let task = sqs.start_message_move_task().source_arn(arn).send().await?;
        ensure!(task.task_handle().is_some(), "{task:?}");
        ensure!(take(&sqs, &source, 30).await? == ["poison"]);
        let left = sqs.receive_message().queue_url(&dead).send().await?;
        ensure!(left.messages().is_empty(), "{left:?}");
        Ok(())
    });
}

/// Waits for messages and leases them for so many seconds: their bodies.
async fn take(sqs: &Client, url: &str, seconds: i32) -> Result<Vec<String>> {
    let asked = sqs.receive_message().queue_url(url).wait_time_seconds(20);
    let found = asked.visibility_timeout(seconds).send().await?;
    let bodies = found.messages().iter().filter_map(|m| m.body());
    Ok(bodies.map(str::to_owned).collect())
}

#[test]
fn a_missing_queue_is_an_error_of_its_own() {
    run(async |bench| {
        let dev = bench.dev().start().await?;
        let sqs = client(&dev);
        let asked = sqs.get_queue_url().queue_name("nowhere").send().await;
        let error = asked.err().context("it was found")?.into_service_error();
        ensure!(error.is_queue_does_not_exist(), "{error:?}");
        Ok(())
    });
}
