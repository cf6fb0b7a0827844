//! Reading parameters: both protocols become the same tree of values, and one set of functions takes typed
//! members out of it. So a parameter that is missing, or not what it should be, is answered in the same way
//! whichever protocol it came in.

mod form;
pub(crate) mod json;
mod members;
mod value;

pub(crate) use form::{Form, decode, decode_bytes, hex_byte};
pub(crate) use members::{Context, List, Members, Texts};
pub(crate) use value::Fields;

use crate::{ErrorKind, SqsError, limits};

/// A request with more parameters than any that means something.
fn too_many() -> SqsError {
    let most = limits::PARAMETERS_MAX;
    let message = format!("The request has more than {most} parameters.");
    SqsError::new(ErrorKind::InvalidParameterValue, message)
}
