//! Another configuration takes the place of the present one while runs are live.
