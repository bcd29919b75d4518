//! A choice whose endpoint has as many connections as it may, in; one that has room, out, where there is one: nobody waits in a line
//! while others are free.

use std::rc::Rc;

use palisade_contract::{Name, Outcome};

use crate::upstream::pool::Purpose;
use crate::upstream::{Pool, Pools};

/// How many others are looked at.
const OTHERS_MAX: usize = 8;

impl Pools {
    /// The endpoint that was chosen, or where it has no room and requests may wait for some, the next one that has, chosen as if those
    /// without could not be connected to. `choose` chooses with what became of endpoints so far.
    pub(super) fn with_room(
        &self,
        chosen: Rc<Pool>,
        purpose: Purpose,
        tried: &[(Name, Outcome)],
        mut choose: impl FnMut(&[(Name, Outcome)]) -> Option<Rc<Pool>>,
    ) -> Rc<Pool> {
        if self.upstream.line().is_none() || chosen.has_room_for(purpose) {
            return chosen;
        }
        let mut outcomes = tried.to_vec();
        let mut full = chosen.endpoint.name;
        for _ in 0..OTHERS_MAX {
            outcomes.push((full, Outcome::ConnectFailed));
            let Some(other) = choose(&outcomes) else { break };
            // What is for when others are gone is not for when they are busy.
            if other.endpoint.priority() > chosen.endpoint.priority() {
                break;
            }
            if other.has_room_for(purpose) && !tried.iter().any(|(name, _)| *name == other.endpoint.name) {
                return other;
            }
            full = other.endpoint.name;
            if outcomes.iter().any(|(name, _)| *name == full) {
                break;
            }
        }
        chosen
    }
}
