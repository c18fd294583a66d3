//! Numbers and how they are printed.

use std::time::Duration;

/// A table of what was measured, with goals.
pub struct Table {
    title: String,
    rows: Vec<[String; 4]>,
    notes: Vec<String>,
}

impl Table {
    /// An empty one.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new(), notes: Vec::new() }
    }

    /// A figure without a goal.
    pub fn plain(&mut self, what: &str, figure: impl Into<String>) {
        self.rows.push([what.to_owned(), figure.into(), String::new(), String::new()]);
    }

    /// A figure that should be at most `goal`.
    pub fn at_most(&mut self, what: &str, figure: f64, goal: f64, unit: &str) {
        let verdict = if figure <= goal { "met" } else { "missed" };
        let figures = [figure, goal].map(|number| format!("{}{unit}", number_text(number)));
        let [figure, goal] = figures;
        self.rows.push([what.to_owned(), figure, format!("<= {goal}"), verdict.to_owned()]);
    }

    /// A sentence below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Prints it as Markdown.
    pub fn print(self) {
        println!("### {}\n", self.title);
        println!("| what | measured | goal | |\n|---|---|---|---|");
        for [what, figure, goal, verdict] in self.rows {
            println!("| {what} | {figure} | {goal} | {verdict} |");
        }
        println!();
        for note in self.notes {
            println!("{note}\n");
        }
    }
}

fn number_text(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

/// A number of things as a number.
pub fn count(number: impl TryInto<u32>) -> f64 {
    number.try_into().map_or(f64::NAN, f64::from)
}

/// Seconds with two digits.
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Samples of a duration.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One more.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The value that `share` (0 to 1) of the samples do not exceed, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let wanted = share * count(sorted.len());
        let nth = (1..=sorted.len()).find(|nth| count(*nth) >= wanted).unwrap_or(sorted.len());
        sorted.get(nth.saturating_sub(1)).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    /// Median, 99th percentile and maximum as one text.
    pub fn summary(&self) -> String {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|share| self.quantile_ms(share));
        format!("{half:.0} / {most:.0} / {all:.0} ms ({} samples)", self.len())
    }
}

impl FromIterator<Duration> for Samples {
    fn from_iter<T: IntoIterator<Item = Duration>>(samples: T) -> Self {
        Self(samples.into_iter().collect())
    }
}
