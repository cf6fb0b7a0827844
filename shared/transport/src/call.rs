//! What a call and its answer look like inside their frames.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shoal_types::limits::FRAME_BYTES_MAX;
use shoal_types::{
    ErrorCode, HostReply, HostRequest, Refusal, Ts, WireError, decode_frame, encode_frame,
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

#[derive(Serialize, Deserialize)]
struct AnswerHead {
    clock: Ts,
    result: Result<HostReply, Refusal>,
}

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
pub(crate) fn encode_answer(response: Response) -> Vec<Bytes> {
    let head = AnswerHead {
        clock: response.clock,
        result: response.result,
    };
    let chunks = encode_frame(&head, &response.bodies);
    if payload_bytes(&chunks) <= FRAME_BYTES_MAX {
        return chunks;
    }
    let refusal = Refusal::unknown(ErrorCode::TooLarge, "the answer does not fit into a frame");
    encode_frame(
        &AnswerHead {
            clock: response.clock,
            result: Err(refusal),
        },
        &[],
    )
}

pub(crate) fn decode_answer(payload: Bytes) -> Result<Response, WireError> {
    let frame = decode_frame::<AnswerHead>(payload)?;
    let AnswerHead { clock, result } = frame.head;
    Ok(Response {
        clock,
        result,
        bodies: frame.bodies,
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
        let bodies = vec![Bytes::from(vec![0; 1 << 20]); 9];
        let result = Ok(HostReply::Outcome(Outcome::Done));
        let answer = encode_answer(Response {
            clock: Ts(7),
            result,
            bodies,
        });
        let answer = decode_answer(shoal_types::join(&answer)).unwrap();
        assert_eq!((answer.clock, answer.bodies.len()), (Ts(7), 0));
        assert_eq!(answer.result.unwrap_err().code, ErrorCode::TooLarge);
    }

    #[test]
    fn a_wait_beyond_49_days_is_49_days() {
        let call = encode_call(&HostRequest::Status, &[], Duration::MAX);
        let (request, _, wait) = decode_call(shoal_types::join(&call)).unwrap();
        assert_eq!(request, HostRequest::Status);
        assert_eq!(wait, Duration::from_millis(u32::MAX.into()));
    }
}
