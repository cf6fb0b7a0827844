//! Reading a request's body as JSON.

use http::header;
use serde::de::DeserializeOwned;
use shoal_api::{Problem, json};
use shoal_types::ErrorCode;

use super::headers::{self, ContentType};
pub(super) use crate::intake::{Taken, take};

impl Taken {
    /// The body as JSON.
    ///
    /// # Errors
    /// If it is something else, or not the JSON that is expected.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        self.check_json()?;
        json::read(&self.body)
    }

    /// The body as JSON, where having none at all is fine.
    ///
    /// # Errors
    /// As [`Taken::json`].
    pub(super) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() {
            Ok(T::default())
        } else {
            self.json()
        }
    }

    fn check_json(&self) -> Result<(), Problem> {
        let said = self.headers.contains_key(header::CONTENT_TYPE);
        if said && headers::content_type(&self.headers) != ContentType::Json {
            let detail = "content-type: this is taken as application/json only";
            let problem = Problem::new(ErrorCode::UnsupportedMediaType, detail);
            return Err(problem.at("content-type"));
        }
        Ok(())
    }
}
