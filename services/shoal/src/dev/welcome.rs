//! What `dev` prints when all is ready: addresses, then lines to paste.

use std::fmt::Write as _;
use std::path::Path;

use super::layout::Layout;
use super::processes::Role;

/// The text for a person who has just started Shoal. Only what works is in it.
pub(crate) fn text(layout: &Layout, data: &Path, ephemeral: bool, roles: &[Role]) -> String {
    let endpoint = layout.endpoint();
    let mut out = String::new();
    let mut line = |text: &str| writeln!(out, "{text}").expect("writing to a string does not fail");
    let shape = layout.shape;
    line(&format!(
        "Shoal is ready: {} {} of {} {}, one frontend, one manager.",
        shape.clusters,
        plural(shape.clusters, "cluster"),
        shape.hosts,
        plural(shape.hosts, "host"),
    ));
    line("");
    line(&format!("  REST       {endpoint}/v1"));
    line(&format!(
        "  SQS        {endpoint}, any credentials: aws sqs --endpoint-url {endpoint} --region us-east-1 list-queues"
    ));
    line(&format!("  OpenAPI    {endpoint}/openapi.json"));
    line(&format!("  manager    {}", layout.manager_url()));
    line(&format!(
        "  metrics    http://{}/metrics (frontend); /healthz and /readyz beside it",
        layout.frontend.admin
    ));
    if ephemeral {
        line("  data       none is kept (--ephemeral)");
    } else {
        line(&format!("  data       {}", data.display()));
    }
    if !roles.is_empty() {
        line("");
        line("Processes; kill one and nothing fails, run its line again and it rejoins:");
        let width = roles.iter().map(|role| role.name.len()).max().unwrap_or(0);
        for role in roles {
            line(&format!(
                "  {:width$}  pid {}: {}",
                role.name, role.pid, role.command_line
            ));
        }
    }
    line("");
    line("Try it:");
    line(&format!("  curl -X PUT {endpoint}/v1/queues/orders"));
    line(&format!(
        "  curl {endpoint}/v1/queues/orders/messages -H 'content-type: text/plain' -d 'hello'"
    ));
    line(&format!(
        r#"  RECEIPT=$(curl -s {endpoint}/v1/queues/orders/messages/receive -H 'content-type: application/json' -d '{{"wait_s": 5}}' | tee /dev/stderr | sed -n 's/.*"receipt":"\([^"]*\)".*/\1/p')"#
    ));
    line(&format!(
        r#"  curl {endpoint}/v1/queues/orders/messages/ack -H 'content-type: application/json' -d "{{\"receipts\": [\"$RECEIPT\"]}}""#
    ));
    line("");
    line("Ctrl-C stops everything.");
    out
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}
