//! What is kept of an authority's: files that only the host's user may read, each the old one or the new one as a whole.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Puts this in the place of what the file has.
///
/// # Errors
/// It cannot be written; the file is as it was then.
pub(super) fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let part = file.with_extension("part");
    // What another process left behind.
    let _ = fs::remove_file(&part);
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    fs::rename(&part, file)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_whole_and_for_nobody_else() {
        let folder = std::env::temp_dir().join(format!("palisade-acme-{}", std::process::id()));
        let file = folder.join("state/a.test.pem");
        for text in ["first", "second"] {
            write(&file, text.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&file).expect("a file"), text);
        }
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&folder.join("state"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(folder.join("state")).expect("a folder").count(), 1);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
