//! Pairs of measurements, taken in turn, and what they show together.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// What a benchmark found.
pub(crate) struct Report {
    bench: &'static str,
    /// What the baseline is.
    baseline: &'static str,
    /// Ours to the baseline's in each pair; higher is better, 1 is as good.
    ratios: Vec<f64>,
    /// Everything that was measured, by name (its unit at the end), in the order of the pairs.
    figures: BTreeMap<&'static str, Vec<f64>>,
    /// What should hold, and whether it does.
    goals: Vec<(String, bool)>,
}

/// Middle, least and most of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

// === impl Report ===

impl Report {
    pub(crate) fn new(bench: &'static str, baseline: &'static str) -> Self {
        Self {
            bench,
            baseline,
            ratios: Vec::new(),
            figures: BTreeMap::new(),
            goals: Vec::new(),
        }
    }

    /// One pair's ratio.
    pub(crate) fn ratio(&mut self, ratio: f64) {
        eprintln!(
            "  {} pair {}: {ratio:.2}",
            self.bench,
            self.ratios.len() + 1
        );
        self.ratios.push(ratio);
    }

    /// One measurement.
    pub(crate) fn figure(&mut self, name: &'static str, value: f64) {
        self.figures.entry(name).or_default().push(value);
    }

    /// The median of a figure, for a goal.
    pub(crate) fn median(&self, name: &str) -> f64 {
        self.figures
            .get(name)
            .map_or(f64::NAN, |values| summary(values).median)
    }

    /// The largest of a figure, for a goal.
    pub(crate) fn largest(&self, name: &str) -> f64 {
        self.figures
            .get(name)
            .map_or(f64::NAN, |values| summary(values).max)
    }

    /// The smallest of a figure, for a goal.
    pub(crate) fn smallest(&self, name: &str) -> f64 {
        self.figures
            .get(name)
            .map_or(f64::NAN, |values| summary(values).min)
    }

    /// The median of the ratios, for a goal.
    pub(crate) fn median_ratio(&self) -> f64 {
        summary(&self.ratios).median
    }

    /// What should hold.
    pub(crate) fn goal(&mut self, what: impl Into<String>, holds: bool) {
        self.goals.push((what.into(), holds));
    }

    pub(crate) fn to_json(&self) -> Value {
        let of = |values: &[f64]| {
            let Summary { median, min, max } = summary(values);
            json!({ "median": median, "min": min, "max": max, "n": values.len() })
        };
        let figures = self
            .figures
            .iter()
            .map(|(name, values)| ((*name).to_owned(), of(values)));
        let mut figures: serde_json::Map<_, _> = figures.collect();
        figures.insert("ratio".to_owned(), of(&self.ratios));
        let goals = self
            .goals
            .iter()
            .map(|(goal, met)| json!({ "goal": goal, "met": met }));
        json!({
            "bench": self.bench, "ratio": self.median_ratio(), "baseline": self.baseline,
            "figures": figures, "goals": goals.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { median, min, max } = summary(&self.ratios);
        writeln!(
            f,
            "{}: {median:.2} [{min:.2}..{max:.2}] of {}",
            self.bench, self.baseline
        )?;
        for (name, values) in &self.figures {
            let Summary { median, min, max } = summary(values);
            writeln!(f, "  {name:<28} {median:>12.2} [{min:.2}..{max:.2}]")?;
        }
        for (goal, met) in &self.goals {
            writeln!(f, "  {} {goal}", if *met { "ok    " } else { "MISSED" })?;
        }
        Ok(())
    }
}

/// Middle, least and most; not a number if there are none.
pub(crate) fn summary(values: &[f64]) -> Summary {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    Summary {
        median: at(sorted.len() / 2),
        min: at(0),
        max: at(sorted.len().wrapping_sub(1)),
    }
}

/// The value below which `share` (0 to 1) of them lie.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_and_ends() {
        let expected = Summary {
            median: 2.0,
            min: 1.0,
            max: 9.0,
        };
        assert_eq!(summary(&[9.0, 1.0, 2.0]), expected);
        assert!(summary(&[]).median.is_nan());
        let mut values: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.99), 99.0);
        assert_eq!(quantile(&mut values, 0.5), 50.0);
    }
}
