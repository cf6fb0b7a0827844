//! Under which address clients are told to find a queue.

use http::{HeaderMap, Uri, header};

/// The scheme and host for queue URLs: the configured ones, or else those by which this client came. So it
/// works for whoever reaches a frontend by whatever name, through a published port or inside a pod; only what
/// ends TLS before the frontends has to be told of.
///
/// What a proxy says in `X-Forwarded-…` is not looked at: without one in front, any client could say it.
pub(super) fn base(public_url: &str, headers: &HeaderMap, uri: &Uri) -> String {
    if !public_url.is_empty() {
        return public_url.to_owned();
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(|authority| authority.as_str()));
    format!("http://{}", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_clients_own_unless_one_is_configured() {
        let uri: Uri = "/".parse().unwrap();
        let headers = HeaderMap::from_iter([(header::HOST, "shoal:9324".parse().unwrap())]);
        assert_eq!(base("", &headers, &uri), "http://shoal:9324");
        assert_eq!(
            base("https://mq.example", &headers, &uri),
            "https://mq.example"
        );
        let second: Uri = "http://h2.example/".parse().unwrap();
        assert_eq!(base("", &HeaderMap::new(), &second), "http://h2.example");
        assert_eq!(base("", &HeaderMap::new(), &uri), "http://localhost");
    }
}
