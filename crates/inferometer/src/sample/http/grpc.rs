//! A call over gRPC.

use std::sync::Arc;

use super::{TraceId, Traffic};
use crate::{LabelValue, lifecycle::Outcome};

/// The status of a call: the seventeen codes of gRPC, by the names that its documentation gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum Code {
    /// 0.
    #[label(value = "OK")]
    Ok,
    /// 1: the caller left, or the service says that it did.
    #[label(value = "CANCELLED")]
    Cancelled,
    /// 2, and whatever isn't a code.
    #[label(value = "UNKNOWN")]
    Unknown,
    /// 3.
    #[label(value = "INVALID_ARGUMENT")]
    InvalidArgument,
    /// 4.
    #[label(value = "DEADLINE_EXCEEDED")]
    DeadlineExceeded,
    /// 5.
    #[label(value = "NOT_FOUND")]
    NotFound,
    /// 6.
    #[label(value = "ALREADY_EXISTS")]
    AlreadyExists,
    /// 7.
    #[label(value = "PERMISSION_DENIED")]
    PermissionDenied,
    /// 8.
    #[label(value = "RESOURCE_EXHAUSTED")]
    ResourceExhausted,
    /// 9.
    #[label(value = "FAILED_PRECONDITION")]
    FailedPrecondition,
    /// 10.
    #[label(value = "ABORTED")]
    Aborted,
    /// 11.
    #[label(value = "OUT_OF_RANGE")]
    OutOfRange,
    /// 12.
    #[label(value = "UNIMPLEMENTED")]
    Unimplemented,
    /// 13.
    #[label(value = "INTERNAL")]
    Internal,
    /// 14.
    #[label(value = "UNAVAILABLE")]
    Unavailable,
    /// 15.
    #[label(value = "DATA_LOSS")]
    DataLoss,
    /// 16.
    #[label(value = "UNAUTHENTICATED")]
    Unauthenticated,
}

impl Code {
    /// Every code, by its number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of a `grpc-status`; what isn't one is [`Unknown`](Self::Unknown), as clients have it.
    ///
    /// # Examples
    /// ```
    /// use inferometer::sample::http::Code;
    ///
    /// assert_eq!(Code::from_header(b"12"), Code::Unimplemented);
    /// assert_eq!(Code::from_header(b"+1"), Code::Unknown);
    /// ```
    pub fn from_header(value: &[u8]) -> Self {
        let number = match value {
            [digit @ b'0'..=b'9'] => usize::from(digit - b'0'),
            [b'1', digit @ b'0'..=b'6'] => 10 + usize::from(digit - b'0'),
            _ => return Self::Unknown,
        };
        Self::ALL[number]
    }

    /// The code that stands for the status of an answer without a `grpc-status`, as gRPC's documentation has it.
    pub fn from_http(status: u16) -> Self {
        match status {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// What a call with this code has come to.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Ok => Outcome::Ok,
            Self::Cancelled => Outcome::Cancelled,
            Self::DeadlineExceeded => Outcome::Timeout,
            Self::ResourceExhausted | Self::Unavailable => Outcome::Shed,
            Self::InvalidArgument
            | Self::NotFound
            | Self::AlreadyExists
            | Self::PermissionDenied
            | Self::FailedPrecondition
            | Self::OutOfRange
            | Self::Unimplemented
            | Self::Unauthenticated => Outcome::Rejected,
            Self::Unknown | Self::Aborted | Self::Internal | Self::DataLoss => Outcome::Error,
        }
    }
}

/// A call that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call<'a> {
    /// The service with its package, such as `grpc.health.v1.Health`; [`UNMATCHED`](super::UNMATCHED) when there is none of this name.
    pub service: &'a str,
    /// The method, such as `Check`.
    pub method: &'a str,
    /// The status.
    pub code: Code,
    /// How it ended. A caller that left is [`Outcome::Cancelled`], and so is a call that a service ended with [`Code::Cancelled`].
    pub outcome: Outcome,
    /// Bytes and times. Chunks are pieces of the answer's stream, each a message or a few.
    pub traffic: Traffic,
    /// The trace that it belongs to.
    pub trace: Option<&'a TraceId>,
}

/// Whoever wants to be told of calls: as [`HttpView`](super::HttpView).
pub trait GrpcView: Send + Sync {
    /// A call has arrived.
    fn arrived(&self) {}

    /// It has ended; each that arrived ends once.
    fn ended(&self, call: &Call<'_>);
}

impl<V: GrpcView + ?Sized> GrpcView for Arc<V> {
    fn arrived(&self) {
        self.as_ref().arrived();
    }

    fn ended(&self, call: &Call<'_>) {
        self.as_ref().ended(call);
    }
}

impl<A: GrpcView, B: GrpcView> GrpcView for (A, B) {
    fn arrived(&self) {
        self.0.arrived();
        self.1.arrived();
    }

    fn ended(&self, call: &Call<'_>) {
        self.0.ended(call);
        self.1.ended(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_numbered() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(Code::from_header(number.to_string().as_bytes()), code);
            assert_eq!(code as usize, number);
        }
        for bad in ["", "17", "00", "-1", "1 ", "100", "x"] {
            assert_eq!(Code::from_header(bad.as_bytes()), Code::Unknown, "{bad:?}");
        }
    }
}
