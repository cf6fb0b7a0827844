//! Every route of the REST API. The router, the OpenAPI document and the tests are held against this
//! one list.

/// A method on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path, with `{queue}` where the queue's name stands.
    pub path: &'static str,
}

/// All routes.
pub const ROUTES: &[Route] = &[
    route("GET", "/v1/queues"),
    route("PUT", "/v1/queues/{queue}"),
    route("GET", "/v1/queues/{queue}"),
    route("PATCH", "/v1/queues/{queue}"),
    route("DELETE", "/v1/queues/{queue}"),
    route("POST", "/v1/queues/{queue}/messages"),
    route("POST", "/v1/queues/{queue}/messages/receive"),
    route("POST", "/v1/queues/{queue}/messages/ack"),
    route("POST", "/v1/queues/{queue}/messages/extend"),
    route("POST", "/v1/queues/{queue}/messages/release"),
    route("GET", "/v1/queues/{queue}/messages/peek"),
    route("POST", "/v1/queues/{queue}/purge"),
    route("POST", "/v1/queues/{queue}/redrive"),
    route("GET", "/v1/queues/{queue}/redrive"),
    route("DELETE", "/v1/queues/{queue}/redrive"),
    route("GET", "/v1/clusters"),
    route("GET", "/v1/hosts"),
    route("GET", "/v1/moves"),
    route("GET", "/v1/events"),
    route("GET", "/openapi.json"),
];

const fn route(method: &'static str, path: &'static str) -> Route {
    Route { method, path }
}
