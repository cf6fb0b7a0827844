//! The connection to a service.

use std::sync::Arc;

use reqwest::Method;
use shoal_api::QueueList;
use shoal_api::manager::{ClusterInfo, HostInfo};
use shoal_api::plan::{EventPage, MoveInfo};

use crate::call::Call;
use crate::frontends::Frontends;
use crate::limits::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, CONNECT_TIMEOUT_OF_SEVERAL, IDLE_MAX};
use crate::{ClientError, Queue};

/// A service, by the addresses of its frontends. Clones share connections and what is known of frontends.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) frontends: Arc<Frontends>,
}

impl Client {
    /// A service at `http://host:port`, or at several of those with commas between them, at most 64: calls
    /// then go to them by turns, and if one of them stops or is lost, to the others. Nothing is dialled yet. A
    /// process that has not chosen a TLS provider (`rustls::crypto::CryptoProvider::install_default`) gets
    /// ring.
    ///
    /// # Errors
    /// If an address is none.
    pub fn new(frontends: &str) -> Result<Self, ClientError> {
        let frontends = Frontends::read(frontends)?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // The error says that somebody else was quicker, which is as good.
            _ = rustls::crypto::ring::default_provider().install_default();
        }
        let mut http = reqwest::Client::builder();
        let all = frontends.all();
        if all.iter().all(|one| one.base.starts_with("http://")) {
            // A system without certificates, such as a bare container, is no reason to fail then.
            http = http.tls_certs_only([]);
        }
        let connect_timeout = match all.len() {
            1 => CONNECT_TIMEOUT,
            _ => CONNECT_TIMEOUT_OF_SEVERAL,
        };
        let http = http
            .timeout(ANSWER_TIMEOUT)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_MAX)
            .tcp_nodelay(true)
            .build()
            .map_err(ClientError::Connection)?;
        Ok(Self {
            http,
            frontends: Arc::new(frontends),
        })
    }

    /// A queue, there or not.
    #[must_use]
    pub fn queue(&self, name: &str) -> Queue {
        Queue::new(self.clone(), name)
    }

    /// One page of queues whose names begin with `prefix`; go on with the page's cursor.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn queues(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> Result<QueueList, ClientError> {
        let mut query = vec![("prefix", prefix)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        // Only its path and query count.
        let mut url = reqwest::Url::parse("http://any/v1/queues").expect("it is an address");
        url.query_pairs_mut().extend_pairs(query);
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        self.call(Method::GET, &path).read().await
    }

    /// All clusters.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn clusters(&self) -> Result<Vec<ClusterInfo>, ClientError> {
        self.call(Method::GET, "/v1/clusters").read().await
    }

    /// All hosts.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn hosts(&self) -> Result<Vec<HostInfo>, ClientError> {
        self.call(Method::GET, "/v1/hosts").read().await
    }

    /// Moves, splits and merges of queues that are under way.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn moves(&self) -> Result<Vec<MoveInfo>, ClientError> {
        self.call(Method::GET, "/v1/moves").read().await
    }

    /// A page of what was decided about the fleet: at most `limit` events after a number, or the newest.
    /// Go on after the page's `next`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(&self, after: Option<u64>, limit: u64) -> Result<EventPage, ClientError> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        let path = format!("/v1/events?limit={limit}{after}");
        self.call(Method::GET, &path).read().await
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }
}
