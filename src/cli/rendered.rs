//! What a series sends for an occurrence: its parameters with the templates filled in.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::words;
use crate::sched::call::Parameters;
use crate::sched::id::RunId;
use crate::sched::run::Run;
use crate::sched::schedule::Definition;
use crate::sched::template::Occasion;
use crate::sched::trigger::Occurrence;

/// What is sent for an occurrence in the schedule's zone.
pub(super) fn for_occurrence(
    definition: &Definition,
    occurrence: &Occurrence,
    zone: &TimeZone,
) -> Arc<Parameters> {
    definition.parameters.rendered(&Occasion {
        run: &RunId::planned(definition.series.clone(), occurrence.instant),
        civil: occurrence.civil,
        fold: occurrence.fold,
        zone,
    })
}

/// What a definition sends for the occurrence of a run.
pub(super) fn for_run(definition: &Definition, run: &Run, zone: &TimeZone) -> Arc<Parameters> {
    definition.parameters.rendered(&Occasion {
        run: &run.id,
        civil: run.civil,
        fold: run.fold,
        zone,
    })
}

/// The values in which a template was filled in; `None` when there is none.
pub(super) fn filled_in(definition: &Definition, rendered: &Parameters) -> Option<String> {
    let written = &definition.parameters;
    if !written.has_templates() {
        return None;
    }
    Some(words::parameters(&match rendered {
        Parameters::Named(map) => {
            let filled = map.iter().filter(|(name, _)| written.is_templated(name));
            Parameters::Named(filled.map(|(n, v)| (n.clone(), v.clone())).collect())
        }
        Parameters::Positional(list) => Parameters::Positional(list.clone()),
    }))
}
