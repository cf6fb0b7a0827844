//! What goes over HTTP: REST bodies, problem documents, the manager's API, OpenAPI.
