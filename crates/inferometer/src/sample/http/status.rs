//! The status of an answer.

use crate::{LabelValue, lifecycle::Outcome};

/// The status codes that are told apart: those that are registered, and 499, which proxies use for a client that left.
const CODES: [u16; 63] = [
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
    305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415,
    416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504,
    505, 506, 507, 508, 510, 511,
];

/// What stands in a label: the codes above, any other, and none.
const TEXTS: [&str; 65] = [
    "100", "101", "102", "103", "200", "201", "202", "203", "204", "205", "206", "207", "208",
    "226", "300", "301", "302", "303", "304", "305", "307", "308", "400", "401", "402", "403",
    "404", "405", "406", "407", "408", "409", "410", "411", "412", "413", "414", "415", "416",
    "417", "418", "421", "422", "423", "424", "425", "426", "428", "429", "431", "451", "499",
    "500", "501", "502", "503", "504", "505", "506", "507", "508", "510", "511", "other", "none",
];

const OTHER: usize = CODES.len();
const NONE: usize = CODES.len() + 1;

/// The place of each code below 512 in [`TEXTS`].
const PLACES: [u8; 512] = {
    #[expect(clippy::cast_possible_truncation, reason = "65 texts")]
    let mut places = [OTHER as u8; 512];
    let mut at = 0;
    while at < CODES.len() {
        #[expect(clippy::cast_possible_truncation, reason = "65 texts")]
        let place = at as u8;
        places[CODES[at] as usize] = place;
        at += 1;
    }
    places
};

/// An answer's status, as a label with 65 values: the registered codes, `other`, and `none` where there was no answer.
///
/// # Examples
/// ```
/// use inferometer::{LabelValue, lifecycle::Outcome, sample::http::{Status, StatusClass}};
///
/// let teapot = Status::of(418);
/// assert_eq!(Status::VALUES.unwrap()[teapot.index()], "418");
/// assert_eq!(teapot.class(), StatusClass::ClientError);
/// assert_eq!(teapot.outcome(), Outcome::Rejected);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status(u16);

impl Status {
    /// No answer was made.
    pub const NONE: Self = Self(0);

    /// The status with this code.
    pub fn of(code: u16) -> Self {
        Self(code)
    }

    /// The code; `None` where there was no answer.
    pub fn code(self) -> Option<u16> {
        (self != Self::NONE).then_some(self.0)
    }

    /// Its class.
    pub fn class(self) -> StatusClass {
        match self.0 {
            0 => StatusClass::None,
            100..=199 => StatusClass::Informational,
            200..=299 => StatusClass::Success,
            300..=399 => StatusClass::Redirection,
            400..=499 => StatusClass::ClientError,
            500..=599 => StatusClass::ServerError,
            _ => StatusClass::Other,
        }
    }

    /// What an exchange with this status has come to, if it was answered to its end: 408 and 504 are timeouts, 429 and 503 were shed,
    /// 499 was cancelled, other 4xx were rejected, other 5xx and no answer at all are errors.
    pub fn outcome(self) -> Outcome {
        match self.0 {
            100..=399 => Outcome::Ok,
            408 | 504 => Outcome::Timeout,
            429 | 503 => Outcome::Shed,
            499 => Outcome::Cancelled,
            400..=498 => Outcome::Rejected,
            _ => Outcome::Error,
        }
    }
}

impl LabelValue for Status {
    const VALUES: Option<&'static [&'static str]> = Some(&TEXTS);

    #[inline]
    fn index(&self) -> usize {
        match self.0 {
            0 => NONE,
            code => PLACES
                .get(usize::from(code))
                .map_or(OTHER, |place| usize::from(*place)),
        }
    }

    fn with_text(&self, take: &mut dyn FnMut(&str)) {
        take(TEXTS[self.index()]);
    }
}

/// The class of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, LabelValue)]
pub enum StatusClass {
    /// 100 to 199.
    #[label(value = "1xx")]
    Informational,
    /// 200 to 299.
    #[label(value = "2xx")]
    Success,
    /// 300 to 399.
    #[label(value = "3xx")]
    Redirection,
    /// 400 to 499.
    #[label(value = "4xx")]
    ClientError,
    /// 500 to 599.
    #[label(value = "5xx")]
    ServerError,
    /// Outside of these.
    Other,
    /// No answer was made.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_own_text() {
        for code in 1..=u16::MAX {
            let text = TEXTS[Status::of(code).index()];
            if CODES.contains(&code) {
                assert_eq!(text, code.to_string());
            } else {
                assert_eq!(text, "other");
            }
        }
        assert_eq!(TEXTS[Status::NONE.index()], "none");
        assert_eq!(Status::NONE.code(), None);
    }

    #[test]
    fn codes_come_to_the_outcome_of_their_meaning() {
        for (code, outcome) in [
            (200, Outcome::Ok),
            (304, Outcome::Ok),
            (404, Outcome::Rejected),
            (408, Outcome::Timeout),
            (429, Outcome::Shed),
            (499, Outcome::Cancelled),
            (500, Outcome::Error),
            (503, Outcome::Shed),
            (504, Outcome::Timeout),
            (700, Outcome::Error),
        ] {
            assert_eq!(Status::of(code).outcome(), outcome, "{code}");
        }
        assert_eq!(Status::NONE.outcome(), Outcome::Error);
    }
}
