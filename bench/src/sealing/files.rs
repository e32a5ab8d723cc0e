//! Sealing and opening between files in memory, with one thread and with two.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Effort;
use super::figures::Section;
use super::library::Library;
use super::turns::{alternate, cost_of};
use crate::error::Result;

const SEAL_1: &str = "tckms_seal_fd, 1 thread";
const SEAL_2: &str = "tckms_seal_fd, 2 threads";
const OPEN_1: &str = "tckms_open_fd, 1 thread";
const OPEN_2: &str = "tckms_open_fd, 2 threads";
const COPY: &str = "read and write alone, 1 thread";
/// With a new file, the kernel allocates memory during the write, in a virtual machine from the host. That takes most of the time.
const NEW_1: &str = "tckms_seal_fd, 1 thread, new file";
const NEW_2: &str = "tckms_seal_fd, 2 threads, new file";
const COPY_NEW: &str = "read and write alone, 1 thread, new file";

pub fn measure(library: &Library, effort: &Effort) -> Result<Section> {
    eprintln!("measuring files in memory");
    let folder = Folder::new()?;
    let (plain, sealed, out) = (folder.0.join("plain"), folder.0.join("sealed"), folder.0.join("out"));
    fs::write(&plain, vec![9; effort.large])?;
    for file in [&sealed, &out] {
        library.seal_file(&File::open(&plain)?, &File::create(file)?, 2)?;
    }
    let mut turn = |candidate: &'static str| {
        let from = File::open(if matches!(candidate, OPEN_1 | OPEN_2) { &sealed } else { &plain })?;
        let new = folder.0.join("new");
        let is_new = matches!(candidate, NEW_1 | NEW_2 | COPY_NEW);
        let to = if is_new { File::create(&new)? } else { File::options().write(true).open(&out)? };
        let work = || match candidate {
            SEAL_1 | NEW_1 => library.seal_file(&from, &to, 1),
            SEAL_2 | NEW_2 => library.seal_file(&from, &to, 2),
            OPEN_1 => library.open_file(&from, &to, 1),
            OPEN_2 => library.open_file(&from, &to, 2),
            _ => copy(&from, &to),
        };
        let (cost, ()) = cost_of(work)?;
        if is_new {
            fs::remove_file(new)?;
        }
        Ok(cost)
    };
    // New files have their own rounds: the kernel frees a removed file in the background, during the next turn.
    let mut series = alternate(&[SEAL_2, SEAL_1, OPEN_2, OPEN_1, COPY], effort.large_rounds, &mut turn)?;
    series.extend(alternate(&[NEW_2, NEW_1, COPY_NEW], effort.large_rounds, &mut turn)?);
    let title = format!("{} MiB from file to file in memory", effort.large >> 20);
    let mut section = Section::new("files", &title, "GB/s", effort.large as f64 / 1e9, &series);
    section.by_wall = true;
    section.compare(&series, SEAL_2, SEAL_1);
    section.compare(&series, OPEN_2, OPEN_1);
    section.compare(&series, NEW_2, NEW_1);
    Ok(section)
}

/// Copies chunks of the library's size.
fn copy(mut from: &File, mut to: &File) -> Result<()> {
    let mut chunk = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut from, &mut chunk)? {
            0 => return Ok(()),
            len => std::io::Write::write_all(&mut to, &chunk[..len])?,
        }
    }
}

/// A temporary folder, in memory if the system has /dev/shm.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("tckms-bench-{}", std::process::id()));
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
