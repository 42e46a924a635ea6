//! Figures: quantiles, the table for people and the JSON for programs.

use std::path::{Path, PathBuf};

use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};

/// A quantile of sorted values: the smallest value that so many are not above.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .or(sorted.last())
        .copied()
        .unwrap_or(f64::NAN)
}

/// Values in order, for [`quantile`].
pub(crate) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The middle of some values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(&sorted(values), 0.5)
}

/// One row of figures, by the names of their columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row(pub(crate) Vec<(&'static str, Figure)>);

/// A cell.
#[derive(Clone, Debug)]
pub(crate) enum Figure {
    /// A word.
    Word(String),
    /// A number, shown with so many decimals.
    Number(f64, usize),
}

impl Row {
    /// With one more number.
    pub(crate) fn number(mut self, name: &'static str, value: f64, decimals: usize) -> Self {
        self.0.push((name, Figure::Number(value, decimals)));
        self
    }

    /// With one more word.
    pub(crate) fn word(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, Figure::Word(value.into())));
        self
    }

    /// A number of this row.
    pub(crate) fn get(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(n, _)| *n == name);
        match found {
            Some((_, Figure::Number(value, _))) => *value,
            _ => f64::NAN,
        }
    }

    /// The row whose every number is the median of these rows.
    pub(crate) fn middle(rows: &[Self]) -> Self {
        let Some(first) = rows.first() else {
            return Self::default();
        };
        let cells = first.0.iter().map(|(name, figure)| match figure {
            Figure::Word(word) => (*name, Figure::Word(word.clone())),
            Figure::Number(_, decimals) => {
                let value = median(rows.iter().map(|row| row.get(name)));
                (*name, Figure::Number(value, *decimals))
            }
        });
        Self(cells.collect())
    }
}

/// Prints the rows as a table, and writes them as JSON into `target/bench/NAME.json`.
pub(crate) fn tell(name: &str, title: &str, facts: &[(&str, String)], rows: &[Row]) {
    println!("\n{title}");
    for (what, said) in facts {
        println!("  {what}: {said}");
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    if let Some(first) = rows.first() {
        table.set_header(first.0.iter().map(|(name, _)| *name));
    }
    for row in rows {
        table.add_row(row.0.iter().map(|(_, figure)| match figure {
            Figure::Word(word) => word.clone(),
            Figure::Number(value, decimals) => format!("{value:.decimals$}"),
        }));
    }
    println!("{table}");
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let cells = row.0.iter().map(|(name, figure)| {
                let value = match figure {
                    Figure::Word(word) => json!(word),
                    Figure::Number(value, _) => json!(value),
                };
                ((*name).to_owned(), value)
            });
            Value::Object(cells.collect::<Map<_, _>>())
        })
        .collect();
    let facts: Map<String, Value> = facts
        .iter()
        .map(|(what, said)| ((*what).to_owned(), json!(said)))
        .collect();
    let path = folder().join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(&json!({ "facts": facts, "rows": rows }))
        .expect("figures are JSON");
    std::fs::write(&path, text + "\n").expect("the figures can be written");
    println!("written to {}", path.display());
}

/// Draws lateness (median and 99th percentile) against N, both axes logarithmic, into `target/bench/NAME.svg`.
pub(crate) fn draw(name: &str, rows: &[Row]) {
    let most = |column: &str| rows.iter().map(|row| row.get(column)).fold(10.0, f64::max);
    let (wide, high) = (480.0, 260.0);
    let across = most("N").log10().ceil();
    let up = most("p99").log10().ceil();
    let x = |n: f64| 70.0 + wide * n.max(1.0).log10() / across;
    // One decade below a millisecond is shown.
    let y = |late: f64| 30.0 + high * (1.0 - (late.max(0.1).log10() + 1.0) / (up + 1.0));
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 580 350\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"580\" height=\"350\" fill=\"white\"/>\n\
         <text x=\"70\" y=\"18\">milliseconds between the due second and the request at the vendor</text>\n\
         <text x=\"310\" y=\"342\" text-anchor=\"middle\">schedules due in one second</text>\n",
    );
    let mut add = |line: String| svg.push_str(&(line + "\n"));
    for decade in 0..=across as i32 {
        let (n, at) = (10f64.powi(decade), x(10f64.powi(decade)));
        add(format!(
            "<path d=\"M{at:.1} 30V{:.1}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{n}</text>",
            30.0 + high,
            48.0 + high
        ));
    }
    for decade in -1..=up as i32 {
        let (late, at) = (10f64.powi(decade), y(10f64.powi(decade)));
        add(format!(
            "<path d=\"M70 {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"62\" y=\"{:.1}\" \
             text-anchor=\"end\">{late}</text>",
            70.0 + wide,
            at + 4.0
        ));
    }
    for (column, colour) in [("p50", "#1b7837"), ("p99", "#762a83")] {
        let points: Vec<String> = rows
            .iter()
            .map(|row| format!("{:.1},{:.1}", x(row.get("N")), y(row.get(column))))
            .collect();
        add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        if let Some(last) = rows.last() {
            add(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{column}</text>",
                x(last.get("N")) + 4.0,
                y(last.get(column)) + 4.0
            ));
        }
    }
    svg.push_str("</svg>\n");
    let path = folder().join(format!("{name}.svg"));
    std::fs::write(&path, svg).expect("the picture can be written");
    println!("drawn in {}", path.display());
}

/// Where figures are written.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    std::fs::create_dir_all(&folder).expect("a folder for the figures");
    std::fs::canonicalize(&folder).unwrap_or(folder)
}
