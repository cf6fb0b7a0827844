//! Requests that are taken: all 23 operations in both protocols, and what of a request decides which
//! protocol and which queue are meant.

use bytes::Bytes;
use shoal_sqs::{Operation, OperationName, Protocol, SystemAttribute, read};
use shoal_types::{Body, Scope};

use crate::support::Sent;

const QUEUE: &str = "http://localhost:9324/000000000000/orders";

/// Every operation with every parameter: as the body of a JSON request and as the parameters of a form.
const REQUESTS: &[(&str, &str, &str)] = &[
    (
        "AddPermission",
        r#"{"QueueUrl":"$Q","Label":"l-1","AWSAccountIds":["123456789012"],"Actions":["SendMessage","*"]}"#,
        "QueueUrl=$Q&Label=l-1&AWSAccountId.1=123456789012&ActionName.1=SendMessage&ActionName.2=*",
    ),
    (
        "CancelMessageMoveTask",
        r#"{"TaskHandle":"t"}"#,
        "TaskHandle=t",
    ),
    (
        "ChangeMessageVisibility",
        r#"{"QueueUrl":"$Q","ReceiptHandle":"r","VisibilityTimeout":0}"#,
        "QueueUrl=$Q&ReceiptHandle=r&VisibilityTimeout=0",
    ),
    (
        "ChangeMessageVisibilityBatch",
        r#"{"QueueUrl":"$Q","Entries":[{"Id":"1","ReceiptHandle":"r","VisibilityTimeout":43200}]}"#,
        "QueueUrl=$Q&ChangeMessageVisibilityBatchRequestEntry.1.Id=1\
         &ChangeMessageVisibilityBatchRequestEntry.1.ReceiptHandle=r\
         &ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout=43200",
    ),
    (
        "CreateQueue",
        r#"{"QueueName":"orders.fifo","Attributes":{"FifoQueue":"true","DelaySeconds":"900","ContentBasedDeduplication":"true","DeduplicationScope":"messageGroup","FifoThroughputLimit":"perMessageGroupId","RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead.fifo\",\"maxReceiveCount\":\"3\"}"},"tags":{"team":"a b"}}"#,
        "QueueName=orders.fifo&Attribute.1.Name=FifoQueue&Attribute.1.Value=true&Attribute.2.Name=DelaySeconds\
         &Attribute.2.Value=900&Attribute.3.Name=ContentBasedDeduplication&Attribute.3.Value=true\
         &Attribute.4.Name=DeduplicationScope&Attribute.4.Value=messageGroup\
         &Attribute.5.Name=FifoThroughputLimit&Attribute.5.Value=perMessageGroupId\
         &Attribute.6.Name=RedrivePolicy&Attribute.6.Value=%7B%22deadLetterTargetArn%22%3A%22arn%3Aaws%3Asqs\
         %3Aus-east-1%3A000000000000%3Adead.fifo%22%2C%22maxReceiveCount%22%3A3%7D&Tag.1.Key=team&Tag.1.Value=a+b",
    ),
    (
        "DeleteMessage",
        r#"{"QueueUrl":"$Q","ReceiptHandle":"r"}"#,
        "QueueUrl=$Q&ReceiptHandle=r",
    ),
    (
        "DeleteMessageBatch",
        r#"{"QueueUrl":"$Q","Entries":[{"Id":"1","ReceiptHandle":"r"},{"Id":"2","ReceiptHandle":"s"}]}"#,
        "QueueUrl=$Q&DeleteMessageBatchRequestEntry.2.Id=2&DeleteMessageBatchRequestEntry.2.ReceiptHandle=s\
         &DeleteMessageBatchRequestEntry.1.Id=1&DeleteMessageBatchRequestEntry.1.ReceiptHandle=r",
    ),
    ("DeleteQueue", r#"{"QueueUrl":"$Q"}"#, "QueueUrl=$Q"),
    (
        "GetQueueAttributes",
        r#"{"QueueUrl":"$Q","AttributeNames":["QueueArn","Policy"]}"#,
        "QueueUrl=$Q&AttributeName.1=QueueArn&AttributeName.2=Policy",
    ),
    (
        "GetQueueUrl",
        r#"{"QueueName":"orders","QueueOwnerAWSAccountId":"123456789012"}"#,
        "QueueName=orders&QueueOwnerAWSAccountId=123456789012",
    ),
    (
        "ListDeadLetterSourceQueues",
        r#"{"QueueUrl":"$Q","MaxResults":1000,"NextToken":"n"}"#,
        "QueueUrl=$Q&MaxResults=1000&NextToken=n",
    ),
    (
        "ListMessageMoveTasks",
        r#"{"SourceArn":"arn:aws:sqs:us-east-1:000000000000:dead","MaxResults":10}"#,
        "SourceArn=arn:aws:sqs:us-east-1:000000000000:dead&MaxResults=10",
    ),
    ("ListQueueTags", r#"{"QueueUrl":"$Q"}"#, "QueueUrl=$Q"),
    (
        "ListQueues",
        r#"{"QueueNamePrefix":"or","MaxResults":1,"NextToken":"n"}"#,
        "QueueNamePrefix=or&MaxResults=1&NextToken=n",
    ),
    ("PurgeQueue", r#"{"QueueUrl":"$Q"}"#, "QueueUrl=$Q"),
    (
        "ReceiveMessage",
        r#"{"QueueUrl":"$Q","AttributeNames":["SentTimestamp"],"MessageSystemAttributeNames":["SenderId"],"MessageAttributeNames":["a","b.*"],"MaxNumberOfMessages":10,"VisibilityTimeout":43200,"WaitTimeSeconds":20,"ReceiveRequestAttemptId":"r-1"}"#,
        "QueueUrl=$Q&AttributeName.1=SentTimestamp&MessageSystemAttributeName.1=SenderId\
         &MessageAttributeName.1=a&MessageAttributeName.2=b.*&MaxNumberOfMessages=10&VisibilityTimeout=43200\
         &WaitTimeSeconds=20&ReceiveRequestAttemptId=r-1",
    ),
    (
        "RemovePermission",
        r#"{"QueueUrl":"$Q","Label":"l-1"}"#,
        "QueueUrl=$Q&Label=l-1",
    ),
    (
        "SendMessage",
        r#"{"QueueUrl":"$Q","MessageBody":"\u00e9 & <b>\r\n","DelaySeconds":900,"MessageAttributes":{"t":{"DataType":"String.x","StringValue":"é"},"n":{"DataType":"Number","StringValue":"-1.5e3"},"b":{"DataType":"Binary.png","BinaryValue":"AP8="}},"MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"Root=1"}},"MessageGroupId":"g!","MessageDeduplicationId":"d~"}"#,
        "QueueUrl=$Q&MessageBody=%C3%A9+%26+%3Cb%3E%0D%0A&DelaySeconds=900&MessageAttribute.1.Name=t\
         &MessageAttribute.1.Value.DataType=String.x&MessageAttribute.1.Value.StringValue=%C3%A9\
         &MessageAttribute.2.Name=n&MessageAttribute.2.Value.DataType=Number\
         &MessageAttribute.2.Value.StringValue=-1.5e3&MessageAttribute.3.Name=b\
         &MessageAttribute.3.Value.DataType=Binary.png&MessageAttribute.3.Value.BinaryValue=AP8%3D\
         &MessageSystemAttribute.1.Name=AWSTraceHeader&MessageSystemAttribute.1.Value.DataType=String\
         &MessageSystemAttribute.1.Value.StringValue=Root%3D1&MessageGroupId=g%21&MessageDeduplicationId=d~",
    ),
    (
        "SendMessageBatch",
        r#"{"QueueUrl":"$Q","Entries":[{"Id":"1","MessageBody":"x","DelaySeconds":0,"MessageAttributes":{"t":{"DataType":"String","StringValue":"v"}}},{"Id":"2","MessageBody":"y","MessageGroupId":"g"}]}"#,
        "QueueUrl=$Q&SendMessageBatchRequestEntry.1.Id=1&SendMessageBatchRequestEntry.1.MessageBody=x\
         &SendMessageBatchRequestEntry.1.DelaySeconds=0\
         &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=t\
         &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String\
         &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v\
         &SendMessageBatchRequestEntry.2.Id=2&SendMessageBatchRequestEntry.2.MessageBody=y\
         &SendMessageBatchRequestEntry.2.MessageGroupId=g",
    ),
    (
        "SetQueueAttributes",
        r#"{"QueueUrl":"$Q","Attributes":{"VisibilityTimeout":"0","MaximumMessageSize":"1024","MessageRetentionPeriod":"1209600","ReceiveMessageWaitTimeSeconds":"20","Policy":"{}","RedriveAllowPolicy":"{\"redrivePermission\":\"denyAll\"}","KmsMasterKeyId":"k","KmsDataKeyReusePeriodSeconds":"60"}}"#,
        "QueueUrl=$Q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=0&Attribute.2.Name=MaximumMessageSize\
         &Attribute.2.Value=1024&Attribute.3.Name=MessageRetentionPeriod&Attribute.3.Value=1209600\
         &Attribute.4.Name=ReceiveMessageWaitTimeSeconds&Attribute.4.Value=20&Attribute.5.Name=Policy\
         &Attribute.5.Value=%7B%7D&Attribute.6.Name=RedriveAllowPolicy\
         &Attribute.6.Value=%7B%22redrivePermission%22%3A%22denyAll%22%7D&Attribute.7.Name=KmsMasterKeyId\
         &Attribute.7.Value=k&Attribute.8.Name=KmsDataKeyReusePeriodSeconds&Attribute.8.Value=60",
    ),
    (
        "StartMessageMoveTask",
        r#"{"SourceArn":"arn:aws:sqs:us-east-1:000000000000:dead","DestinationArn":"arn:aws:sqs:us-east-1:000000000000:orders","MaxNumberOfMessagesPerSecond":500}"#,
        "SourceArn=arn:aws:sqs:us-east-1:000000000000:dead\
         &DestinationArn=arn:aws:sqs:us-east-1:000000000000:orders&MaxNumberOfMessagesPerSecond=500",
    ),
    (
        "TagQueue",
        r#"{"QueueUrl":"$Q","Tags":{"team":"a","empty":""}}"#,
        "QueueUrl=$Q&Tag.1.Key=team&Tag.1.Value=a&Tag.2.Key=empty&Tag.2.Value=",
    ),
    (
        "UntagQueue",
        r#"{"QueueUrl":"$Q","TagKeys":["team","empty"]}"#,
        "QueueUrl=$Q&TagKey.1=team&TagKey.2=empty",
    ),
];

#[test]
fn one_request_in_both_protocols_is_the_same_operation() {
    let mut seen = Vec::new();
    for (name, json, form) in REQUESTS {
        let of_json = Sent::json(name, json.replace("$Q", QUEUE)).read();
        let form = form.replace("$Q", QUEUE);
        let of_form = Sent::form(name, &form).read();
        let of_address = Sent::get("/", &format!("Action={name}&{form}")).read();
        let operation = of_json.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(operation.name().as_str(), *name);
        assert_eq!(of_form.as_ref(), Ok(&operation));
        assert_eq!(of_address.as_ref(), Ok(&operation));
        seen.push(operation.name());
    }
    assert_eq!(seen, OperationName::ALL);
}

#[test]
fn a_message_is_read_byte_for_byte() {
    let (name, json, _) = REQUESTS
        .iter()
        .find(|(name, ..)| *name == "SendMessage")
        .unwrap();
    let Ok(Operation::SendMessage(send)) = Sent::json(name, json.replace("$Q", QUEUE)).read()
    else {
        panic!("not taken");
    };
    let message = send.message;
    assert_eq!(message.payload.body, Body::Text("é & <b>\r\n".into()));
    assert_eq!(
        message.payload.attributes["b"].value,
        Bytes::from_static(b"\0\xff")
    );
    assert_eq!(message.payload.attributes["b"].kind, "Binary.png");
    assert_eq!(message.payload.attributes["n"].value, "-1.5e3");
    assert_eq!(message.trace_header.as_deref(), Some("Root=1"));
    assert_eq!(
        (message.delay_s, message.group_id.as_deref()),
        (Some(900), Some("g!"))
    );
    assert_eq!(message.deduplication_id.as_deref(), Some("d~"));
    let sent = message.sent("id".to_owned(), None);
    let of_trace = sent.md5_of_system_attributes.unwrap();
    assert_eq!(of_trace.len(), 32);
    assert_ne!(Some(of_trace), sent.md5_of_attributes);
}

/// A body of a megabyte is not copied if nothing in it is escaped.
#[test]
fn a_body_without_escapes_is_a_part_of_the_request() {
    let sent = Sent::json(
        "SendMessage",
        format!(
            r#"{{"QueueUrl":"{QUEUE}","MessageBody":"{}"}}"#,
            "x".repeat(1_000)
        ),
    );
    let Ok(Operation::SendMessage(send)) = sent.read() else {
        panic!("not taken");
    };
    let body = send.message.payload.body.bytes().as_ptr();
    assert!(sent.body.as_ptr_range().contains(&body));
}

#[test]
fn a_receive_may_leave_everything_out() {
    let Ok(Operation::ReceiveMessage(receive)) = Sent::json(
        "ReceiveMessage",
        format!(r#"{{"QueueUrl":"{QUEUE}","WaitTimeSeconds":null}}"#),
    )
    .read() else {
        panic!("not taken");
    };
    assert_eq!((receive.max_messages, receive.wait_s), (1, None));
    assert_eq!(
        (receive.visibility_timeout_s, receive.attempt_id),
        (None, None)
    );
    assert!(
        SystemAttribute::ALL
            .iter()
            .all(|a| !receive.system_attributes.has(*a))
    );
}

#[test]
fn what_a_receive_asks_to_be_told_is_what_it_names() {
    let told = |system: &str, old: &str| {
        let body = format!(
            r#"{{"QueueUrl":"{QUEUE}","MessageSystemAttributeNames":{system},"AttributeNames":{old}}}"#
        );
        match Sent::json("ReceiveMessage", body).read() {
            Ok(Operation::ReceiveMessage(receive)) => {
                let all = SystemAttribute::ALL.iter();
                all.filter(|a| receive.system_attributes.has(**a)).count()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told("[]", "[]"), 0);
    assert_eq!(
        told(r#"["All"]"#, r#"["SenderId"]"#),
        SystemAttribute::ALL.len()
    );
    assert_eq!(
        told(r#"["SenderId"]"#, r#"["SentTimestamp","SenderId"]"#),
        2
    );
    // Clients with types for the old list can ask for a queue's attributes there, which no message has.
    assert_eq!(told("[]", r#"["QueueArn","SenderId"]"#), 1);
}

/// The names that AWS was seen to answer, of a message with these three attributes.
#[test]
fn attributes_are_given_by_name_and_prefix() {
    for (names, given) in [
        (r"[]", vec![]),
        (r#"["All"]"#, vec!["General", "Hello", "Help.Me"]),
        (r#"["*"]"#, vec!["General", "Hello", "Help.Me"]),
        (r#"[".*"]"#, vec!["General", "Hello", "Help.Me"]),
        (r#"["Foo","Help"]"#, vec![]),
        (r#"["Hello","General"]"#, vec!["General", "Hello"]),
        (r#"["Foo","Hello"]"#, vec!["Hello"]),
        (r#"["Hel.*"]"#, vec!["Hello", "Help.Me"]),
        (r#"["Help.*"]"#, vec!["Help.Me"]),
        (r#"["AWS.","..foo"]"#, vec![]),
    ] {
        let body = format!(r#"{{"QueueUrl":"{QUEUE}","MessageAttributeNames":{names}}}"#);
        let Ok(Operation::ReceiveMessage(receive)) = Sent::json("ReceiveMessage", body).read()
        else {
            panic!("{names}");
        };
        let kind = "String".to_owned();
        let attribute = shoal_types::Attribute {
            kind,
            value: "x".into(),
        };
        let mut attributes: std::collections::BTreeMap<String, _> = ["General", "Hello", "Help.Me"]
            .into_iter()
            .map(|name| (name.to_owned(), attribute.clone()))
            .collect();
        receive.attributes.retain(&mut attributes);
        assert_eq!(attributes.into_keys().collect::<Vec<_>>(), given, "{names}");
    }
}

#[test]
fn the_protocol_is_what_the_headers_say() {
    assert_eq!(Sent::json("ListQueues", "{}").protocol(), Protocol::Json);
    let later =
        Sent::json("ListQueues", "{}").with_header("content-type", "application/x-amz-json-1.1");
    assert_eq!(later.protocol(), Protocol::Json);
    let untyped = Sent::json("ListQueues", "{}").with_header("content-type", "text/plain");
    assert_eq!(untyped.protocol(), Protocol::Json);
    assert_eq!(Sent::form("ListQueues", "").protocol(), Protocol::Query);
    assert_eq!(
        Sent::get("/", "Action=ListQueues").protocol(),
        Protocol::Query
    );
}

#[test]
fn a_queues_own_address_names_the_queue() {
    let queue = |sent: &Sent| sent.read().unwrap().queue().unwrap().to_string();
    let path = "/000000000000/orders";
    assert_eq!(queue(&Sent::get(path, "Action=PurgeQueue")), "orders");
    // In the query protocol the address goes before the parameter.
    let other = "Action=PurgeQueue&QueueUrl=http://h/000000000000/other";
    assert_eq!(queue(&Sent::get(path, other)), "orders");
    // In JSON it stands in for one that is not there.
    let mut sent = Sent::json("PurgeQueue", "{}");
    sent.path = path.to_owned();
    assert_eq!(queue(&sent), "orders");
    let mut sent = Sent::json(
        "PurgeQueue",
        r#"{"QueueUrl":"http://h/000000000000/other"}"#,
    );
    sent.path = path.to_owned();
    assert_eq!(queue(&sent), "other");
}

#[test]
fn of_a_queues_url_account_and_name_count_and_the_region_is_the_callers() {
    let scope = Scope::new("123456789012", "eu-west-1").unwrap();
    for (url, queue) in [
        (
            "http://localhost:9324/000000000000/orders",
            "000000000000/eu-west-1/orders",
        ),
        (
            "https://sqs.us-west-2.amazonaws.com/123456789012/a.fifo",
            "123456789012/eu-west-1/a.fifo",
        ),
        ("/123456789012/a", "123456789012/eu-west-1/a"),
    ] {
        let sent = Sent::json("PurgeQueue", format!(r#"{{"QueueUrl":"{url}"}}"#));
        let operation = read(&sent.incoming(), &scope).unwrap();
        assert_eq!(operation.queue().unwrap().to_string(), queue);
    }
}
