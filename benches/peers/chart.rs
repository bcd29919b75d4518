//! The ratios as a picture: a bar for each proxy, a group for each load.

use std::fmt::Write as _;

use crate::rounds::Rounds;

const ROW: f64 = 18.0;
const LABEL: f64 = 190.0;
const WIDTH: f64 = 760.0;
/// Longer bars are cut, and say how long they are.
const RATIO_MAX: f64 = 3.0;

/// An SVG of all of them.
pub(crate) fn svg(all: &[Rounds]) -> String {
    let mut body = String::new();
    let mut y = 30.0;
    let unit = (WIDTH - LABEL - 60.0) / RATIO_MAX;
    for rounds in all {
        let _ = writeln!(body, r#"<text x="8" y="{:.0}" font-weight="bold">{}</text>"#, y + 13.0, rounds.load().name());
        y += ROW + 4.0;
        for (name, ratio) in rounds.ratios() {
            let length = ratio.median.min(RATIO_MAX) * unit;
            let colour = if name.starts_with("Palisade") { "#2a6f4e" } else { "#9aa5b1" };
            let _ = writeln!(
                body,
                r#"<text x="20" y="{:.0}">{name}</text><rect x="{LABEL}" y="{y:.0}" width="{length:.1}" height="13" fill="{colour}"/><text x="{:.1}" y="{:.0}">{:.2}</text>"#,
                y + 11.0,
                LABEL + length + 6.0,
                y + 11.0,
                ratio.median
            );
            y += ROW;
        }
        y += 10.0;
    }
    let one = LABEL + unit;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{:.0}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="8" y="18" font-size="14">Processor time per request, nginx = 1 in the same round (shorter is better)</text>
{body}<line x1="{one:.1}" y1="26" x2="{one:.1}" y2="{y:.0}" stroke="#c0392b" stroke-dasharray="3 3"/>
</svg>
"##,
        y + 10.0
    )
}
