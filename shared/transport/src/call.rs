//! What a call and its answer look like inside their frames.
//!
//! A call is encoded before there is a connection, so it is the same in every version: what may be asked
//! grows by further requests, which a host that does not know them refuses. An answer is of the
//! connection's version; in version 3 what came of it stands before the clock.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_types::limits::FRAME_BYTES_MAX;
use shoal_types::{
    ErrorCode, HostReply, HostRequest, Refusal, Ts, WireError, WireVersion, decode_frame,
    encode_frame,
};

/// What a host answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The host's clock when it answered; [`Ts::ZERO`] if it refused without looking at it.
    pub clock: Ts,
    /// What came of it.
    pub result: Result<HostReply, Refusal>,
    /// Bodies of delivered or peeked messages, in the reply's order.
    pub bodies: Vec<Bytes>,
}

/// The head of a call; generic so that it is encoded from a reference and decoded to a value.
#[derive(Serialize, Deserialize)]
struct CallHead<R> {
    /// How long the caller still waits; a length and not a time, since clocks differ.
    wait_ms: u32,
    request: R,
}

type CallResult = Result<HostReply, Refusal>;

pub(crate) fn encode_call(request: &HostRequest, bodies: &[Bytes], wait: Duration) -> Vec<Bytes> {
    let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
    encode_frame(&CallHead { wait_ms, request }, bodies)
}

pub(crate) fn decode_call(
    payload: Bytes,
) -> Result<(HostRequest, Vec<Bytes>, Duration), WireError> {
    let frame = decode_frame::<CallHead<HostRequest>>(payload)?;
    let wait = Duration::from_millis(frame.head.wait_ms.into());
    Ok((frame.head.request, frame.bodies, wait))
}

/// Encodes an answer; one that does not fit into a frame is replaced by a refusal that says so.
pub(crate) fn encode_answer(version: WireVersion, response: Response) -> Vec<Bytes> {
    let Response {
        clock,
        result,
        bodies,
    } = response;
    let encode = |result: &CallResult, bodies: &[Bytes]| match version {
        WireVersion::V2 => encode_frame(&(clock, result), bodies),
        WireVersion::V3 => encode_frame(&(result, clock), bodies),
    };
    let chunks = encode(&result, &bodies);
    if payload_bytes(&chunks) <= FRAME_BYTES_MAX {
        return chunks;
    }
    let refusal = Refusal::unknown(ErrorCode::TooLarge, "the answer does not fit into a frame");
    encode(&Err(refusal), &[])
}

pub(crate) fn decode_answer(version: WireVersion, payload: Bytes) -> Result<Response, WireError> {
    let ((clock, result), bodies) = match version {
        WireVersion::V2 => {
            let frame = decode_frame::<(Ts, CallResult)>(payload)?;
            (frame.head, frame.bodies)
        }
        WireVersion::V3 => {
            let frame = decode_frame::<(CallResult, Ts)>(payload)?;
            let (result, clock) = frame.head;
            ((clock, result), frame.bodies)
        }
    };
    Ok(Response {
        clock,
        result,
        bodies,
    })
}

pub(crate) fn payload_bytes(chunks: &[Bytes]) -> usize {
    chunks.iter().map(Bytes::len).sum()
}

#[cfg(test)]
mod tests {
    use shoal_types::{HostReply, Outcome};

    use super::*;

    #[test]
    fn an_answer_that_fits_into_no_frame_becomes_a_refusal() {
        for version in [WireVersion::V2, WireVersion::V3] {
            let bodies = vec![Bytes::from(vec![0; 1 << 20]); 9];
            let large = answered(bodies);
            let answer = shoal_types::join(&encode_answer(version, large));
            let answer = decode_answer(version, answer).unwrap();
            assert_eq!((answer.clock, answer.bodies.len()), (Ts(7), 0));
            assert_eq!(answer.result.unwrap_err().code, ErrorCode::TooLarge);
        }
    }

    fn answered(bodies: Vec<Bytes>) -> Response {
        Response {
            clock: Ts(7),
            result: Ok(HostReply::Outcome(Outcome::Done)),
            bodies,
        }
    }

    #[test]
    fn an_answer_comes_back_in_the_version_it_was_written_in_and_in_no_other() {
        let answer = answered(vec![Bytes::from_static(b"body")]);
        for (version, other) in [
            (WireVersion::V2, WireVersion::V3),
            (WireVersion::V3, WireVersion::V2),
        ] {
            let bytes = shoal_types::join(&encode_answer(version, answer.clone()));
            assert_eq!(decode_answer(version, bytes.clone()).unwrap(), answer);
            assert_ne!(decode_answer(other, bytes).ok(), Some(answer.clone()));
        }
    }

    #[test]
    fn a_wait_beyond_49_days_is_49_days() {
        let call = encode_call(&HostRequest::Status, &[], Duration::MAX);
        let (request, _, wait) = decode_call(shoal_types::join(&call)).unwrap();
        assert_eq!(request, HostRequest::Status);
        assert_eq!(wait, Duration::from_millis(u32::MAX.into()));
    }
}
