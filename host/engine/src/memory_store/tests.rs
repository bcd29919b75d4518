//! Stores with a clock of their own, driven through the seam as guests drive them.

use std::collections::BTreeMap;
use std::time::Duration;

use palisade_contract::{Clock, Namespace as Seam, SharedError, SystemClock, Term};

use super::*;

/// A namespace whose time stands still but for [`Space::passes`].
struct Space {
    seam: Arc<dyn Seam>,
    now: Instant,
}

impl Space {
    fn new(keys: usize, bytes: usize) -> Self {
        Self { seam: MemoryStore::default().namespace("a", Bounds { keys, bytes }), now: SystemClock.now() }
    }

    fn passes(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn term(&self, seconds: u64) -> Term {
        Term { now: self.now, ttl: (seconds > 0).then(|| Duration::from_secs(seconds)) }
    }

    fn set(&self, key: &str, value: &str, seconds: u64) -> Result<(), SharedError> {
        self.seam.set(key.as_bytes(), value.as_bytes(), self.term(seconds))
    }

    fn get(&self, key: &str) -> Option<String> {
        let value = self.seam.get(key.as_bytes(), self.now).expect("a value");
        value.map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    fn swap(&self, expected: Option<&str>, value: Option<&str>) -> bool {
        let (expected, value) = (expected.map(str::as_bytes), value.map(str::as_bytes));
        self.seam.compare_and_set(b"k", expected, value, self.term(0)).expect("an answer")
    }

    fn add(&self, key: &str, amount: i64, seconds: u64) -> i64 {
        self.seam.add(key.as_bytes(), amount, self.term(seconds)).expect("a counter")
    }

    fn figures(&self) -> (usize, usize, u64) {
        let figures = self.seam.figures(self.now);
        (figures.keys, figures.bytes, figures.evictions)
    }
}

#[test]
fn a_value_is_there_until_it_is_deleted_or_expires() {
    let mut space = Space::new(100, 1 << 20);
    assert_eq!(space.get("k"), None);
    space.set("k", "one", 10).unwrap();
    space.set("forever", "x", 0).unwrap();
    space.passes(9);
    assert_eq!(space.get("k").as_deref(), Some("one"));
    space.passes(1);
    assert_eq!((space.get("k"), space.seam.delete(b"k", space.now)), (None, Ok(false)));
    assert_eq!(space.get("forever").as_deref(), Some("x"));
    assert_eq!(space.seam.delete(b"forever", space.now), Ok(true));
    assert_eq!((space.get("forever"), space.figures()), (None, (0, 0, 0)));
}

#[test]
fn a_value_is_exchanged_only_for_what_was_expected() {
    let space = Space::new(100, 1 << 20);
    assert!(!space.swap(Some("a"), Some("b")));
    assert!(space.swap(None, Some("a")));
    assert!(!space.swap(None, Some("b")));
    assert!(!space.swap(Some("b"), None));
    assert_eq!(space.get("k").as_deref(), Some("a"));
    assert!(space.swap(Some("a"), Some("")));
    assert!(!space.swap(None, None), "an empty value is one");
    assert!(space.swap(Some(""), None));
    assert!(space.swap(None, None));
    assert_eq!(space.figures(), (0, 0, 0));
}

#[test]
fn a_counter_keeps_its_term_when_it_is_added_to_and_gets_a_new_one_when_it_is_set() {
    let mut space = Space::new(100, 1 << 20);
    let counter = |space: &Space| space.seam.counter(b"k", space.now).unwrap();
    let set = |space: &Space, expected, value| {
        space.seam.compare_and_set_counter(b"k", expected, value, space.term(10)).unwrap()
    };
    assert_eq!((counter(&space), space.add("k", 2, 10), space.add("k", -5, 10)), (0, 2, -3));
    space.passes(9);
    assert_eq!(space.add("k", 1, 10), -2);
    space.passes(1);
    assert_eq!((counter(&space), set(&space, 7, 1), counter(&space)), (0, 0, 0), "it has expired");
    assert_eq!((set(&space, 0, i64::MAX), space.add("k", 1, 0)), (0, i64::MAX));
    space.passes(9);
    assert_eq!((set(&space, i64::MAX, 5), set(&space, 6, 7)), (i64::MAX, 5));
    space.passes(9);
    assert_eq!(counter(&space), 5, "its end was put off");
    space.passes(1);
    assert_eq!(counter(&space), 0);
}

#[test]
fn a_key_is_of_one_kind() {
    let space = Space::new(100, 1 << 20);
    space.set("v", "1", 0).unwrap();
    space.add("c", 1, 0);
    let other = Err(SharedError::OtherKind);
    assert_eq!(space.seam.add(b"v", 1, space.term(0)), other);
    assert_eq!(space.seam.counter(b"v", space.now), other);
    assert_eq!(space.seam.compare_and_set_counter(b"v", 0, 1, space.term(0)), other);
    assert_eq!(space.set("c", "1", 0), Err(SharedError::OtherKind));
    assert_eq!(space.seam.get(b"c", space.now), Err(SharedError::OtherKind));
    assert_eq!(space.seam.compare_and_set(b"c", None, None, space.term(0)), Err(SharedError::OtherKind));
    assert_eq!((space.get("v").as_deref(), space.add("c", 0, 0)), (Some("1"), 1));
}

#[test]
fn what_alone_is_more_than_all_is_refused() {
    let space = Space::new(100, 1_000);
    space.set("k", "small", 0).unwrap();
    assert_eq!(space.set("k", &"x".repeat(1_000 - 192), 0), Err(SharedError::TooLarge));
    assert_eq!(space.get("k").as_deref(), Some("small"));
    space.set("k", &"x".repeat(1_000 - 193), 0).unwrap();
    assert_eq!(space.figures(), (1, 1_000, 0));
}

#[test]
fn the_expired_make_room_first_then_what_was_used_least_lately() {
    let mut space = Space::new(3, 1 << 20);
    for key in ["a", "b", "c"] {
        space.set(key, "x", if key == "b" { 1 } else { 0 }).unwrap();
    }
    space.passes(1);
    space.set("d", "x", 0).unwrap();
    assert_eq!((space.figures().0, space.figures().2), (3, 0), "only the expired one is gone");
    assert!(space.get("a").is_some());
    space.set("e", "x", 0).unwrap();
    assert_eq!((space.get("c"), space.figures().2), (None, 1), "a was used since it was made");
    assert!(["a", "d", "e"].iter().all(|key| space.get(key).is_some()));
    // All were used: the first one that the hand comes to goes, and it is none that was just written.
    space.set("f", "x", 0).unwrap();
    assert_eq!(space.figures(), (3, 3 * 194, 2));
    assert!(space.get("f").is_some());
}

#[test]
fn bounds_hold_for_the_whole_however_keys_fall() {
    let space = Space::new(2_000, 4 << 20);
    for number in 0..10_000 {
        space.add(&format!("counter-{number}"), 1, 60);
        assert!(space.seam.figures(space.now).keys <= 2_000);
        assert_eq!(space.add(&format!("counter-{number}"), 0, 60), 1, "what was just written stays");
    }
    let (keys, bytes, evictions) = space.figures();
    assert_eq!((keys, evictions), (2_000, 8_000));
    assert!((2_000 * 192..4 << 20).contains(&bytes), "{bytes}");
    for number in 0..200 {
        space.set(&format!("value-{number}"), &"x".repeat(60_000), 60).unwrap();
        assert!(space.figures().1 <= 4 << 20);
    }
}

#[test]
fn a_key_that_is_used_all_the_time_stays_while_others_come_and_go() {
    let space = Space::new(1_000, 4 << 20);
    for number in 0..20_000 {
        assert_eq!(space.add("hot", 1, 0), number + 1);
        space.add(&number.to_string(), 1, 0);
    }
}

#[test]
fn what_has_expired_goes_without_being_asked_for() {
    let mut space = Space::new(10_000, 4 << 20);
    (0..1_000).for_each(|number| space.set(&number.to_string(), "x", 1).unwrap());
    space.passes(2);
    for number in 0..1_000 {
        space.set(&format!("new-{number}"), "x", 0).unwrap();
    }
    assert_eq!((space.figures().0, space.figures().2), (1_000, 0));
}

#[test]
fn a_namespace_is_the_same_for_whoever_asks_and_has_the_bounds_that_were_told_last() {
    let (store, now) = (MemoryStore::default(), SystemClock.now());
    let bounds = Bounds::default();
    let (one, other) = (store.namespace("a", bounds), store.namespace("b", bounds));
    let term = Term { now, ttl: None };
    (0..5).for_each(|number| assert_eq!(one.add(&[number], 7, term), Ok(7)));
    assert_eq!((one.counter(&[4], now), other.counter(&[4], now)), (Ok(7), Ok(0)));
    drop(one);
    let again = store.namespace("a", Bounds { keys: 2, ..bounds });
    assert_eq!(again.add(&[4], 1, term), Ok(8));
    let figures: Vec<_> = store.figures(now).into_iter().map(|figures| (figures.name, figures.keys)).collect();
    assert_eq!(figures, [("a".to_owned(), 2), ("b".to_owned(), 0)]);
}

#[test]
fn of_namespaces_that_nobody_has_the_last_few_are_kept() {
    let (store, now) = (MemoryStore::default(), SystemClock.now());
    let held = store.namespace("held", Bounds::default());
    for number in 0..100 {
        store.namespace(&format!("left-{number}"), Bounds::default()).add(b"k", 1, Term { now, ttl: None }).unwrap();
    }
    let names: Vec<_> = store.figures(now).into_iter().map(|figures| figures.name).collect();
    assert!(names.contains(&"held".to_owned()) && names.contains(&"left-99".to_owned()), "{names:?}");
    assert_eq!(names.len(), LEFT_MAX + 2);
    drop(held);
}

#[test]
fn no_count_is_lost_among_threads() {
    let space = Space::new(10_000, 4 << 20);
    let count = |thread: i64| {
        for number in 0..2_000_i64 {
            space.add("all", 1, 0);
            space.add(&(number % 50).to_string(), thread, 0);
            let mut found = 0;
            while let Ok(before) = space.seam.compare_and_set_counter(b"swapped", found, found + 1, space.term(0)) {
                if before == found {
                    break;
                }
                found = before;
            }
        }
    };
    let count = &count;
    std::thread::scope(|scope| (1..=4).for_each(|thread| drop(scope.spawn(move || count(thread)))));
    assert_eq!((space.add("all", 0, 0), space.add("swapped", 0, 0)), (8_000, 8_000));
    assert_eq!((0..50).map(|number| space.add(&number.to_string(), 0, 0)).sum::<i64>(), 2_000 * (1 + 2 + 3 + 4));
}

/// What a namespace does, without bounds, shards or evictions.
#[derive(Default)]
struct Model(BTreeMap<u8, (i64, Option<Instant>)>);

impl Model {
    fn counter(&mut self, key: u8, now: Instant) -> Option<i64> {
        self.0.retain(|_, (_, end)| end.is_none_or(|end| end > now));
        self.0.get(&key).map(|(counter, _)| *counter)
    }
}

#[test]
fn counters_that_live_and_expire_in_any_order_are_what_a_model_says() {
    let (mut space, mut model, mut seed) = (Space::new(10_000, 4 << 20), Model::default(), 7_u64);
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for step in 0..20_000 {
        let (key, seconds) = (u8::try_from(next(40)).unwrap(), next(6));
        let (term, known) = (space.term(seconds), model.counter(key, space.now));
        match next(4) {
            0 => {
                assert_eq!(space.seam.add(&[key], 3, term), Ok(known.unwrap_or(0) + 3), "{step}");
                let end = known.map_or(term.end(), |_| model.0[&key].1);
                model.0.insert(key, (known.unwrap_or(0) + 3, end));
            }
            1 => {
                assert_eq!(
                    space.seam.compare_and_set_counter(&[key], known.unwrap_or(0), 1, term).ok(),
                    known.or(Some(0))
                );
                model.0.insert(key, (1, term.end()));
            }
            2 => {
                assert_eq!(space.seam.delete(&[key], space.now), Ok(known.is_some()), "{step}");
                model.0.remove(&key);
            }
            _ => space.passes(next(2)),
        }
        assert_eq!(
            space.seam.counter(&[key], space.now).unwrap(),
            model.counter(key, space.now).unwrap_or(0),
            "{step}"
        );
    }
    assert_eq!(space.figures().0, model.0.len());
}
