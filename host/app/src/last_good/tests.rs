use super::*;

const GOOD: &str = "[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:0\"\nredirect_to_https = true\n";

/// A folder of the test's own, which goes with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("palisade-good-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn last_good(&self) -> LastGood {
        LastGood::below(&self.0.join("state"), &self.0.join("palisade.toml")).expect("a place")
    }

    fn config(&self) -> PathBuf {
        self.0.join("palisade.toml")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A module, and where there is something new of it the bytes and the signature.
type Plugin<'a> = (&'a str, Option<(&'a str, Option<&'a str>)>);

fn contents<'a>(text: &'a str, plugins: &[Plugin<'a>]) -> Contents<'a> {
    let plugin = |(module, bytes): &Plugin<'a>| PluginFile {
        module,
        bytes: bytes.map(|(bytes, signature)| (bytes.as_bytes(), signature)),
    };
    Contents { text, plugins: plugins.iter().map(plugin).collect() }
}

/// The files of the kept plugins, each with what it holds.
fn plugins(kept: &Kept) -> Vec<(String, String)> {
    let entries = fs::read_dir(&kept.plugins).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).expect("a text");
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}

#[track_caller]
fn check(place: &Place, text: &str, expected: &[(&str, &str)]) {
    let kept = place.last_good().read(&place.config()).expect("a copy");
    assert_eq!(kept.written.text.as_deref(), Some(text));
    let expected: Vec<_> = expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    assert_eq!(plugins(&kept), expected);
}

#[test]
fn what_was_kept_last_is_there_and_nothing_else() {
    let place = Place::new("last");
    let last_good = place.last_good();
    assert!(last_good.read(&place.config()).is_none());
    last_good
        .write(&contents(GOOD, &[("a", Some(("one", Some("signed")))), ("b", Some(("two", None)))]))
        .expect("kept");
    check(&place, GOOD, &[("a.wasm", "one"), ("a.wasm.sig", "signed"), ("b.wasm", "two")]);
    let other = format!("{GOOD}# other\n");
    // One of which there is nothing new stays; one that is not named any more goes.
    last_good.write(&contents(&other, &[("a", None)])).expect("kept");
    check(&place, &other, &[("a.wasm", "one"), ("a.wasm.sig", "signed")]);
    last_good.write(&contents(&other, &[("a", Some(("three", None)))])).expect("kept");
    check(&place, &other, &[("a.wasm", "three")]);
    assert_eq!(fs::read_dir(&last_good.folder).expect("a folder").count(), 1);
}

#[test]
fn what_was_begun_and_not_ended_does_not_count() {
    let place = Place::new("part");
    let last_good = place.last_good();
    last_good.write(&contents(GOOD, &[("a", Some(("one", None)))])).expect("kept");
    fs::create_dir_all(last_good.folder.join("next.part/plugins")).expect("a folder");
    fs::write(last_good.folder.join("next.part/config.toml"), "half").expect("written");
    check(&place, GOOD, &[("a.wasm", "one")]);
    last_good.write(&contents(GOOD, &[("a", Some(("two", None)))])).expect("kept");
    check(&place, GOOD, &[("a.wasm", "two")]);
}

#[test]
fn a_copy_that_is_good_no_more_is_none() {
    let place = Place::new("bad");
    place.last_good().write(&contents("nonsense", &[])).expect("kept");
    assert!(place.last_good().read(&place.config()).is_none());
}

#[test]
fn a_place_that_others_can_write_to_is_none() {
    let place = Place::new("others");
    drop(place.last_good());
    fs::set_permissions(place.0.join("state"), fs::Permissions::from_mode(0o770)).expect("a mode");
    let error = LastGood::below(&place.0.join("state"), &place.config()).expect_err("others could write");
    assert!(error.to_string().contains("mode 770"), "{error}");
}
