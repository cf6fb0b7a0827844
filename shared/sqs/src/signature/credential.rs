//! What a request presents of its signature, in its header or its query string, taken apart.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, HeaderMap};
use shoal_types::Scope;

use super::{TOKEN_HEADER, incomplete, mismatch, time};
use crate::error::quoted;
use crate::reading::{decode, hex_byte};
use crate::{Incoming, SqsError, limits};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// Seconds for which a signature in a query string may be good, from and to (AWS: a week).
const EXPIRES_S: std::ops::RangeInclusive<u64> = 1..=604_800;

/// A signature and what it is said to be of.
#[derive(Debug)]
pub(super) struct Presented {
    pub(super) carrier: Carrier,
    pub(super) access_key: String,
    /// The date of the credential's scope, `YYYYMMDD`.
    pub(super) scope_date: String,
    pub(super) region: String,
    pub(super) service: String,
    /// When it was signed, as it came and in seconds since 1970.
    pub(super) time_text: String,
    pub(super) time_s: u64,
    /// In lower case, sorted, each once.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; 32],
    pub(super) token: Option<String>,
}

/// What carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// In the header `Authorization`.
    Header,
    /// In the query string, for so long.
    Query { expires_s: u64 },
}

/// The texts of a signature before any is looked into.
#[derive(Default)]
struct Parts<'a> {
    credential: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
}

impl Presented {
    /// The signature of a request, if it has one.
    pub(super) fn find(incoming: &Incoming<'_>) -> Result<Option<Self>, SqsError> {
        let header = authorization(incoming.headers)?;
        match (header, is_in_query(incoming.query)) {
            (None, false) => Ok(None),
            (Some(header), false) => Self::of_header(&header, incoming.headers).map(Some),
            (None, true) => Self::of_query(incoming.query).map(Some),
            (Some(_), true) => Err(incomplete(
                "Only one auth mechanism allowed: the Authorization header or the X-Amz-Signature query \
                 string parameter.",
            )),
        }
    }

    fn of_header(header: &str, headers: &HeaderMap) -> Result<Self, SqsError> {
        let parts = Parts::of_header(header)?;
        let lone = |name: &str| {
            let mut values = headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value.to_str().ok()),
                (None, _) => Ok(None),
                (Some(_), Some(_)) => Err(incomplete(format!("The header {name} is given twice."))),
            }
        };
        let time = lone("x-amz-date")?;
        let time = time.ok_or_else(|| {
            incomplete("Authorization header requires existence of a 'X-Amz-Date' header.")
        })?;
        parts.read(Carrier::Header, time, lone(TOKEN_HEADER)?)
    }

    fn of_query(query: &str) -> Result<Self, SqsError> {
        let mut parts = Parts::default();
        let (mut algorithm, mut time, mut expires, mut token) = (None, None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match name {
                "X-Amz-Algorithm" => &mut algorithm,
                "X-Amz-Credential" => &mut parts.credential,
                "X-Amz-Date" => &mut time,
                "X-Amz-Expires" => &mut expires,
                "X-Amz-SignedHeaders" => &mut parts.signed_headers,
                "X-Amz-Signature" => &mut parts.signature,
                "X-Amz-Security-Token" => &mut token,
                _ => continue,
            };
            if slot.replace(decode(value)?).is_some() {
                return Err(incomplete(format!("The parameter {name} is given twice.")));
            }
        }
        if algorithm.as_deref() != Some(ALGORITHM) {
            return Err(incomplete(format!(
                "X-Amz-Algorithm has to be {ALGORITHM}."
            )));
        }
        let expires_s = expires
            .as_deref()
            .and_then(whole)
            .filter(|s| EXPIRES_S.contains(s));
        let expires_s = expires_s.ok_or_else(|| {
            incomplete(
                "X-Amz-Expires must be a number of seconds from 1 to 604800, which is a week.",
            )
        })?;
        let time = time
            .ok_or_else(|| incomplete("AWS query-string parameters must include 'X-Amz-Date'."))?;
        parts.read(Carrier::Query { expires_s }, &time, token.as_deref())
    }
}

impl<'a> Parts<'a> {
    fn of_header(header: &'a str) -> Result<Self, SqsError> {
        let rest = header
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '));
        let rest = rest.ok_or_else(|| {
            incomplete(format!(
                "The Authorization header has to begin with {ALGORITHM}."
            ))
        })?;
        let mut parts = Self::default();
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once('=').unwrap_or((part, ""));
            let slot = match name {
                "Credential" => &mut parts.credential,
                "SignedHeaders" => &mut parts.signed_headers,
                "Signature" => &mut parts.signature,
                other => {
                    let other = quoted(other);
                    return Err(incomplete(format!(
                        "The Authorization header has an unknown part {other}."
                    )));
                }
            };
            if slot.replace(Cow::Borrowed(value)).is_some() {
                return Err(incomplete(format!(
                    "The Authorization header has two parts {name}."
                )));
            }
        }
        Ok(parts)
    }

    fn read(
        self,
        carrier: Carrier,
        time_text: &str,
        token: Option<&str>,
    ) -> Result<Presented, SqsError> {
        let part = |part: Option<Cow<'a, str>>, name: &str| {
            let part = part.filter(|part| !part.is_empty());
            part.ok_or_else(|| {
                incomplete(format!("Authorization header requires '{name}' parameter."))
            })
        };
        let credential = part(self.credential, "Credential")?;
        let signed_headers = part(self.signed_headers, "SignedHeaders")?;
        let signature = part(self.signature, "Signature")?;
        let time_s = time::parse(time_text).ok_or_else(|| {
            let time = quoted(time_text);
            incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{time}'. See http://en.wikipedia.org/wiki/ISO_8601"))
        })?;
        let [access_key, scope_date, region, service] = scope(&credential)?;
        Ok(Presented {
            carrier,
            access_key: access_key.to_owned(),
            scope_date: scope_date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            time_text: time_text.to_owned(),
            time_s,
            signed_headers: read_names(&signed_headers)?,
            signature: read_signature(&signature)?,
            token: token.map(str::to_owned),
        })
    }
}

/// Account and region that a request claims, the default where it does not.
pub(super) fn claimed(incoming: &Incoming<'_>) -> (String, String) {
    let none = || {
        (
            Scope::DEFAULT_ACCOUNT.to_owned(),
            Scope::DEFAULT_REGION.to_owned(),
        )
    };
    let header = authorization(incoming.headers).ok().flatten();
    let of_header = header
        .as_deref()
        .and_then(|header| Parts::of_header(header).ok()?.credential);
    let mut pairs = incoming
        .query
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let of_query = || decode(pairs.find(|(name, _)| *name == "X-Amz-Credential")?.1).ok();
    let Some(credential) = of_header.or_else(of_query) else {
        return none();
    };
    let mut parts = credential.split('/');
    let access_key = parts.next().unwrap_or_default().to_owned();
    let region = parts.nth(1).unwrap_or(Scope::DEFAULT_REGION).to_owned();
    (access_key, region)
}

/// The header, if there is one: nothing else, and not so long that one would rather not look at it.
fn authorization(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, SqsError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(incomplete("The Authorization header is given twice."));
    }
    if value.len() > limits::AUTHORIZATION_BYTES_MAX {
        return Err(incomplete("The Authorization header is too long."));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(Cow::Borrowed(text))),
        Err(_) => Err(incomplete("The Authorization header is not ASCII.")),
    }
}

fn is_in_query(query: &str) -> bool {
    let own = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"];
    let mut names = query
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default());
    names.any(|name| own.contains(&name))
}

/// Key, date, region and service of `key/date/region/service/aws4_request`.
fn scope(credential: &str) -> Result<[&str; 4], SqsError> {
    let parts: Vec<&str> = credential.splitn(6, '/').collect();
    let Ok([access_key, date, region, service, terminator]) = <[&str; 5]>::try_from(parts) else {
        let credential = quoted(credential);
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got '{credential}'"
        )));
    };
    if terminator != TERMINATOR {
        let terminator = quoted(terminator);
        return Err(mismatch(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'."
        )));
    }
    Ok([access_key, date, region, service])
}

fn read_names(text: &str) -> Result<Vec<String>, SqsError> {
    let names: Vec<String> = text.split(';').map(str::to_owned).collect();
    let lower =
        |name: &String| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    let sorted = names.windows(2).all(|pair| pair[0] < pair[1]);
    if names.len() > limits::SIGNED_HEADERS_MAX || !sorted || !names.iter().all(lower) {
        return Err(incomplete(
            "SignedHeaders are names in lower case, sorted, each once, separated by semicolons.",
        ));
    }
    Ok(names)
}

fn read_signature(text: &str) -> Result<[u8; 32], SqsError> {
    let not_hex = || mismatch("The signature is not 64 hex digits in lower case.");
    let mut signature = [0; 32];
    let mut digits = text.bytes();
    if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(not_hex());
    }
    for byte in &mut signature {
        *byte = hex_byte(digits.next(), digits.next()).ok_or_else(not_hex)?;
    }
    Ok(signature)
}

fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
