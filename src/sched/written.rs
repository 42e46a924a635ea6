//! The parameters of a series as its configuration has them: values, and templates in place of some.
//!
//! Invariant: what leaves with a run is [`Parameters`], and those come of these by rendering alone. Where no template
//! is, the values are shared and never copied.

use std::sync::Arc;

use serde_json::Value;

use super::call::Parameters;
use super::template::{Occasion, Template, is_template};

/// Values, some of which may be templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// As they are written: a template is its text, one for a number the object `{"number": text}`.
    values: Arc<Parameters>,
    /// `None` when there is no template.
    templates: Option<Arc<Vec<Templated>>>,
}

/// A template and where it stands.
#[derive(Clone, Debug, PartialEq)]
struct Templated {
    /// A JSON pointer into the values.
    at: String,
    template: Template,
    number: bool,
}

/// No template stands at this place of the values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no template at {0}")]
pub struct NoTemplate(pub String);

impl Written {
    /// Values with templates at these places, each a JSON pointer to a text, or to an object whose only key is
    /// `number`.
    pub fn with_templates(mut values: Parameters, places: Vec<String>) -> Result<Self, NoTemplate> {
        let mut templates = Vec::with_capacity(places.len());
        for at in places {
            match slot(&mut values, &at).and_then(|value| read(value)) {
                Some((template, number)) => templates.push(Templated {
                    at,
                    template,
                    number,
                }),
                None => return Err(NoTemplate(at)),
            }
        }
        Ok(Self {
            values: Arc::new(values),
            templates: (!templates.is_empty()).then(|| Arc::new(templates)),
        })
    }

    /// The values as they are written.
    pub fn values(&self) -> &Arc<Parameters> {
        &self.values
    }

    /// The values as they are written, as one JSON value.
    pub fn to_json(&self) -> Value {
        self.values.to_json()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a run is sent something else than what is written.
    pub fn has_templates(&self) -> bool {
        self.templates.is_some()
    }

    /// Where the templates stand, as JSON pointers.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.templated().iter().map(|t| t.at.as_str())
    }

    /// Whether a template stands in the value of this name.
    pub fn is_templated(&self, name: &str) -> bool {
        let place = pointer(name, "");
        self.places()
            .filter_map(|at| at.strip_prefix(&place))
            .any(|inner| inner.is_empty() || inner.starts_with('/'))
    }

    /// Whether some value follows the date of the occurrence.
    pub fn is_dated(&self) -> bool {
        self.templated().iter().any(|t| t.template.is_dated())
    }

    /// The values for an occurrence.
    pub fn rendered(&self, occasion: &Occasion<'_>) -> Arc<Parameters> {
        let Some(templates) = &self.templates else {
            return Arc::clone(&self.values);
        };
        let mut values = (*self.values).clone();
        for templated in templates.iter() {
            if let Some(value) = slot(&mut values, &templated.at) {
                *value = templated.value(occasion);
            }
        }
        Arc::new(values)
    }

    fn templated(&self) -> &[Templated] {
        self.templates.as_ref().map_or(&[], |all| all)
    }
}

impl Templated {
    fn value(&self, occasion: &Occasion<'_>) -> Value {
        match self.number {
            true => self.template.number(occasion).into(),
            false => self.template.render(occasion).into(),
        }
    }
}

impl From<Parameters> for Written {
    /// Values without templates.
    fn from(values: Parameters) -> Self {
        Arc::new(values).into()
    }
}

impl From<Arc<Parameters>> for Written {
    /// Values without templates.
    fn from(values: Arc<Parameters>) -> Self {
        Self {
            values,
            templates: None,
        }
    }
}

/// The JSON pointer to what `inner` points at in the value of `key`.
pub fn pointer(key: &str, inner: &str) -> String {
    let key = key.replace('~', "~0").replace('/', "~1");
    format!("/{key}{inner}")
}

/// What a JSON pointer leads to.
fn slot<'v>(values: &'v mut Parameters, at: &str) -> Option<&'v mut Value> {
    let path = at.strip_prefix('/')?;
    let (first, inner) = path.split_at(path.find('/').unwrap_or(path.len()));
    let first = first.replace("~1", "/").replace("~0", "~");
    let value = match values {
        Parameters::Named(map) => map.get_mut(&first),
        Parameters::Positional(list) => list.get_mut(first.parse::<usize>().ok()?),
    };
    value?.pointer_mut(inner)
}

/// A template as it is written, and whether it is for a number.
fn read(value: &Value) -> Option<(Template, bool)> {
    let (text, number) = match value {
        Value::String(text) => (text.as_str(), false),
        Value::Object(map) if map.len() == 1 => (map.get("number")?.as_str()?, true),
        _ => return None,
    };
    let template = Template::parse(text).ok().filter(|_| is_template(text))?;
    (!number || template.always_number().is_ok()).then_some((template, number))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::sched::id::RunId;
    use crate::sched::time::TimeZone;
    use crate::sched::trigger::Fold;
    use serde_json::json;

    fn values(json: Value) -> Parameters {
        Parameters::from_json(json).unwrap()
    }

    fn places(all: &[&str]) -> Vec<String> {
        all.iter().map(|at| (*at).to_owned()).collect()
    }

    fn rendered(written: &Written) -> Arc<Parameters> {
        let run: RunId = "s/x@2026-02-03T01:15:00Z".parse().unwrap();
        written.rendered(&Occasion {
            run: &run,
            civil: "2026-02-03T02:15:00".parse().unwrap(),
            fold: Fold::First,
            zone: &TimeZone::UTC,
        })
    }

    #[test]
    fn values_without_templates_are_shared_whatever_they_look_like() {
        let written = Written::from(values(json!({"a": "{{ date }}", "b": {"number": "{{ x"}})));
        assert!(Arc::ptr_eq(&rendered(&written), written.values()));
        assert!(!written.has_templates() && !written.is_templated("a"));
    }

    #[test]
    fn templates_are_filled_in_where_they_stand_and_nowhere_else() {
        let json = json!({
            "a/b~c": ["{{ date }}", {"deep": {"number": "{{ date | format('%d') }}"}}],
            "d": "{{ date }}", "e": "{{ set }}", "n": 2.0,
        });
        let all = places(&["/a~1b~0c/0", "/a~1b~0c/1/deep", "/e"]);
        let written = Written::with_templates(values(json), all).unwrap();
        assert_eq!(
            rendered(&written).to_json().to_string(),
            r#"{"a/b~c":["2026-02-03",{"deep":3}],"d":"{{ date }}","e":"x","n":2.0}"#
        );
        let templated = ["a/b~c", "d", "e", "n"].map(|name| written.is_templated(name));
        assert_eq!(templated, [true, false, true, false]);
        assert!(written.is_dated());
        let list = values(json!(["x", "{{ set }}"]));
        let list = Written::with_templates(list, places(&["/1"])).unwrap();
        assert_eq!(rendered(&list).to_json().to_string(), r#"["x","x"]"#);
        assert!(!list.is_dated());
    }

    #[test]
    fn a_place_without_a_template_is_refused() {
        let json = json!({"a": "{{ date }}", "b": 1, "c": "plain", "d": {"number": "{{ date }}"}, "e": "{{ x }}"});
        for at in ["", "/", "a", "/b", "/c", "/d", "/e", "/x", "/a/0"] {
            let refused = Written::with_templates(values(json.clone()), places(&[at]));
            assert_eq!(refused, Err(NoTemplate(at.to_owned())));
        }
    }
}
