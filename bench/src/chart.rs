//! Horizontal bar charts as SVG, with colours for light and for dark mode.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
/// The left end of all bars, and the right end of the axis.
const LEFT: f64 = 300.0;
const RIGHT: f64 = 770.0;
const TOP: f64 = 74.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
const GROUP_GAP: f64 = 10.0;

const STYLE: &str = "\
    .background{fill:#fff}.text{fill:#1f2328}.faint{fill:#59636e}.axis{stroke:#d1d9e0}\
    .ours{fill:#0969da}.other{fill:#afb8c1}\
    @media(prefers-color-scheme:dark){.background{fill:#0d1117}.text{fill:#f0f6fc}.faint{fill:#9198a1}\
    .axis{stroke:#3d444d}.ours{fill:#4493f8}.other{fill:#656c76}}";

pub struct Chart {
    pub title: String,
    pub subtitle: String,
    pub unit: String,
    pub bars: Vec<Bar>,
}

pub struct Bar {
    pub label: String,
    pub value: f64,
    /// The value as shown at the end of the bar.
    pub text: String,
    pub ours: bool,
    pub begins_group: bool,
}

impl Chart {
    pub fn svg(&self) -> String {
        let scale = Scale::new(self.largest());
        let (mut body, mut y) = (String::new(), TOP);
        for bar in &self.bars {
            if bar.begins_group && y > TOP {
                y += GROUP_GAP;
            }
            bar.draw(&scale, y, &mut body);
            y += STEP;
        }
        self.finish(&scale, &body, y)
    }

    fn largest(&self) -> f64 {
        self.bars.iter().map(|bar| bar.value).fold(0.0, f64::max)
    }

    fn finish(&self, scale: &Scale, body: &str, bottom: f64) -> String {
        let height = bottom + 44.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>{0}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"background\" width=\"{WIDTH}\" height=\"{height}\"/>\n",
            escape(&self.title)
        );
        text(&mut svg, 20.0, 28.0, "text\" font-size=\"16", "start", &self.title);
        text(&mut svg, 20.0, 48.0, "faint", "start", &self.subtitle);
        for (value, label) in scale.ticks() {
            let x = scale.x(value);
            let _ = writeln!(
                svg,
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                TOP - 6.0,
                bottom + 2.0
            );
            text(&mut svg, x, bottom + 16.0, "faint", "middle", &label);
        }
        text(&mut svg, (LEFT + RIGHT) / 2.0, bottom + 34.0, "faint", "middle", &self.unit);
        svg.push_str(body);
        svg + "</svg>\n"
    }
}

impl Bar {
    fn draw(&self, scale: &Scale, y: f64, svg: &mut String) {
        let (class, end) = (if self.ours { "ours" } else { "other" }, scale.x(self.value));
        text(svg, LEFT - 8.0, y + 13.0, "text", "end", &self.label);
        let width = end - LEFT;
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>"
        );
        text(svg, end + 6.0, y + 13.0, "text", "start", &self.text);
    }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escape(text)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Maps values to x coordinates. The axis begins at 0.
struct Scale {
    step: f64,
    steps: usize,
}

impl Scale {
    /// Divides the axis into five to eight steps of a round length.
    fn new(largest: f64) -> Self {
        let magnitude = 10_f64.powf(largest.max(f64::MIN_POSITIVE).log10().floor());
        let step = [0.1, 0.2, 0.25, 0.5, 1.0, 2.0].map(|part| part * magnitude);
        let step = step.into_iter().find(|step| largest / step <= 8.0).unwrap_or(magnitude);
        Self { step, steps: (largest / step).ceil() as usize }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * value / (self.step * self.steps as f64)
    }

    fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let decimals = (0..3).find(|digits| (self.step * 10_f64.powi(*digits)).fract() < 1e-9).unwrap_or(3) as usize;
        (0..=self.steps).map(move |step| {
            let value = step as f64 * self.step;
            let label =
                if self.step >= 1000.0 { format!("{:.0}k", value / 1000.0) } else { format!("{value:.decimals$}") };
            (value, label)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_a_few_round_steps() {
        for (largest, labels) in
            [(1.44, "0.00 0.20 0.40 0.60 0.80 1.00 1.20 1.40 1.60"), (19.6, "0.0 2.5 5.0 7.5 10.0 12.5 15.0 17.5 20.0")]
        {
            let ticks: Vec<_> = Scale::new(largest).ticks().map(|(_, label)| label).collect();
            assert_eq!(ticks.iter().map(|label| label.parse::<f64>().unwrap()).collect::<Vec<_>>(), numbers(labels));
        }
        assert!(Scale::new(236_000.0).ticks().any(|(_, label)| label == "100k"));
    }

    fn numbers(labels: &str) -> Vec<f64> {
        labels.split(' ').map(|label| label.parse().unwrap()).collect()
    }

    #[test]
    fn a_title_is_escaped() {
        let chart = Chart { title: "a < b & c".into(), subtitle: String::new(), unit: String::new(), bars: vec![] };
        assert!(chart.svg().contains("<title>a &lt; b &amp; c</title>"));
    }
}
