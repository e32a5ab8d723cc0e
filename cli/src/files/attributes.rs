//! Copies owner, mode, access control list and label to a file that replaces another one.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    Gid, Mode, Stat, Uid, XattrFlags, fchmod, fchown, fgetxattr, fremovexattr, fsetxattr, fstat, getxattr,
};
use rustix::io::Errno;

use super::failed;
use crate::failure::Outcome;
use crate::report;

const ACL: &str = "system.posix_acl_access";
const LABEL: &str = "security.selinux";
/// The maximal size of an attribute in the kernel.
const ATTRIBUTE_MAX: usize = 65_536;

/// The attributes that could not be copied.
#[derive(Clone, Copy, Default)]
struct UncopiedAttributes {
    owner: bool,
    group: bool,
    acl: bool,
    label: bool,
}

impl UncopiedAttributes {
    fn names(self) -> Vec<&'static str> {
        let all = [
            (self.owner, "owner"),
            (self.group, "group"),
            (self.acl, "access control list"),
            (self.label, "SELinux label"),
        ];
        all.into_iter().filter(|(lost, _)| *lost).map(|(_, name)| name).collect()
    }
}

/// Copies the attributes of `old` to `file`, and reports those that cannot be copied. `new_mode` is the mode of a new file.
pub fn keep(old: &OwnedFd, file: &OwnedFd, new_mode: u32, name: &str) -> Outcome<()> {
    let was = fstat(old).map_err(|errno| failed(name, errno))?;
    let mut lost = keep_owner(&was, file);
    // The label first: the access control list must not take effect before it.
    lost.label = !keep_label(old, file);
    lost.acl = !keep_attribute(old, file, ACL);
    let names = lost.names();
    let mode = if names.is_empty() { was.st_mode & 0o7777 } else { narrower(was.st_mode, new_mode, lost) };
    if !names.is_empty() {
        report::note(name, &format!("could not keep its {}; its mode becomes {mode:04o}", names.join(", ")));
    }
    // Last: changing the owner clears bits of the mode.
    set_mode(file, mode, name);
    Ok(())
}

pub fn set_mode(file: &OwnedFd, mode: u32, name: &str) {
    if fchmod(file, Mode::from_raw_mode(mode)).is_ok() {
        return;
    }
    if let Ok(is) = fstat(file).map(|stat| stat.st_mode & 0o7777)
        && is != mode
    {
        report::note(name, &format!("could not set its mode, which is {is:04o}"));
    }
}

fn keep_owner(was: &Stat, file: &OwnedFd) -> UncopiedAttributes {
    let is = || fstat(file).ok();
    let mut lost = UncopiedAttributes::default();
    if is().is_none_or(|is| is.st_uid != was.st_uid) {
        lost.owner = fchown(file, Some(Uid::from_raw(was.st_uid)), None).is_err();
    }
    if is().is_none_or(|is| is.st_gid != was.st_gid) {
        lost.group = fchown(file, None, Some(Gid::from_raw(was.st_gid))).is_err();
    }
    lost
}

/// A mode that allows nothing that the old file or a new file forbids.
fn narrower(was: u32, new_mode: u32, lost: UncopiedAttributes) -> u32 {
    let mut mode = was & new_mode & 0o777;
    if lost.group {
        // Members of the new group had the permissions of others before.
        mode &= !0o070 | ((was & 0o7) << 3);
    }
    if lost.acl {
        // The list may deny what the mode allows.
        mode &= 0o700;
    }
    mode
}

fn attribute(file: BorrowedFd<'_>, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; ATTRIBUTE_MAX];
    let len = match fgetxattr(file, name, &mut value[..]) {
        // A file that cannot be read is opened with O_PATH, which fgetxattr() refuses.
        Err(Errno::BADF) => getxattr(format!("/proc/self/fd/{}", file.as_raw_fd()), name, &mut value[..])?,
        other => other?,
    };
    value.truncate(len);
    Ok(value)
}

fn is_without(value: &Result<Vec<u8>, Errno>) -> bool {
    matches!(value, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

/// Copies the attribute. Returns whether both files have the same value, or none.
fn keep_attribute(old: &OwnedFd, file: &OwnedFd, name: &str) -> bool {
    let wanted = attribute(old.as_fd(), name);
    let present = attribute(file.as_fd(), name);
    match wanted {
        // The old file has none: remove one that the new file inherited from its folder.
        Err(_) if is_without(&wanted) => is_without(&present) || fremovexattr(file, name).is_ok(),
        Err(_) => false,
        Ok(value) => present.as_ref() == Ok(&value) || fsetxattr(file, name, &value, XattrFlags::empty()).is_ok(),
    }
}

/// Copies the SELinux label. A label cannot be removed: a file without one keeps the default of the policy.
fn keep_label(old: &OwnedFd, file: &OwnedFd) -> bool {
    is_without(&attribute(old.as_fd(), LABEL)) || keep_attribute(old, file, LABEL)
}
