//! What goes wrong with a request: a status and an [`ErrorView`].

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::wire::ErrorView;
use crate::store::StoreError;

/// What went wrong, and the status that says so.
#[derive(Debug)]
pub(super) struct Wrong {
    status: StatusCode,
    pub(super) view: ErrorView,
}

/// The error with what to do about it.
pub(super) fn wrong(
    status: StatusCode,
    error: impl Into<String>,
    hint: impl Into<String>,
) -> Wrong {
    Wrong {
        status,
        view: ErrorView {
            error: error.into(),
            hint: Some(hint.into()),
        },
    }
}

/// The client is wrong.
pub(super) fn bad(error: impl Into<String>, hint: impl Into<String>) -> Wrong {
    wrong(StatusCode::BAD_REQUEST, error, hint)
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.status, Json(self.view)).into_response()
    }
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        wrong(
            status,
            error.to_string(),
            "`nightcall status` says whether it lasts",
        )
    }
}
