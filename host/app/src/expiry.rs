//! When certificates expire: told in the metrics always, and in the log when it is near.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use palisade_contract::{Clock, SystemClock};
use palisade_monitor::CertificateFigures;
use palisade_proxy::ShownCertificate;

use crate::state::State;

const DAY: Duration = Duration::from_secs(86_400);

/// How long before its end a certificate is warned of, unless it is valid for so short that a third of that is less.
const NEAR: Duration = Duration::from_secs(14 * 86_400);

/// What is shown now, for the metrics.
pub(crate) fn figures(state: &State) -> Vec<CertificateFigures> {
    let certificates = state.proxy.certificates().into_iter();
    certificates
        .map(|ShownCertificate { listener, name, key, expires, .. }| CertificateFigures {
            listener,
            name,
            key: key.to_owned(),
            expires,
        })
        .collect()
}

/// The certificates that were warned of, each with when it was last.
#[derive(Debug, Default)]
pub(crate) struct Warned {
    at: HashMap<ShownCertificate, SystemTime>,
    /// When was looked, and at which generation.
    looked: Option<(SystemTime, u64)>,
}

impl Warned {
    /// Warns of each certificate that expires soon, once a day. Looks once a minute, and when something was taken over.
    pub(crate) fn look(&mut self, state: &State) {
        let (now, generation) = (SystemClock.wall(), state.proxy.generation());
        let is_new = |(at, of): (SystemTime, u64)| of != generation || !within(at, now, Duration::from_secs(60));
        if !self.looked.is_none_or(is_new) {
            return;
        }
        self.looked = Some((now, generation));
        for ShownCertificate { listener, name, key, expires, .. } in self.due(state.proxy.certificates(), now) {
            match expires.duration_since(now) {
                Ok(left) => {
                    let hours = left.as_secs() / 3_600;
                    tracing::warn!(%listener, %name, key, hours, "a certificate expires soon");
                }
                Err(_) => tracing::error!(%listener, %name, key, "a certificate has expired"),
            }
        }
    }

    /// Those that are to be warned of now.
    fn due(&mut self, shown: Vec<ShownCertificate>, now: SystemTime) -> Vec<ShownCertificate> {
        self.at.retain(|certificate, at| shown.contains(certificate) && within(*at, now, DAY));
        let due = shown.into_iter().filter(|certificate| is_near(certificate, now));
        let due: Vec<_> = due.filter(|certificate| !self.at.contains_key(certificate)).collect();
        self.at.extend(due.iter().map(|certificate| (certificate.clone(), now)));
        due
    }
}

/// A clock that was set back is as one that has gone on.
fn within(at: SystemTime, now: SystemTime, limit: Duration) -> bool {
    now.duration_since(at).is_ok_and(|since| since < limit)
}

fn is_near(certificate: &ShownCertificate, now: SystemTime) -> bool {
    let valid = certificate.expires.duration_since(certificate.since).unwrap_or_default();
    let left = certificate.expires.duration_since(now).unwrap_or_default();
    left < NEAR.min(valid / 3)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn each_certificate_is_warned_of_once_a_day_when_its_end_is_near() {
        let mut warned = Warned::default();
        let both = [shown("long", 0, 90), shown("short", 84, 90)];
        for (hour, expected) in [
            (75 * 24, &[][..]),
            (76 * 24 + 1, &["long"]),
            (77 * 24, &[]),
            (77 * 24 + 1, &["long"]),
            (88 * 24 + 1, &["long", "short"]),
            (88 * 24 + 2, &[]),
            (91 * 24, &["long", "short"]),
        ] {
            let due = warned.due(both.to_vec(), UNIX_EPOCH + Duration::from_secs(hour * 3_600));
            let names: Vec<_> = due.iter().map(|certificate| certificate.name.as_str()).collect();
            assert_eq!(names, expected, "hour {hour}");
        }
        // One in its place is another one.
        let due = warned.due(vec![shown("long", 1, 92)], UNIX_EPOCH + 91 * DAY);
        assert_eq!(due.len(), 1);
    }

    fn shown(name: &str, since: u32, expires: u32) -> ShownCertificate {
        let (since, expires) = (UNIX_EPOCH + since * DAY, UNIX_EPOCH + expires * DAY);
        ShownCertificate { listener: "public".to_owned(), name: name.to_owned(), key: "rsa", since, expires }
    }
}
