//! A queue's policy: statements that allow or deny accounts some operations. No I/O.
//!
//! AWS's language has more than is evaluated here. What is not evaluated never widens access: a statement
//! that allows under a condition allows nothing, and one that denies under a condition, or names by
//! exclusion (`NotPrincipal`, `NotAction`, `NotResource`), is refused when it is set.

use serde_json::{Map, Value, json};
use shoal_sqs::{ErrorKind, OperationName, SqsError};

/// What a policy says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    /// Expressly, which no other statement makes good.
    Denied,
    Nothing,
}

/// A policy that was read.
#[derive(Debug, Default)]
pub(super) struct Policy(Vec<Statement>);

#[derive(Debug)]
struct Statement {
    allows: bool,
    conditional: bool,
    principals: Vec<String>,
    actions: Vec<String>,
    resources: Vec<String>,
}

/// What makes a statement one that cannot be evaluated.
const EXCLUSIONS: [&str; 3] = ["NotPrincipal", "NotAction", "NotResource"];

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// If it is none, or says something that would have to be evaluated and is not.
    pub(super) fn read(text: &str) -> Result<Self, SqsError> {
        let document = object(text)?;
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err(invalid("it has no Statement.")),
        };
        let read = statements.into_iter().map(Statement::read);
        Ok(Self(read.collect::<Result<_, _>>()?))
    }

    /// What it says of an account that wants to do something with the queue of this ARN.
    pub(super) fn decide(&self, account: &str, operation: OperationName, arn: &str) -> Decision {
        let meant = |statement: &&Statement| statement.is_about(account, operation, arn);
        let mut decision = Decision::Nothing;
        for statement in self.0.iter().filter(meant) {
            match statement.allows {
                // Should one have come here by another way: better too much denied than too little.
                false => return Decision::Denied,
                true if !statement.conditional => decision = Decision::Allowed,
                true => {}
            }
        }
        decision
    }

    /// Whether it allows the account anything at all.
    pub(super) fn knows(&self, account: &str) -> bool {
        let allows = |statement: &Statement| statement.allows && !statement.conditional;
        let mut statements = self.0.iter();
        statements.any(|statement| allows(statement) && statement.is_of(account))
    }
}

impl Statement {
    fn read(statement: &Value) -> Result<Self, SqsError> {
        let Value::Object(statement) = statement else {
            return Err(invalid("a Statement is an object."));
        };
        if let Some(name) = EXCLUSIONS
            .iter()
            .find(|name| statement.contains_key(**name))
        {
            return Err(invalid(format!("{name} is not evaluated here.")));
        }
        let allows = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(invalid("an Effect is Allow or Deny.")),
        };
        let conditional = statement.contains_key("Condition");
        if conditional && !allows {
            return Err(invalid("the Condition of a Deny is not evaluated here."));
        }
        let principals = principals(statement.get("Principal"))?;
        let is_nobody = principals.is_empty() || !principals.iter().all(is_evaluated);
        if is_nobody && !allows {
            return Err(invalid(
                "the Principal of a Deny is \"*\", accounts or their roots; others are not evaluated here.",
            ));
        }
        Ok(Self {
            allows,
            conditional,
            principals,
            actions: texts(statement.get("Action"), "Action")?,
            resources: texts(statement.get("Resource"), "Resource")?,
        })
    }

    fn is_about(&self, account: &str, operation: OperationName, arn: &str) -> bool {
        let action = format!("sqs:{}", permitted_by(operation).as_str()).to_ascii_lowercase();
        let acts = |pattern: &String| matches(&pattern.to_ascii_lowercase(), &action);
        self.is_of(account)
            && self.actions.iter().any(acts)
            && self.resources.iter().any(|pattern| matches(pattern, arn))
    }

    /// By account. Users and roles are none of ours.
    fn is_of(&self, account: &str) -> bool {
        let is_it = |principal: &String| principal == "*" || account_of(principal) == account;
        self.principals.iter().any(is_it)
    }
}

/// An account as a principal: its twelve digits, or its root's ARN.
fn account_of(principal: &str) -> &str {
    let of_arn = principal.strip_prefix("arn:aws:iam::");
    of_arn
        .and_then(|rest| rest.strip_suffix(":root"))
        .unwrap_or(principal)
}

/// Whether somebody can be this principal here.
fn is_evaluated(principal: &String) -> bool {
    let account = account_of(principal);
    principal == "*" || account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
}

/// The action that permits an operation: a batch is permitted with what it is a batch of.
fn permitted_by(operation: OperationName) -> OperationName {
    match operation {
        OperationName::SendMessageBatch => OperationName::SendMessage,
        OperationName::DeleteMessageBatch => OperationName::DeleteMessage,
        OperationName::ChangeMessageVisibilityBatch => OperationName::ChangeMessageVisibility,
        other => other,
    }
}

fn principals(principal: Option<&Value>) -> Result<Vec<String>, SqsError> {
    match principal {
        Some(Value::String(all)) if all == "*" => Ok(vec![all.clone()]),
        // Services and users of other identity providers are nobody here.
        Some(Value::Object(kinds)) => match kinds.get("AWS") {
            Some(accounts) => texts(Some(accounts), "Principal"),
            None => Ok(Vec::new()),
        },
        _ => Err(invalid("a Principal is \"*\" or an object.")),
    }
}

/// One text or several.
fn texts(value: Option<&Value>, name: &str) -> Result<Vec<String>, SqsError> {
    let wrong = || {
        invalid(format!(
            "a Statement's {name} is a text or a list of texts."
        ))
    };
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
    match value {
        Some(Value::Array(values)) => values.iter().map(text).collect(),
        Some(value) => Ok(vec![text(value)?]),
        None => Err(wrong()),
    }
}

/// Whether a pattern fits, in which `*` stands for any characters and `?` for one. Takes as many steps as
/// the two texts have characters together, multiplied: both are short.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last star, and how far the text is taken to belong to it.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// A policy with a statement more, which allows accounts some operations; a new one if there was none.
///
/// # Errors
/// If there is a statement of this label already.
pub(super) fn with_permission(
    policy: Option<&str>,
    arn: &str,
    label: &str,
    accounts: &[String],
    actions: &[String],
) -> Result<String, SqsError> {
    let mut document = match policy {
        Some(text) => object(text)?,
        None => {
            let id = format!("{arn}/SQSDefaultPolicy");
            let fresh = json!({"Version": "2008-10-17", "Id": id, "Statement": []});
            fresh.as_object().expect("it is one").clone()
        }
    };
    let accounts = accounts.iter().map(|id| format!("arn:aws:iam::{id}:root"));
    let actions = actions.iter().map(|action| format!("SQS:{action}"));
    let statement = json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": one_or_list(accounts.collect())},
        "Action": one_or_list(actions.collect()),
        "Resource": arn,
    });
    let statements = statements(&mut document);
    if statements.iter().any(|other| is_labelled(other, label)) {
        return Err(SqsError::invalid("Label", label, "Already exists."));
    }
    statements.push(statement);
    Ok(Value::Object(document).to_string())
}

/// A policy without the statement of this label; none if nothing is left.
///
/// # Errors
/// If there is no such statement.
pub(super) fn without_permission(
    policy: Option<&str>,
    label: &str,
) -> Result<Option<String>, SqsError> {
    let missing = || {
        let reason = "can't find label on existing policy.";
        SqsError::invalid("Label", label, reason)
    };
    let mut document = object(policy.ok_or_else(missing)?)?;
    let statements = statements(&mut document);
    let before = statements.len();
    statements.retain(|statement| !is_labelled(statement, label));
    match statements.len() {
        left if left == before => Err(missing()),
        0 => Ok(None),
        _ => Ok(Some(Value::Object(document).to_string())),
    }
}

/// A policy's statements, as a list also if it was one alone.
fn statements(document: &mut Map<String, Value>) -> &mut Vec<Value> {
    let statements = document.entry("Statement").or_insert_with(|| json!([]));
    if !statements.is_array() {
        *statements = json!([statements.take()]);
    }
    statements.as_array_mut().expect("it was made one")
}

fn is_labelled(statement: &Value, label: &str) -> bool {
    statement.get("Sid").and_then(Value::as_str) == Some(label)
}

fn one_or_list(mut texts: Vec<String>) -> Value {
    match texts.len() {
        1 => Value::String(texts.remove(0)),
        _ => json!(texts),
    }
}

fn object(text: &str) -> Result<Map<String, Value>, SqsError> {
    serde_json::from_str(text).map_err(|_| invalid("it is not a JSON object."))
}

fn invalid(why: impl std::fmt::Display) -> SqsError {
    let message = format!("Invalid value for the parameter Policy: {why}");
    SqsError::new(ErrorKind::InvalidAttributeValue, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use OperationName as Op;

    const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:orders";
    const OTHER: &str = "123456789012";

    fn policy(statement: &Value) -> Policy {
        let document = json!({"Version": "2012-10-17", "Statement": statement});
        Policy::read(&document.to_string()).unwrap()
    }

    #[test]
    fn an_account_may_do_what_a_permission_allows_it_and_no_more() {
        let actions = ["SendMessage".to_owned()];
        let text = with_permission(None, ARN, "one", &[OTHER.to_owned()], &actions).unwrap();
        let policy = Policy::read(&text).unwrap();
        assert_eq!(
            policy.decide(OTHER, Op::SendMessage, ARN),
            Decision::Allowed
        );
        assert_eq!(
            policy.decide(OTHER, Op::SendMessageBatch, ARN),
            Decision::Allowed
        );
        assert_eq!(
            policy.decide(OTHER, Op::ReceiveMessage, ARN),
            Decision::Nothing
        );
        assert_eq!(
            policy.decide("999999999999", Op::SendMessage, ARN),
            Decision::Nothing
        );
        assert!(policy.knows(OTHER) && !policy.knows("999999999999"));

        let again = with_permission(Some(&text), ARN, "one", &[OTHER.to_owned()], &actions);
        assert!(again.unwrap_err().message.contains("Already exists"));
        let two = with_permission(Some(&text), ARN, "two", &[OTHER.to_owned()], &actions).unwrap();
        let left = without_permission(Some(&two), "one").unwrap().unwrap();
        assert!(without_permission(Some(&left), "one").is_err());
        assert_eq!(without_permission(Some(&left), "two").unwrap(), None);
        assert!(without_permission(None, "one").is_err());
    }

    #[test]
    fn what_is_denied_stays_denied_whatever_else_allows_it() {
        let all = |effect: &str| json!({"Effect": effect, "Principal": "*", "Action": "sqs:*", "Resource": "*"});
        let both = policy(&json!([all("Deny"), all("Allow")]));
        assert_eq!(both.decide(OTHER, Op::SendMessage, ARN), Decision::Denied);
        let one = policy(&all("Allow"));
        assert_eq!(one.decide(OTHER, Op::DeleteQueue, ARN), Decision::Allowed);
    }

    #[test]
    fn what_is_not_evaluated_never_widens_access() {
        let mut statement =
            json!({"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"});
        statement["Condition"] = json!({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:x"}});
        let conditional = policy(&statement);
        assert_eq!(
            conditional.decide(OTHER, Op::SendMessage, ARN),
            Decision::Nothing
        );
        assert!(!conditional.knows(OTHER));

        let refused = |statement: &Value| {
            let document = json!({"Statement": [statement]}).to_string();
            Policy::read(&document).unwrap_err().message.into_owned()
        };
        statement["Effect"] = json!("Deny");
        assert!(refused(&statement).contains("not evaluated"));
        for principal in ["arn:aws:iam::123456789012:user/bob", "12345"] {
            let denied = json!({"Effect": "Deny", "Principal": {"AWS": principal}, "Action": "*", "Resource": "*"});
            assert!(refused(&denied).contains("the Principal of a Deny"));
        }
        let service = json!({"Effect": "Deny", "Principal": {"Service": "s3"}, "Action": "*", "Resource": "*"});
        assert!(refused(&service).contains("the Principal of a Deny"));
        let exclusion =
            json!({"Effect": "Allow", "NotPrincipal": "*", "Action": "*", "Resource": "*"});
        assert!(refused(&exclusion).contains("NotPrincipal"));
    }

    #[test]
    fn a_policy_that_is_none_is_refused_and_says_why() {
        for (text, why) in [
            ("x", "JSON"),
            ("[]", "JSON"),
            ("{}", "no Statement"),
            (r#"{"Statement":[1]}"#, "is an object"),
            (r#"{"Statement":{"Effect":"Maybe"}}"#, "Effect"),
            (r#"{"Statement":{"Effect":"Allow"}}"#, "Principal"),
            (
                r#"{"Statement":{"Effect":"Allow","Principal":"*"}}"#,
                "Action",
            ),
            (
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":[1]}}"#,
                "Action",
            ),
        ] {
            let refused = Policy::read(text).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::InvalidAttributeValue);
            assert!(refused.message.contains(why), "{text}: {}", refused.message);
        }
    }

    #[test]
    fn patterns_fit_as_in_aws() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("sqs:*", "sqs:sendmessage", true),
            ("sqs:s?nd*", "sqs:sendmessage", true),
            ("sqs:*message", "sqs:sendmessagebatch", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a", "ab", false),
            ("ab", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        let hard = format!("{}b", "a*".repeat(2_000));
        assert!(!matches(&hard, &"a".repeat(2_000)));
    }
}
