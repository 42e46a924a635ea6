//! Stored procedures with their signatures: what a CALL is checked against before anything runs.

use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use super::ending::Failure;
use super::script::Script;
use super::statement::{self, Argument, Call};

/// Where the vendor's page shows a coercion error; what the warehouse counts from is not known, so it is always this.
const POSITION: &str = "at [1:158]";

/// A workflow whose API access is (or was) enabled.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Procedure {
    /// Its name and parameters.
    pub signature: Signature,
    /// What its jobs do.
    #[serde(default)]
    pub script: Script,
    /// Off after "Disable API access": calls end as not found.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl Procedure {
    /// A procedure that is enabled. The signature is written as in [`Signature`].
    ///
    /// # Errors
    /// When the signature cannot be read: one sentence that says why.
    pub fn new(signature: &str, script: Script) -> Result<Self, String> {
        Ok(Self {
            signature: signature.parse()?,
            script,
            enabled: true,
        })
    }
}

/// A qualified name with typed parameters, written
/// `project.dataset.name(number_of_clusters INT64 = 8, buffer_radius, store_type STRING)`. A parameter without a type
/// takes anything; a default stands in for NULL, as in the procedures that CARTO generates.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The qualified name without quotes.
    pub name: String,
    /// In the order of the CALL.
    pub parameters: Vec<Parameter>,
}

/// One parameter of a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type as written; empty when it takes anything.
    pub kind: String,
    /// What NULL stands for.
    pub default: Option<Value>,
}

impl FromStr for Signature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why} in the signature {text:?}");
        let (name, rest) = text
            .split_once('(')
            .ok_or_else(|| wrong("no opening parenthesis"))?;
        let inside = rest
            .trim_end()
            .strip_suffix(')')
            .ok_or_else(|| wrong("no closing parenthesis"))?;
        let name: String = name.chars().filter(|c| !matches!(c, '`' | '"')).collect();
        if name.trim().is_empty() {
            return Err(wrong("no name"));
        }
        let parameters = statement::split_arguments(inside)
            .into_iter()
            .map(|part| parameter(part).map_err(|why| wrong(&why)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: name.trim().to_owned(),
            parameters,
        })
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

fn parameter(text: &str) -> Result<Parameter, String> {
    let (left, default) = match text.split_once('=') {
        None => (text, None),
        Some((left, value)) => {
            let value = statement::literal(value)
                .ok_or_else(|| format!("a default that is no literal, {:?},", value.trim()))?;
            (left, Some(value))
        }
    };
    let mut words = left.split_whitespace();
    let name = words
        .next()
        .ok_or_else(|| "a parameter without a name".to_owned())?;
    Ok(Parameter {
        name: name.to_owned(),
        kind: words.collect::<Vec<_>>().join(" "),
        default,
    })
}

impl Signature {
    /// The values that a call passes, each NULL replaced by its default.
    ///
    /// # Errors
    /// The failure that the job ends with: a wrong number of arguments, a parameter that was not sent, or a value of
    /// the wrong type.
    pub(super) fn bind(&self, call: &Call, sent: &Value) -> Result<Vec<Value>, Failure> {
        let (wanted, given) = (self.parameters.len(), call.arguments.len());
        if wanted != given {
            return Err(invalid(&format!(
                "Procedure {} takes {wanted} arguments but the call has {given} at [1:6]",
                self.name
            )));
        }
        self.parameters
            .iter()
            .zip(&call.arguments)
            .map(|(parameter, argument)| parameter.accept(argument, sent))
            .collect()
    }

    /// The table that a call with these values drops and makes again.
    pub fn result_table(&self, values: &[Value]) -> String {
        let text = values
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join("\u{1f}");
        format!("{}_out_{:016x}", self.name, fnv1a(text.as_bytes()))
    }
}

impl Parameter {
    fn accept(&self, argument: &Argument, sent: &Value) -> Result<Value, Failure> {
        let Some(value) = value_of(argument, sent)? else {
            return Ok(Value::String(argument.text()));
        };
        if value.is_null() {
            return Ok(self.default.clone().unwrap_or(Value::Null));
        }
        if fits(&self.kind, &value) {
            return Ok(value);
        }
        Err(invalid(&format!(
            "Cannot coerce expression {} to type {} {POSITION}",
            argument.text(),
            self.kind
        )))
    }
}

/// The values of a call whose procedure is not known: only that each parameter was sent can be checked.
///
/// # Errors
/// The failure that the job ends with.
pub(super) fn bind_unknown(call: &Call, sent: &Value) -> Result<Vec<Value>, Failure> {
    call.arguments
        .iter()
        .map(|argument| Ok(value_of(argument, sent)?.unwrap_or(Value::Null)))
        .collect()
}

/// The failure of a call to a procedure that is not there.
pub(super) fn not_found(name: &str) -> Failure {
    invalid(&format!("Procedure is not found: {name} at [1:6]"))
}

fn invalid(what: &str) -> Failure {
    Failure::new("invalidQuery", format!("Query error: {what}"))
}

/// The value of an argument; `None` for an expression that only the warehouse can evaluate.
fn value_of(argument: &Argument, sent: &Value) -> Result<Option<Value>, Failure> {
    let found = match argument {
        Argument::Named(name) => sent.get(name.as_str()),
        Argument::Position(at) => sent.get(*at),
        Argument::Literal(value) => Some(value),
        Argument::Expression(_) => return Ok(None),
    };
    found.cloned().map(Some).ok_or_else(|| {
        invalid(&format!(
            "Query parameter '{}' not found {POSITION}",
            argument.text().trim_start_matches('@')
        ))
    })
}

/// Whether a JSON value can be passed as this SQL type. Types that are not known take anything.
fn fits(kind: &str, value: &Value) -> bool {
    let kind = kind.to_ascii_uppercase();
    let base = kind.split('(').next().unwrap_or("").trim();
    match base {
        "INT64" | "INTEGER" | "INT" | "BIGINT" | "SMALLINT" => is_whole(value),
        "FLOAT64" | "NUMERIC" | "BIGNUMERIC" | "DOUBLE" | "DOUBLE PRECISION" | "FLOAT" | "REAL"
        | "NUMBER" | "DECIMAL" => value.is_number(),
        "STRING" | "VARCHAR" | "TEXT" | "CHARACTER VARYING" => value.is_string(),
        "BOOL" | "BOOLEAN" => value.is_boolean(),
        "DATE" | "DATETIME" | "TIMESTAMP" => value.is_string(),
        _ => true,
    }
}

/// 2 and 2.0 are whole, 2.5 is not.
fn is_whole(value: &Value) -> bool {
    let Value::Number(number) = value else {
        return false;
    };
    number.is_i64()
        || number.is_u64()
        || number
            .as_f64()
            .is_some_and(|f| f.fract() == 0.0 && f.abs() < 9.3e18)
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    fn signature() -> Signature {
        "p.d.wf(number_of_clusters INT64 = 8, buffer_radius FLOAT64, store_type STRING)"
            .parse()
            .unwrap()
    }

    fn call() -> Call {
        statement::parse("CALL `p.d.wf`(@number_of_clusters,@buffer_radius,@store_type)").unwrap()
    }

    fn bind(sent: Value) -> Result<Vec<Value>, Failure> {
        signature().bind(&call(), &sent)
    }

    #[test]
    fn right_values_are_bound_in_the_order_of_the_signature() {
        let values =
            bind(json!({"store_type": "Hyper", "number_of_clusters": 2, "buffer_radius": 1.5}));
        assert_eq!(values.unwrap(), [json!(2), json!(1.5), json!("Hyper")]);
    }

    #[test]
    fn a_wrong_type_fails_with_the_words_of_the_vendors_page() {
        let failure =
            bind(json!({"number_of_clusters": "2", "buffer_radius": 1, "store_type": "x"}))
                .unwrap_err();
        assert_eq!(failure.reason, "invalidQuery");
        assert_eq!(failure.location.as_deref(), Some("query"));
        assert_eq!(
            failure.message,
            "Query error: Cannot coerce expression @number_of_clusters to type INT64 at [1:158]"
        );
    }

    #[test]
    fn a_wrong_count_and_a_missing_parameter_fail() {
        let short = statement::parse("CALL p.d.wf(1, 2)").unwrap();
        let failure = signature().bind(&short, &json!({})).unwrap_err();
        assert!(
            failure
                .message
                .contains("takes 3 arguments but the call has 2")
        );
        let failure = bind(json!({"number_of_clusters": 1, "store_type": "x"})).unwrap_err();
        assert!(
            failure
                .message
                .contains("Query parameter 'buffer_radius' not found")
        );
    }

    #[test]
    fn null_takes_the_default() {
        let sent = json!({"number_of_clusters": null, "buffer_radius": null, "store_type": "x"});
        assert_eq!(bind(sent).unwrap(), [json!(8), Value::Null, json!("x")]);
    }

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        for (text, fits_int) in [("2", true), ("2.0", true), ("2.5", false), ("true", false)] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(fits("INT64", &value), fits_int, "{text}");
        }
        assert!(fits("FLOAT64", &json!(2)) && !fits("STRING", &json!(2)) && fits("", &json!([1])));
        assert!(fits("VARCHAR(20)", &json!("x")));
    }

    #[test]
    fn equal_values_write_the_same_table() {
        let s = signature();
        assert_eq!(s.result_table(&[json!(1)]), s.result_table(&[json!(1)]));
        assert_ne!(s.result_table(&[json!(1)]), s.result_table(&[json!(2)]));
        assert!(s.result_table(&[]).starts_with("p.d.wf_out_"));
    }

    #[test]
    fn a_wrong_signature_is_named() {
        for text in ["p.d.wf", "(a INT64)", "p(a INT64 = soon)", "p(a, , b)"] {
            let error = text.parse::<Signature>().unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
