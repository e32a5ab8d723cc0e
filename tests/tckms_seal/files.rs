//! Descriptors, links, mounts, full disks, and permissions.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use crate::attributes::{ACL, DEFAULT_ACL, LABEL, access_control_list, attribute, remove_attribute, set_attribute};
use crate::harness::{Need, Tool, WRONG_INPUT, names_in, printed, text};

/// Checks that a command failed with this exit status and this text in its message.
fn refused(output: &std::process::Output, code: i32, expected: &str) {
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(code) && said.contains(expected), "{}: {said}", output.status);
    assert!(said.ends_with('\n') && said.starts_with("tckms-seal: "), "{said}");
}

/* ---- Descriptors ---- */

#[test]
fn a_path_of_a_descriptor_is_that_descriptor() {
    let tool = Tool::new();
    symlink("/dev/stdout", tool.file("link")).unwrap();
    symlink("/proc/self/fd", tool.file("folder")).unwrap();
    let paths = [
        "-",
        "/dev/stdout",
        "/dev/fd/1",
        "/proc/self/fd/1",
        "//dev//./stdout",
        "/proc/thread-self/fd/1",
        "link",
        "folder/1",
    ];
    for path in paths {
        // Appended to; the file is still the same inode.
        let script = format!(
            "printf before >out; ls -i out; printf hello | seal -o {path} >>out; ls -i out; dd if=out bs=1 skip=6 status=none | open"
        );
        let output = printed(&tool.shell(&script));
        let lines: Vec<_> = output.lines().collect();
        assert!(lines.len() == 3 && lines[0] == lines[1] && lines[2] == "hello", "{path}: {output}");
        assert!(fs::read(tool.file("out")).unwrap().starts_with(b"before"), "{path}");
    }
    assert_eq!(tool.names(), ["folder", "link", "out"]);
    let script =
        "printf before >out; printf hello | seal -o /dev/fd/3 3>>out; dd if=out bs=1 skip=6 status=none | open";
    assert_eq!(printed(&tool.shell(script)), "hello");
    // At the position of the descriptor.
    assert_eq!(
        printed(&tool.shell("{ printf before; printf hello | seal | open -o -; } >out; cat out")),
        "beforehello"
    );
}

#[test]
fn a_descriptor_that_is_not_open_is_an_error() {
    let tool = Tool::new();
    for script in [
        "seal -o /dev/fd/9",
        "seal -o /dev/fd/3 out",
        "seal -o /proc/self/fd/99999999999999999999",
        "seal -o /proc/thread-self/fd/4",
        "seal -o /dev/stdin </dev/null",
        "seal -o /dev/fd/0 0<out",
    ] {
        fs::write(tool.file("out"), "before").unwrap();
        refused(&tool.shell(script), WRONG_INPUT, "Bad file descriptor");
        assert_eq!((fs::read(tool.file("out")).unwrap(), tool.names()), (b"before".to_vec(), vec!["out".to_owned()]));
    }
    refused(
        &tool.shell("sleep 5 >/dev/null 2>&1 & seal -o /proc/$!/fd/1"),
        WRONG_INPUT,
        "not a descriptor of this program",
    );
}

#[test]
fn closed_standard_descriptors_are_errors_where_they_are_needed() {
    let tool = Tool::new();
    fs::write(tool.file("plain"), "hello").unwrap();
    for (script, name) in [
        ("seal <&-", "standard input"),
        ("seal -o out <&-", "standard input"),
        ("seal - <&-", "standard input"),
        ("seal /dev/stdin <&-", "/dev/stdin"),
        ("\"$TOOL\" --info <&-", "standard input"),
        ("seal 0>plain", "standard input"),
        ("seal plain >&-", "standard output"),
        ("seal -o /dev/stdout plain >&-", "/dev/stdout"),
        ("seal plain 1<plain", "standard output"),
        ("\"$TOOL\" --help >&-", "standard output"),
        ("\"$TOOL\" --version >&-", "standard output"),
        ("printf x | seal -o sealed; \"$TOOL\" --info sealed >&-", "standard output"),
    ] {
        fs::write(tool.file("plain"), "hello").unwrap();
        let output = tool.shell(script);
        // The output of a message is checked before the work; printed text only when it is written.
        let code = if name == "standard output" && script.contains(" --") { 1 } else { WRONG_INPUT };
        refused(&output, code, &format!("tckms-seal: {name}: Bad file descriptor\n"));
        assert!(output.stdout.is_empty(), "{script}");
    }
    assert_eq!(tool.names(), ["plain", "sealed"]);
    // A file does not become a standard descriptor, where messages would be written into it.
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        fs::write(tool.file("plain"), "hello").unwrap();
        let script = format!("seal -o sealed plain {closed}; open -o again sealed {closed}; cat again");
        assert_eq!(printed(&tool.shell(&script)), "hello", "{closed}");
        let script = format!("echo nonsense >bad; echo before >out; open -o out bad {closed} || cat out; rm bad out");
        assert_eq!(text(&tool.shell(&script).stdout), "before\n", "{closed}");
    }
}

/* ---- Permissions ---- */

#[test]
fn a_replaced_file_keeps_its_permissions() {
    let tool = Tool::new();
    if !tool.can("a_replaced_file_keeps_its_permissions", &[Need::Root, Need::Attributes]) {
        return;
    }
    let out = tool.file("out");
    let label = b"system_u:object_r:etc_t:s0\0";
    for (mode, sealing) in [(0o640, true), (0o604, false), (0o400, true), (0o777, false), (0o000, true), (0o2750, true)]
    {
        let sealed = tool.run(&["-k", tool.key()], b"hello").stdout;
        let _ = fs::remove_file(&out);
        fs::write(&out, "before").unwrap();
        chown(&out, Some(1234), Some(4321)).unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(mode)).unwrap();
        set_attribute(&out, LABEL, label);
        let before = fs::metadata(&out).unwrap();
        let arguments = if sealing { &["-k"][..] } else { &["-d", "-k"] };
        let done = tool.run(&[arguments, &[tool.key(), "-o", "out"]].concat(), if sealing { b"x" } else { &sealed });
        assert!(done.status.success() && done.stderr.is_empty(), "{}", text(&done.stderr));
        let after = fs::metadata(&out).unwrap();
        assert_eq!((after.mode() & 0o7777, after.uid(), after.gid()), (mode, 1234, 4321));
        assert_ne!(before.ino(), after.ino());
        assert_eq!(attribute(&out, LABEL).unwrap(), label);
        assert_eq!(attribute(&out, ACL), None);
    }
}

#[test]
fn a_replaced_file_keeps_its_access_control_list_and_inherits_none() {
    let tool = Tool::new();
    if !tool.can("a_replaced_file_keeps_its_access_control_list_and_inherits_none", &[Need::Attributes]) {
        return;
    }
    let list = access_control_list(6, &[(1000, 4), (1001, 6)], 4, 6, 0);
    let out = tool.file("out");
    fs::write(&out, "before").unwrap();
    set_attribute(&out, ACL, &list);
    assert_eq!(tool.code(&["-k", tool.key(), "-o", "out"], b"x"), 0);
    assert_eq!(attribute(&out, ACL).unwrap(), list);
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o777, 0o660);
    // The folder has a default list for new files. A file that had none gets none.
    set_attribute(tool.scratch.path(), DEFAULT_ACL, &access_control_list(7, &[(1000, 7)], 7, 7, 0));
    let plain = tool.file("plain");
    fs::write(&plain, "").unwrap();
    remove_attribute(&plain, ACL);
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(attribute(&plain, ACL), None);
    assert_eq!(tool.code(&["-k", tool.key(), "-o", "plain"], b"x"), 0);
    assert_eq!((attribute(&plain, ACL), fs::metadata(&plain).unwrap().mode() & 0o777), (None, 0o640));
}

/// As a user who may replace the file but not change its owner.
#[test]
fn lost_attributes_are_reported_and_the_mode_is_not_wider() {
    let tool = Tool::new();
    if !tool.can("lost_attributes_are_reported_and_the_mode_is_not_wider", &[Need::AnotherUser, Need::Attributes]) {
        return;
    }
    let sealed = tool.run(&["-k", tool.key()], b"hello").stdout;
    fs::write(tool.file("sealed"), sealed).unwrap();
    fs::set_permissions(tool.file("sealed"), fs::Permissions::from_mode(0o644)).unwrap();
    let out = tool.file("out");
    for (mode, list, sealed_mode, opened_mode, lost) in [
        (0o664, None, 0o644, 0o600, "owner, group"),
        (0o640, None, 0o600, 0o600, "owner, group"),
        (0o604, None, 0o604, 0o600, "owner, group"),
        (0o666, None, 0o644, 0o600, "owner, group"),
        // The list denies user 1000 what it allows to all others.
        (0o664, Some(access_control_list(6, &[(1000, 0)], 6, 6, 4)), 0o644, 0o600, "owner, group"),
    ] {
        for (command, expected) in [("printf x | seal -o out", sealed_mode), ("open -o out sealed", opened_mode)] {
            let _ = fs::remove_file(&out);
            fs::write(&out, "before").unwrap();
            chown(&out, Some(1234), Some(4321)).unwrap();
            fs::set_permissions(&out, fs::Permissions::from_mode(mode)).unwrap();
            if let Some(list) = &list {
                set_attribute(&out, ACL, list);
            }
            let done = tool.shell_as_nobody(command);
            let said = text(&done.stderr);
            assert!(done.status.success(), "{said}");
            assert!(
                said.starts_with(&format!("tckms-seal: out: could not keep its {lost}; its mode becomes ")),
                "{said}"
            );
            let after = fs::metadata(&out).unwrap();
            assert_eq!((after.mode() & 0o777, after.uid()), (expected, 65_534), "{mode:o} {command}");
            assert!(said.contains(&format!("{expected:04o}")), "{said}");
            // A list that was copied is unchanged.
            assert_eq!(attribute(&out, ACL).is_some(), list.is_some());
        }
    }
}

/// As on a file system with one mode for all files, or for root without all capabilities.
#[test]
fn a_mode_that_cannot_be_set_is_reported() {
    let tool = Tool::new();
    if !tool.can("a_mode_that_cannot_be_set_is_reported", &[Need::Root]) {
        return;
    }
    let out = tool.file("out");
    fs::write(&out, "before").unwrap();
    chown(&out, Some(1234), Some(4321)).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o664)).unwrap();
    let script = "exec setpriv --bounding-set=-fowner,-fsetid \"$TOOL\" -k \"$KEY\" -o out </dev/null";
    let output = tool.shell(script);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("tckms-seal: out: could not set its mode, which is 0600\n"),
        "{said}"
    );
    let after = fs::metadata(&out).unwrap();
    assert_eq!((after.mode() & 0o7777, after.uid(), after.gid()), (0o600, 1234, 4321));
}

/* ---- Files that cannot be replaced ---- */

#[test]
fn a_mounted_file_is_written_in_place() {
    let tool = Tool::new();
    if !tool.can("a_mounted_file_is_written_in_place", &[Need::Mounts]) {
        return;
    }
    for mounted in [
        "mkdir a; printf before >a/file; mount --bind a/file out",
        "mount -t tmpfs none m; printf before >m/file; mount --bind m/file out",
    ] {
        let script = format!(
            "mkdir -p m; : >out; {mounted}; chmod 640 out; ls -i out; printf hello | seal >sealed; open -o out sealed; ls -i out; \
             cat out; stat -c %a out; printf nonsense | open -o out 2>&1 || cat out; ls -A; rm -rf a"
        );
        let output = printed(&tool.shell_with_mounts(&script));
        let lines: Vec<_> = output.lines().collect();
        assert!(lines[0] == lines[1] && lines[2].starts_with("hello640"), "{output}");
        assert!(lines[3].starts_with("tckms-seal: cannot open standard input to out"), "{output}");
        assert!(lines[4].starts_with("hello") && !output.contains(".tckms-seal."), "{output}");
        // A shorter result truncates the file. The file may be the input if that is allowed.
        let script = format!(
            "mkdir -p m; : >out; {mounted}; seq 1000 >out; printf hello | seal >sealed; open -o out sealed; cat out; \
             seal -o out out 2>&1 || true; seal --overwrite-input -o out out; open out; rm -rf a"
        );
        let output = printed(&tool.shell_with_mounts(&script));
        assert!(output.starts_with("hellotckms-seal: out: this is the input file"), "{output}");
        assert!(output.ends_with("\nhello"), "{output}");
    }
}

/// Without /proc, only the failing rename() shows that a file is a mount point.
#[test]
fn a_mounted_file_is_written_in_place_without_proc() {
    let tool = Tool::new();
    if !tool.can("a_mounted_file_is_written_in_place_without_proc", &[Need::Mounts]) {
        return;
    }
    let script = "echo before >out; chmod 640 out; mount --bind out out; ls -i out; printf hello | seal >sealed; mount -t tmpfs none /proc; \
                  open -o out sealed; ls -i out; cat out; stat -c %a out; ls -A";
    let output = printed(&tool.shell_with_mounts(script));
    let lines: Vec<_> = output.lines().collect();
    assert!(lines[0] == lines[1] && lines[2] == "hello640" && lines[3..] == ["out", "sealed"], "{output}");
}

/// Its folder does not allow new files, and it has no length.
#[test]
fn a_file_of_the_kernel_is_written_in_place() {
    let tool = Tool::new();
    if !tool.can("a_file_of_the_kernel_is_written_in_place", &[Need::Mounts]) {
        return;
    }
    let script =
        "printf tckms-test | seal >sealed; open -o /proc/sys/kernel/hostname sealed; cat /proc/sys/kernel/hostname";
    assert_eq!(printed(&tool.shell_with_options(&["--mount", "--uts"], script)), "tckms-test\n");
}

/// An endpoint without a server shows that no request is sent.
#[test]
fn an_unwritable_output_is_refused_before_the_work() {
    let tool = Tool::new();
    if !tool.can("an_unwritable_output_is_refused_before_the_work", &[Need::Mounts]) {
        return;
    }
    let refusals = [
        (": >out; mount --bind out out; mount -o remount,bind,ro out", "out: Read-only file system"),
        ("mkdir -p m; mount -t tmpfs -o ro none m", "m/new: Read-only file system"),
        ("mkdir -p m; mount -t tmpfs none m; : >m/new; mount -o remount,ro m", "m/new: Read-only file system"),
        ("mkdir -p d", "d: Is a directory"),
        ("mkdir -p d; ln -sfn d l", "l: Is a directory"),
        (":", "no/such/folder: No such file or directory"),
        (": >f", "f/x: Not a directory"),
        (": >f", "f/: Not a directory"),
        ("ln -sfn loop loop", "loop: Too many levels of symbolic links"),
        ("ln -sfn no/such/folder dangling", "dangling: No such file or directory"),
    ];
    for (prepare, expected) in refusals {
        let name = expected.split(": ").next().unwrap();
        let script = format!("{prepare}; TCKMS_ENDPOINT=http://127.0.0.1:9; echo x | seal -o '{name}'");
        refused(&tool.shell_with_mounts(&script), WRONG_INPUT, &format!("tckms-seal: {expected}\n"));
    }
    let no_name = tool.shell_with_mounts("TCKMS_ENDPOINT=http://127.0.0.1:9; echo x | seal -o ''");
    refused(&no_name, WRONG_INPUT, ": No such file or directory\n");
}

#[test]
fn immutable_files_and_folders_are_refused_before_the_work() {
    let tool = Tool::new();
    if !tool.can("immutable_files_and_folders_are_refused_before_the_work", &[Need::Chattr]) {
        return;
    }
    for (prepare, name, expected) in [
        (": >out; chattr +i out", "out", "out: Operation not permitted"),
        (": >out; chattr +a out", "out", "out: Operation not permitted"),
        ("mkdir -p d; chattr +i d", "d/new", "d/new: Operation not permitted"),
        ("mkdir -p d; chattr +a d", "d/new", "d/new: Operation not permitted"),
    ] {
        let undo = "chattr -ia out d 2>/dev/null || true; ls -A d 2>/dev/null || true; rm -rf out d";
        let prepared = tool.shell(&format!("{prepare} || {{ {undo}; exit 77; }}"));
        assert!(prepared.status.success(), "{}", text(&prepared.stderr));
        let output = tool.shell(&format!("TCKMS_ENDPOINT=http://127.0.0.1:9; echo x | seal -o {name}"));
        let left = printed(&tool.shell(undo));
        refused(&output, WRONG_INPUT, &format!("tckms-seal: {expected}\n"));
        assert_eq!(left, "", "an unfinished file remains");
    }
    // In an append-only folder, an existing file is written in place.
    let script = "mkdir d; printf before >d/out; chattr +a d; printf hello | seal >sealed; TMPDIR=$PWD open -o d/out sealed; \
                  chattr -a d; cat d/out; ls -A d";
    assert_eq!(printed(&tool.shell(script)), "helloout\n");
}

#[test]
fn in_a_folder_that_is_not_writable_a_writable_file_is_written_in_place() {
    let tool = Tool::new();
    if !tool.can("in_a_folder_that_is_not_writable_a_writable_file_is_written_in_place", &[Need::AnotherUser]) {
        return;
    }
    let script = "mkdir d t; printf before >d/out; chmod 666 d/out; printf hello | seal >sealed; chmod 555 d; ls -i d; \
                  TMPDIR=$PWD/t open -o d/out sealed; ls -i d; cat d/out; ls -A d t; \
                  printf x | TMPDIR=$PWD/t seal -o d/new || true; TMPDIR=/nonexistent open -o d/out sealed || true; cat d/out";
    let output = tool.shell_as_nobody(script);
    let printed = printed(&output);
    let lines: Vec<_> = printed.lines().collect();
    assert!(lines[0] == lines[1] && lines[2] == "hellod:" && lines[3..] == ["out", "", "t:", "hello"], "{printed}");
    let said = text(&output.stderr);
    assert_eq!(said, "tckms-seal: d/new: Permission denied\ntckms-seal: /nonexistent: No such file or directory\n");
}

/* ---- Full disks ---- */

#[test]
fn a_full_disk_is_an_error_at_each_stage() {
    let tool = Tool::new();
    if !tool.can("a_full_disk_is_an_error_at_each_stage", &[Need::Mounts, Need::Chattr]) {
        return;
    }
    let fill = "mkdir -p m; mount -t tmpfs -o size=256k none m; head -c 100000 /dev/zero >small; head -c 300000 /dev/zero >big; \
                seal -o sealed big; seal -o sealed-small small";
    for (script, expected) in [
        // The temporary file. The existing file is unchanged.
        ("printf before >m/out; seal -o m/out big", "cannot seal big to m/out: "),
        ("printf before >m/out; open -o m/out sealed", "cannot open sealed to m/out: "),
        // No inode is left for another file.
        ("printf before >m/out; mount -o remount,nr_inodes=2 m; seal -o m/out small", "m/out: "),
        // The temporary file for a mount point.
        (
            "printf before >out; mount --bind out out; TMPDIR=$PWD/m; export TMPDIR; chattr +a . && open -o out sealed",
            "cannot open sealed to out: ",
        ),
        // The mounted file itself: only its file system is full.
        (
            "head -c 200000 /dev/zero >m/fill; printf before >m/out; : >out; mount --bind m/out out; open -o out sealed-small",
            "out: ",
        ),
        // No regular file.
        ("printf before >out; seal small >/dev/full", "cannot seal small to standard output: "),
        ("printf before >out; seal -o /dev/full small", "cannot seal small to /dev/full: "),
        ("printf before >out; open sealed-small >/dev/full", "cannot open sealed-small to standard output: "),
        ("printf before >out; \"$TOOL\" --info sealed >/dev/full", "standard output: "),
        ("printf before >out; \"$TOOL\" --help >/dev/full", "standard output: "),
        ("printf before >out; \"$TOOL\" --version >/dev/full", "standard output: "),
    ] {
        let ended = "code=$?; chattr -a . 2>/dev/null || true; ls -A . m; cat m/out 2>/dev/null || cat out; exit $code";
        let output = tool.shell_with_mounts(&format!("{fill}; set +e; {script}; {ended}"));
        refused(&output, 1, &format!("tckms-seal: {expected}"));
        assert!(text(&output.stderr).contains("No space left on device"), "{script}: {}", text(&output.stderr));
        let printed = text(&output.stdout);
        assert!(printed.ends_with("before") && !printed.contains(".tckms-seal."), "{script}: {printed}");
        printed_nothing_else(&tool);
    }
}

/// Restores the folder for the next script.
fn printed_nothing_else(tool: &Tool) {
    for name in names_in(tool.scratch.path()) {
        assert!(["m", "small", "big", "sealed", "sealed-small", "out"].contains(&name.as_str()), "{name}");
    }
}

/// The file size limit is reported like a full disk, and not by a signal.
#[test]
fn the_file_size_limit_is_an_error() {
    let tool = Tool::new();
    let script =
        "printf before >out; head -c 300000 /dev/zero >big; ulimit -f 100; seal -o out big || { cat out; ls -A; }";
    let output = tool.shell(script);
    assert!(text(&output.stderr).contains("File too large"), "{}", text(&output.stderr));
    assert_eq!(printed(&output), "beforebig\nout\n");
}

/* ---- Links ---- */

#[test]
fn a_dangling_link_is_followed() {
    let tool = Tool::new();
    let script = "mkdir d; ln -s d/target one; ln -s one two; printf hello | seal -o two; ls -l d | grep -c target; \
                  readlink two; open two; ln -s \"$PWD/d/absolute\" three; printf hello | seal -o three; open d/absolute";
    assert_eq!(printed(&tool.shell(script)), "1\none\nhellohello");
}

/// As root with files of others, and as another user with files of root.
#[test]
fn in_a_sticky_folder_files_of_other_owners_are_refused() {
    let tool = Tool::new();
    if !tool.can("in_a_sticky_folder_files_of_other_owners_are_refused", &[Need::AnotherUser]) {
        return;
    }
    let sticky = tool.file("sticky");
    fs::create_dir(&sticky).unwrap();
    let prepare = "printf before >victim; chmod 666 victim; cd sticky; rm -rf *; ln -s ../victim link; ln -s nothing dangling; ln -s .. up; mkfifo pipe; \
                   printf before >file; chmod 666 file pipe; ln -s /dev/stdout output";
    let refusals = [
        ("link", "a link of another user in a sticky folder is not followed"),
        ("dangling", "a link of another user"),
        ("output", "a link of another user"),
        ("up/victim", "a link of another user"),
        ("up/new", "a link of another user"),
        ("pipe", "a file of another user in a sticky folder is not written to"),
        ("file", "a file of another user"),
    ];
    let run = |as_nobody: bool, script: &str| if as_nobody { tool.shell_as_nobody(script) } else { tool.shell(script) };
    for as_nobody in [false, true] {
        fs::set_permissions(tool.scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).unwrap();
        chown(&sticky, Some(0), Some(0)).unwrap();
        let _ = fs::remove_file(tool.file("victim"));
        printed(&run(!as_nobody, prepare));
        for (name, expected) in refusals {
            let output =
                run(as_nobody, &format!("cd sticky; printf x | TCKMS_ENDPOINT=http://127.0.0.1:9 seal -o {name}"));
            refused(&output, WRONG_INPUT, &format!("tckms-seal: {name}: {expected}"));
        }
        assert_eq!(fs::read(tool.file("victim")).unwrap(), b"before");
        // The user's own links work as elsewhere.
        let own = "cd sticky; rm -rf mine; mkdir mine; ln -s mine/target own; printf hello | seal -o own; open mine/target; rm -rf own mine";
        assert_eq!(printed(&run(as_nobody, own)), "hello");
        printed(&run(!as_nobody, "rm -rf sticky/*"));
    }
}

/// An attacker may create a link between the check of a name and its use. The tool uses the name in the resolved folder, and replaces
/// the link instead of following it.
#[test]
fn a_link_that_is_created_during_the_work_is_not_followed() {
    let tool = Tool::new();
    let script = "printf before >victim; mkfifo input; seal -o out input & exec 3>input; printf hello >&3; \
                  while [ -z \"$(ls -A | grep tckms-seal)\" ]; do sleep 0.05; done; ln -s victim out; exec 3>&-; wait $!; cat victim; open out";
    assert_eq!(printed(&tool.shell(script)), "beforehello");
}

/* ---- The input ---- */

#[test]
fn the_input_is_not_overwritten_unless_that_is_allowed() {
    let tool = Tool::new();
    for name in ["f", "./f", "d/../f", "soft", "hard", "../up/f"] {
        let folder = tool.scratch.path().file_name().unwrap().to_str().unwrap().to_owned();
        let name = name.replace("up", &folder);
        let prepare = "rm -rf f soft hard d; printf hello >f; ln -s f soft; ln f hard; mkdir d";
        for script in [format!("seal -o {name} f"), format!("seal -o f {name}"), format!("seal -o {name} <f")] {
            refused(&tool.shell(&format!("{prepare}; {script}")), WRONG_INPUT, "use --overwrite-input to replace it");
            assert_eq!(fs::read(tool.file("f")).unwrap(), b"hello");
        }
        let script = format!("{prepare}; seal --overwrite-input -o {name} f; open {name}");
        assert_eq!(printed(&tool.shell(&script)), "hello", "{name}");
    }
    fs::write(tool.file("f"), "hello").unwrap();
    // Through a descriptor the input would change while it is read, so the option does not allow that.
    for script in ["seal f >>f", "seal --overwrite-input f >>f", "seal -o /dev/stdout <f 1<>f"] {
        refused(&tool.shell(script), WRONG_INPUT, "the input file is the output file");
        assert_eq!(fs::read(tool.file("f")).unwrap(), b"hello");
    }
    assert_eq!(printed(&tool.shell("seal -o /dev/null </dev/null")), "");
}

/// The output blocks in a pipe while the file changes. Its first byte shows that the input is open.
#[test]
fn an_input_that_changes_while_it_is_read_is_an_error() {
    let tool = Tool::new();
    for (change, expected) in [
        ("truncate -s 5000000 big", "tckms-seal: big: the file shrank while it was read\n"),
        ("printf more >>big", "tckms-seal: big: the file grew while it was read\n"),
        ("head -c 3000000 /dev/zero >>big", "tckms-seal: big: the file grew while it was read\n"),
        ("printf x | dd of=big conv=notrunc status=none", "tckms-seal: big: the file was modified while it was read\n"),
        ("mv big other; : >big", ""),
        ("chmod 600 big", ""),
    ] {
        let script = format!(
            "rm -rf big other; head -c 20000000 /dev/zero >big; mkfifo pipe; {{ dd bs=1 count=1 status=none >/dev/null; sleep 0.1; {change}; cat >/dev/null; }} <pipe & \
             set +e; seal big >pipe; code=$?; wait; rm pipe; exit $code"
        );
        let output = tool.shell(&script);
        assert_eq!(output.status.code(), Some(if expected.is_empty() { 0 } else { 1 }), "{change}");
        assert_eq!(text(&output.stderr), expected, "{change}");
    }
    // A file that grows without end stops the tool, and the result is removed.
    let script = "head -c 1000000 /dev/zero >big; printf before >out; (while [ ! -e stop ]; do head -c 2000000 /dev/zero; done) >>big & \
                  seal -o out big; : >stop; wait";
    let output = tool.shell(&format!("set +e; {script}; cat out"));
    assert_eq!(
        (text(&output.stderr), text(&output.stdout)),
        ("tckms-seal: big: the file grew while it was read\n".into(), "before".into())
    );
    // Files of the kernel have the size 0.
    assert_eq!(printed(&tool.shell("seal /proc/sys/kernel/ostype | open; seal /sys/kernel/mm/transparent_hugepage/enabled | open | cat >/dev/null")), "Linux\n");
}
