//! A file's new text: all of it or none of it, and in that file only.

use std::{
    fs::{self, File, Metadata},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Puts a text in the place of a file's own. A reader sees the old text or the new one, whatever happens.
///
/// Refused, with what to do, for links and for what lies outside of `folder`: a repository must not be able to have
/// files changed that are not in it. The file keeps its mode, and its owner where that may be set.
pub(crate) fn replace(path: &Path, folder: Option<&Path>, text: &str) -> Result<(), String> {
    let real = own_file(path, folder)?;
    let metadata = fs::metadata(&real).map_err(|error| failed(&error))?;
    if metadata.permissions().readonly() {
        return Err("cannot be written: its mode forbids it; allow writing, or repair it by hand"
            .to_owned());
    }
    fill(&real, &metadata, text).map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> String {
    format!("cannot be written: {error}")
}

/// The file itself, if it is a plain one and in the folder.
fn own_file(path: &Path, folder: Option<&Path>) -> Result<PathBuf, String> {
    let kind = fs::symlink_metadata(path).map_err(|error| failed(&error))?.file_type();
    let real = fs::canonicalize(path).map_err(|error| failed(&error))?;
    if kind.is_symlink() {
        return Err(format!(
            "is a link, and --fix writes through none: name {} itself",
            real.display()
        ));
    }
    if !kind.is_file() {
        return Err("is no plain file, and --fix writes only those".to_owned());
    }
    let inside = folder.map(fs::canonicalize).transpose().map_err(|error| failed(&error))?;
    if inside.is_some_and(|folder| !real.starts_with(folder)) {
        return Err(format!(
            "lies outside of the folder that was named, and --fix stays in it: name {} itself",
            real.display()
        ));
    }
    Ok(real)
}

/// Writes beside the file, for only within one file system is a rename a single step. What is left of an attempt
/// that fails is deleted.
fn fill(path: &Path, like: &Metadata, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".gabion-").tempfile_in(folder)?;
    owned_like(file.as_file(), like);
    file.as_file().set_permissions(like.permissions())?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Only the superuser may give a file away; for anybody else it is theirs, as with any editor.
#[cfg(unix)]
fn owned_like(file: &File, like: &Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let _ = fchown(file, Some(like.uid()), Some(like.gid()));
}

#[cfg(not(unix))]
fn owned_like(_: &File, _: &Metadata) {}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_gets_its_new_text_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(replace(&path, Some(folder.path()), "new"), Ok(()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_text_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "old").unwrap();
        let metadata = fs::metadata(&path).unwrap();
        // A folder is in the way of the last step.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(fill(&taken, &metadata, "new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(replace(&path, None, "new").is_err_and(|e| e.contains("mode forbids it")));
        assert!(replace(&folder.path().join("b"), None, "new").is_err());
    }

    #[test]
    fn links_are_not_written_through_and_nothing_outside_is_touched() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = outside.path().join("a.yaml");
        fs::write(&target, "old").unwrap();
        let link = folder.path().join("link.yaml");
        symlink(&target, &link).unwrap();
        symlink(outside.path(), folder.path().join("away")).unwrap();
        assert!(replace(&link, None, "new").is_err_and(|e| e.contains("is a link")));
        let through = folder.path().join("away/a.yaml");
        assert!(
            replace(&through, Some(folder.path()), "new").is_err_and(|e| e.contains("outside"))
        );
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        // Who names a folder by a link means what is in it.
        let named = folder.path().join("away");
        assert_eq!(replace(&through, Some(&named), "new"), Ok(()));
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }
}
