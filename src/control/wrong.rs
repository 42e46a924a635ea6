//! What goes wrong with a request: a status, and an [`ErrorView`] with a code, a sentence and what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::wire::ErrorView;
use crate::store::StoreError;

/// Every code with its status. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request cannot be understood.
    BadRequest,
    /// It carries no token, or another.
    Unauthorized,
    /// It comes by a way that is not allowed.
    Forbidden,
    /// There is nothing by this name or at this path.
    NotFound,
    /// This path takes another method.
    MethodNotAllowed,
    /// The body did not come in time.
    BodyTimeout,
    /// The daemon says no; nothing was changed.
    Refused,
    /// The body is too long.
    TooLarge,
    /// The configuration was not taken; the former one is in force.
    Configuration,
    /// The database holds what it must not hold.
    Internal,
    /// Nothing can be put on record now.
    Unavailable,
    /// There was no decision in time; there may yet be one.
    NoAnswer,
}

impl Code {
    /// Every code with its word and its HTTP status.
    pub const ALL: [(Self, &'static str, u16); 12] = [
        (Self::BadRequest, "bad_request", 400),
        (Self::Unauthorized, "unauthorized", 401),
        (Self::Forbidden, "forbidden", 403),
        (Self::NotFound, "not_found", 404),
        (Self::MethodNotAllowed, "method_not_allowed", 405),
        (Self::BodyTimeout, "body_timeout", 408),
        (Self::Refused, "refused", 409),
        (Self::TooLarge, "too_large", 413),
        (Self::Configuration, "configuration", 422),
        (Self::Internal, "internal", 500),
        (Self::Unavailable, "unavailable", 503),
        (Self::NoAnswer, "no_answer", 504),
    ];

    fn row(self) -> (&'static str, StatusCode) {
        let row = Self::ALL.iter().find(|(code, ..)| *code == self);
        let (word, status) = row.map_or(("internal", 500), |(_, word, status)| (word, *status));
        let status = StatusCode::from_u16(status);
        (word, status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// What went wrong.
#[derive(Debug)]
pub(super) struct Wrong {
    code: Code,
    pub(super) view: ErrorView,
}

/// The error with what to do about it.
pub(super) fn wrong(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong {
        code,
        view: ErrorView {
            code: code.row().0.to_owned(),
            message: message.into(),
            hint: Some(hint.into()),
        },
    }
}

/// The client is wrong.
pub(super) fn bad(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    wrong(Code::BadRequest, message, hint)
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.code.row().1, Json(self.view)).into_response()
    }
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable(_) => Code::Unavailable,
            _ => Code::Internal,
        };
        wrong(
            code,
            error.to_string(),
            "`nightcall status` says whether it lasts",
        )
    }
}
