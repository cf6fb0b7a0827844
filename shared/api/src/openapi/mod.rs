//! The REST API described as an OpenAPI 3.1 document. Built here, by hand, next to the types it
//! describes; the tests prove that it has every route, and of every body every field and no other.

mod operations;
mod schema;
mod schemas;

use serde_json::{Map, Value, json};

use crate::routes::ROUTES;

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operations::describe(*route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Shoal",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A distributed message queue. Errors are problem documents (RFC 9457); every answer names its request in `x-request-id`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas::all() },
    })
}

/// The document as it is served and checked in.
///
/// # Panics
/// Never: it has only string keys.
#[must_use]
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).expect("only string keys");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regenerate with `SHOAL_BLESS=1 cargo test -p shoal-api`, and review the difference: it is what
    /// changes for clients.
    #[test]
    fn the_checked_in_document_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("SHOAL_BLESS").is_some() {
            std::fs::write(path, text()).unwrap();
        }
        let checked_in: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(
            checked_in == document(),
            "openapi.json is not what the code says; see this test's comment"
        );
    }

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            assert!(operation["operationId"].is_string(), "{route:?}");
            assert!(
                operation["responses"]["default"].is_object(),
                "{route:?}: errors"
            );
            let names_queue = operation["parameters"]
                .as_array()
                .is_some_and(|parameters| {
                    parameters.iter().any(|parameter| parameter["in"] == "path")
                });
            assert_eq!(names_queue, route.path.contains("{queue}"), "{route:?}");
        }
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name} is not there"
            );
        }
        for name in document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
        {
            assert!(
                text.contains(&format!("\"#/components/schemas/{name}\"")),
                "{name} is unused"
            );
        }
    }
}
