//! Who sends a request: AWS's Signature Version 4, in the `Authorization` header or in the query string.
//!
//! The client and the service share a secret; the client signs with it what it sends, and the service
//! computes the same. What is checked, in this order: that all parts are there and well-formed, that the
//! key is known, that the credential's scope fits, that the time is near, that all that matters is signed,
//! that the body is the signed one, and the signature. A request that somebody recorded can be sent again
//! as long as its time is near; against that only an encrypted connection helps.

mod canonical;
mod credential;
mod key;
mod time;
#[cfg(test)]
mod vectors;

use http::HeaderMap;
use shoal_types::Scope;

pub use key::{Key, Keys};
use sha2::{Digest, Sha256};

use self::credential::{Carrier, Presented};
use crate::{ErrorKind, Incoming, SqsError};

/// Seconds by which the client's clock may be off, and for which a signature in a header is good (AWS).
pub const SKEW_S: u64 = 15 * 60;
const SERVICE: &str = "sqs";
const CONTENT_HASH: &str = "x-amz-content-sha256";
const TOKEN_HEADER: &str = "x-amz-security-token";

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The access key; whom it is of, [`Keys`] knows.
    pub access_key: String,
    /// The key's account, and the region for which the request is signed.
    pub scope: Scope,
}

/// Finds out who sent a request, and that nobody changed it on its way.
///
/// # Errors
/// As AWS says it; what is wrong with the signature is told as far as that tells nothing of the secret.
pub fn verify(incoming: &Incoming<'_>, keys: &impl Keys, now_s: u64) -> Result<Caller, SqsError> {
    verify_for(SERVICE, incoming, keys, now_s)
}

fn verify_for(
    service: &str,
    incoming: &Incoming<'_>,
    keys: &impl Keys,
    now_s: u64,
) -> Result<Caller, SqsError> {
    let presented = Presented::find(incoming)?.ok_or_else(missing)?;
    let key = keys.key(&presented.access_key);
    // Without a key the work goes on with a secret that nobody has, and takes as long as with one.
    let secret = key.as_ref().map_or("", |key| key.secret());
    let checked = check(service, incoming, &presented, secret, now_s);
    let key = key.filter(|key| key.token() == presented.token.as_deref());
    let key = key.ok_or_else(unknown_key)?;
    checked?;
    let scope = Scope::new(key.account(), &presented.region);
    Ok(Caller {
        scope: scope.map_err(|e| {
            mismatch(format!(
                "Credential should be scoped to a valid region: {e}."
            ))
        })?,
        access_key: presented.access_key,
    })
}

/// The account and region that a request says it is of, without asking whether that is true: for a service
/// that takes any credentials. The account is an access key of twelve digits, else the default; the region
/// that of the credential's scope, else the default.
#[must_use]
pub fn unverified_scope(incoming: &Incoming<'_>) -> Scope {
    let (access_key, region) = credential::claimed(incoming);
    let account = if Scope::new(&access_key, Scope::DEFAULT_REGION).is_ok() {
        &access_key
    } else {
        Scope::DEFAULT_ACCOUNT
    };
    Scope::new(account, &region)
        .or_else(|_| Scope::new(account, Scope::DEFAULT_REGION))
        .expect("account and region were checked one by one")
}

fn check(
    service: &str,
    incoming: &Incoming<'_>,
    presented: &Presented,
    secret: &str,
    now_s: u64,
) -> Result<(), SqsError> {
    check_scope(service, presented)?;
    check_time(presented, now_s)?;
    check_signed_headers(presented, incoming.headers)?;
    let payload = check_payload(incoming)?;
    let request = canonical::request(incoming, presented, &payload)?;
    let text = canonical::string_to_sign(presented, &request);
    if key::verifies(secret, presented, &text) {
        return Ok(());
    }
    Err(mismatch(
        "The request signature we calculated does not match the signature you provided. Check your AWS \
         Secret Access Key and signing method. Consult the service documentation for details.",
    ))
}

fn check_scope(service: &str, presented: &Presented) -> Result<(), SqsError> {
    let (date, time) = (&presented.scope_date, &presented.time_text);
    if time.get(..8) != Some(date) {
        return Err(mismatch(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
             '{date}' != '{}', from '{time}'.",
            time.get(..8).unwrap_or_default()
        )));
    }
    if presented.service != service {
        let message = format!("Credential should be scoped to correct service: '{service}'.");
        return Err(mismatch(message));
    }
    Ok(())
}

fn check_time(presented: &Presented, now_s: u64) -> Result<(), SqsError> {
    let Presented {
        time_s, time_text, ..
    } = presented;
    if time_s.saturating_sub(SKEW_S) > now_s {
        let latest = time::iso(now_s + SKEW_S);
        return Err(mismatch(format!(
            "Signature not yet current: {time_text} is still later than {latest} ({} + 15 min.)",
            time::iso(now_s)
        )));
    }
    let good_for_s = match presented.carrier {
        Carrier::Header => SKEW_S,
        Carrier::Query { expires_s } => expires_s,
    };
    if time_s + good_for_s < now_s {
        let end = time::iso(time_s + good_for_s);
        return Err(mismatch(format!(
            "Signature expired: {end} is now earlier than {}.",
            time::iso(now_s)
        )));
    }
    Ok(())
}

/// The host and every header of AWS's own has to be signed, or somebody could change them on the way. The
/// session token need not be: it is compared itself.
fn check_signed_headers(presented: &Presented, headers: &HeaderMap) -> Result<(), SqsError> {
    let signed = |name: &str| presented.signed_headers.iter().any(|other| other == name);
    if !signed("host") {
        return Err(mismatch(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    let own = headers.keys().map(http::HeaderName::as_str);
    let mut own = own.filter(|name| name.starts_with("x-amz-") && *name != TOKEN_HEADER);
    match own.find(|name| !signed(name)) {
        Some(name) => Err(mismatch(format!(
            "The header {name} is present in the request and not signed."
        ))),
        None => Ok(()),
    }
}

/// The body's hash, as hex digits. If the client says what it should be, it has to be that.
fn check_payload(incoming: &Incoming<'_>) -> Result<String, SqsError> {
    let hash = hex(&Sha256::digest(incoming.body));
    match incoming.headers.get(CONTENT_HASH) {
        None => Ok(hash),
        Some(said) if said.as_bytes() == hash.as_bytes() => Ok(hash),
        Some(said) if said == "UNSIGNED-PAYLOAD" || said.as_bytes().starts_with(b"STREAMING-") => {
            Err(mismatch(
                "The payload has to be signed: x-amz-content-sha256 is the SHA-256 of the body.",
            ))
        }
        Some(_) => Err(mismatch(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
    }
}

fn missing() -> SqsError {
    let message = "Request is missing Authentication Token";
    SqsError::new(ErrorKind::MissingAuthenticationToken, message)
}

fn unknown_key() -> SqsError {
    let message = "The security token included in the request is invalid.";
    SqsError::new(ErrorKind::InvalidClientTokenId, message)
}

fn mismatch(message: impl Into<std::borrow::Cow<'static, str>>) -> SqsError {
    SqsError::new(ErrorKind::SignatureDoesNotMatch, message)
}

fn incomplete(message: impl Into<std::borrow::Cow<'static, str>>) -> SqsError {
    SqsError::new(ErrorKind::IncompleteSignature, message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
