//! Whose signatures are believed, and why one is not.

use std::time::SystemTime;

use time::Date;

use crate::{KeyId, PublicKey, Signature, SignatureError};

/// A key that the operator believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// What the operator calls it.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// The last day, in UTC, on which what it signed loads; without one there is no end.
    pub expires: Option<Date>,
}

/// The keys of which one must have signed a file. Without any, files need no signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys(Vec<TrustedKey>);

/// Why a file is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// There is no signature.
    #[error("is not signed: there is no signature beside it")]
    Unsigned,
    /// What is there in its place is none.
    #[error("has a signature that {0}")]
    Malformed(SignatureError),
    /// The signature is somebody else's.
    #[error("is signed by the key {key}, which is not trusted: trusted are {trusted}")]
    Foreign {
        /// The key that the signature names.
        key: KeyId,
        /// The keys that would do.
        trusted: String,
    },
    /// The signature is not one of these contents.
    #[error("is not what the trusted key {name:?} ({key}) signed: the file or its signature was altered")]
    Altered {
        /// The name of the key that the signature names.
        name: String,
        /// Its id.
        key: KeyId,
    },
    /// The signature is good and comes too late.
    #[error("is signed by the trusted key {name:?} ({key}), which expired at the end of {expires}")]
    Expired {
        /// The key's name.
        name: String,
        /// Its id.
        key: KeyId,
        /// The key's last day.
        expires: Date,
    },
}

impl TrustedKeys {
    /// These keys.
    #[must_use]
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        Self(keys)
    }

    /// Whether files need no signature.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who of these has signed these contents of a file, given the text of its signature; none where no key is asked for.
    ///
    /// # Errors
    /// No trusted key has, or only one that has expired.
    pub fn check(
        &self,
        file: &[u8],
        signature: Option<&str>,
        now: SystemTime,
    ) -> Result<Option<&TrustedKey>, Distrust> {
        if self.is_empty() {
            return Ok(None);
        }
        let signature: Signature = signature.ok_or(Distrust::Unsigned)?.parse().map_err(Distrust::Malformed)?;
        let id = signature.key();
        let trusted = self.0.iter().find(|trusted| trusted.key.id() == id);
        let trusted = trusted.ok_or_else(|| Distrust::Foreign { key: id, trusted: self.to_string() })?;
        let name = || trusted.name.clone();
        if !trusted.key.has_signed(file, &signature) {
            return Err(Distrust::Altered { name: name(), key: id });
        }
        match trusted.expires {
            Some(expires) if has_ended(expires, now) => Err(Distrust::Expired { name: name(), key: id, expires }),
            Some(_) | None => Ok(Some(trusted)),
        }
    }
}

impl std::fmt::Display for TrustedKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, TrustedKey { name, key, .. }) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(out, "{before}{name:?} ({})", key.id())?;
        }
        Ok(())
    }
}

/// The last day that there is never ends.
fn has_ended(day: Date, now: SystemTime) -> bool {
    day.next_day().is_some_and(|next| now >= SystemTime::from(next.midnight().assume_utc()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::Month;

    use super::*;
    use crate::SecretKey;

    const FILE: &[u8] = b"a plugin";
    const SECRET: &str = "ed25519-secret:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

    /// Seconds after 1970 of 2026-06-30, 12:00 UTC.
    const NOON: u64 = 1_782_820_800;

    fn ours() -> SecretKey {
        SECRET.parse().expect("a key")
    }

    fn signed(key: &SecretKey) -> String {
        key.sign(FILE).to_string()
    }

    #[test]
    fn a_file_is_believed_if_a_trusted_key_signed_these_very_bytes() {
        let good = signed(&ours());
        check(FILE, Some(&good), Ok("release"));
        let unsigned = "is not signed: there is no signature beside it";
        check(FILE, None, Err(unsigned));
        let malformed = "has a signature that is not one: expected the lines \"palisade-signature-1\", \"key …\" and \
                         \"ed25519 …\"";
        check(FILE, Some("a plugin"), Err(malformed));
        let altered = "is not what the trusted key \"release\" (21fe31dfa154a261) signed: the file or its signature was \
                       altered";
        check(b"a plugim", Some(&good), Err(altered));
        check(b"a plugin\n", Some(&good), Err(altered));
        check(b"", Some(&good), Err(altered));
        check(FILE, Some(&ours().sign(b"another").to_string()), Err(altered));
    }

    #[track_caller]
    fn check(file: &[u8], signature: Option<&str>, expected: Result<&str, &str>) {
        let keys = TrustedKeys::new(vec![TrustedKey { name: "release".into(), key: ours().public(), expires: None }]);
        let found = keys.check(file, signature, SystemTime::UNIX_EPOCH).map_err(|distrust| distrust.to_string());
        let found = found.map(|key| key.map(|key| key.name.clone()));
        assert_eq!(found, expected.map(|name| Some(name.to_owned())).map_err(str::to_owned));
    }

    #[test]
    fn somebody_elses_signature_is_not_believed_whatever_key_it_names() {
        let theirs = SecretKey::generate().expect("random numbers");
        let (their_id, our_id) = (theirs.public().id().to_string(), ours().public().id().to_string());
        let foreign =
            format!("is signed by the key {their_id}, which is not trusted: trusted are \"release\" ({our_id})");
        check(FILE, Some(&signed(&theirs)), Err(&foreign));
        let forged = signed(&theirs).replace(&their_id, &our_id);
        let altered =
            format!("is not what the trusted key \"release\" ({our_id}) signed: the file or its signature was altered");
        check(FILE, Some(&forged), Err(&altered));
    }

    #[test]
    fn a_key_is_believed_until_the_end_of_its_last_day() {
        for (day, seconds, is_believed) in
            [(29, 0, false), (30, 0, true), (30, 43_199, true), (30, 43_200, false), (30, 86_400, false)]
        {
            let expires = Date::from_calendar_date(2026, Month::June, day).expect("a day");
            let key = TrustedKey { name: "release".into(), key: ours().public(), expires: Some(expires) };
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOON + seconds);
            let (keys, signature) = (TrustedKeys::new(vec![key]), signed(&ours()));
            let found = keys.check(FILE, Some(&signature), now).map(drop);
            let expired = Distrust::Expired { name: "release".into(), key: ours().public().id(), expires };
            assert_eq!(found, if is_believed { Ok(()) } else { Err(expired) }, "{day} {seconds}");
        }
        let expires = Date::from_calendar_date(2025, Month::December, 31).expect("a day");
        let sentence = Distrust::Expired { name: "old".into(), key: ours().public().id(), expires }.to_string();
        assert_eq!(
            sentence,
            "is signed by the trusted key \"old\" (21fe31dfa154a261), which expired at the end of 2025-12-31"
        );
    }

    #[test]
    fn without_keys_no_signature_is_looked_at() {
        for signature in [None, Some("nonsense")] {
            assert_eq!(TrustedKeys::default().check(FILE, signature, SystemTime::UNIX_EPOCH), Ok(None));
        }
    }
}
