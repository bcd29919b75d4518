//! The zone of the settings, as text, and the candidates' zones, as names, in; the name of the own one, out.

use palisade_sdk::{Candidate, Name};

/// The zone that this host stands in, if the settings tell it.
#[derive(Debug, Default)]
pub(crate) struct OwnZone {
    text: Option<String>,
    name: Option<Name>,
    /// Names that are known to be other zones'.
    others: Vec<Name>,
}

impl OwnZone {
    pub(crate) fn new(text: Option<String>) -> Self {
        Self { text, ..Self::default() }
    }

    /// Its name; none where no candidate is there. The host is asked for the text of a name it has not been asked for.
    pub(crate) fn name(&mut self, candidates: &[Candidate]) -> Option<Name> {
        let text = self.text.as_deref()?;
        if self.name.is_none() {
            for zone in candidates.iter().map(|candidate| candidate.zone) {
                if self.others.contains(&zone) {
                    continue;
                }
                if zone.text() == text {
                    self.name = Some(zone);
                    break;
                }
                if self.others.len() >= OTHERS_MAX {
                    self.others.clear();
                }
                self.others.push(zone);
            }
        }
        self.name
    }
}

/// Zones that are remembered not to be the own one: more than a config has.
const OTHERS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use palisade_sdk::TestCandidate;

    use super::*;

    #[test]
    fn the_own_zone_is_found_by_its_text() {
        let of = |zones: &[&str]| -> Vec<Candidate> {
            zones.iter().map(|zone| TestCandidate::new("a:1").zone(zone).candidate()).collect()
        };
        let mut zone = OwnZone::new(Some("b".to_owned()));
        assert_eq!(zone.name(&of(&["a", "c", "a"])), None);
        let named = of(&["a", "b"]);
        assert_eq!(zone.name(&named), Some(named[1].zone));
        assert_eq!(OwnZone::new(None).name(&named), None);
    }
}
