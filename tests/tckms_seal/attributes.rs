//! Access control lists and labels of files, in the format of the kernel.

use std::ffi::CString;
use std::path::Path;

pub const ACL: &str = "system.posix_acl_access";
pub const DEFAULT_ACL: &str = "system.posix_acl_default";
pub const LABEL: &str = "security.selinux";

/// An access control list in the format of the kernel: mode bits, and permissions of users.
pub fn access_control_list(owner: u16, users: &[(u32, u16)], group: u16, mask: u16, other: u16) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let mut entry = |tag: u16, rights: u16, id: u32| {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    };
    entry(1, owner, u32::MAX);
    users.iter().for_each(|(id, rights)| entry(2, *rights, *id));
    entry(4, group, u32::MAX);
    entry(0x10, mask, u32::MAX);
    entry(0x20, other, u32::MAX);
    bytes
}

pub fn set_attribute(file: &Path, name: &str, value: &[u8]) {
    assert!(try_set_attribute(file, name, value), "{name}: {}", std::io::Error::last_os_error());
}

pub fn try_set_attribute(file: &Path, name: &str, value: &[u8]) -> bool {
    let (path, name) = (c_path(file), CString::new(name).unwrap());
    // SAFETY: two strings, and a value with its length.
    unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) == 0 }
}

pub fn remove_attribute(file: &Path, name: &str) {
    let (path, name) = (c_path(file), CString::new(name).unwrap());
    // SAFETY: two strings.
    assert_eq!(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }, 0);
}

pub fn attribute(file: &Path, name: &str) -> Option<Vec<u8>> {
    let (path, name) = (c_path(file), CString::new(name).unwrap());
    let mut value = vec![0; 1024];
    // SAFETY: two strings, and memory with its length.
    let len = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    usize::try_from(len).ok().map(|len| value[..len].to_vec())
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}
