//! `tckms reseal`: reseals files under other keys.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tckms::Status;
use tckms::seal::{Context, DescriptorJob, Keyring, MessageInfo, TENCENT_KMS_PROVIDER_ID, WrappedKey};

use super::info::read_info;
use super::keyring::{KeyOptions, NewKeyOptions, Purpose};
use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::files::output::Output;
use crate::interrupt;
use crate::progress::Progress;
use crate::report;
use crate::text::shown;

#[derive(Args, Debug)]
pub struct Options {
    /// The current keys of the files
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    new_keys: NewKeyOptions,
    /// Only list the files that would be resealed
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Also reseal files that already have exactly the new keys
    #[arg(long)]
    force: bool,
    /// Show no progress, even on a terminal
    #[arg(short, long)]
    quiet: bool,
    /// Sealed files, and folders with sealed files. Links in folders are not followed
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<OsString>,
}

/// The result for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum FileState {
    Resealed,
    WouldBeResealed,
    HasTheKeys,
    IsNotSealed,
    Failed,
}

#[derive(Serialize)]
struct FileReport {
    file: String,
    fate: FileState,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

struct Job<'a> {
    options: &'a Options,
    opening: Keyring,
    sealing: Keyring,
    /// The names of the new CMKs, in the form that messages use.
    new_names: Vec<String>,
}

/// A failure with one file does not stop the others.
pub fn run(options: &Options, global: &Global) -> Outcome {
    options.keys.check(Purpose::Open)?;
    options.new_keys.check()?;
    interrupt::catch();
    let (files, mut reports) = find_files(&options.paths)?;
    let region = global.region()?.unwrap_or_default();
    let job = Job {
        options,
        opening: options.keys.opening_keyring(global)?,
        sealing: options.new_keys.keyring(global)?,
        new_names: options.new_keys.new_keys.iter().map(|key| format!("{region}/{key}")).collect(),
    };
    let mut progress = Progress::new(options.quiet);
    let mut exit = if reports.is_empty() { Exit::Done } else { Exit::Failed };
    for (at, (path, is_named)) in files.iter().enumerate() {
        progress.show_count(at as u64, files.len() as u64, "files");
        let fate = job.reseal(path, *is_named);
        if interrupt::received() {
            progress.end();
            return Err(Failure::failed(shown(path.as_os_str()), interrupt::text()));
        }
        let (fate, error) = fate.map_or_else(|failure| (FileState::Failed, Some(failure)), |fate| (fate, None));
        if let Some(failure) = &error {
            progress.end();
            let failed = report::failure(failure, global.json);
            exit = if exit == Exit::Done { failed } else { exit };
        }
        let error = error.map(|failure| failure.why);
        reports.push(FileReport { file: shown(path.as_os_str()), fate, error });
    }
    progress.show_count(files.len() as u64, files.len() as u64, "files");
    progress.end();
    report::result(&reports, |reports| print(reports));
    Ok(exit)
}

fn print(reports: &[FileReport]) {
    for report in reports.iter().filter(|report| report.fate == FileState::WouldBeResealed) {
        report::line(&format!("would reseal {}", crate::text::safe(&report.file)));
    }
    let count = |fate| reports.iter().filter(|report| report.fate == fate).count();
    let parts = [
        (count(FileState::Resealed), "resealed"),
        (count(FileState::WouldBeResealed), "to be resealed"),
        (count(FileState::HasTheKeys), "already under the new keys"),
        (count(FileState::IsNotSealed), "not sealed"),
        (count(FileState::Failed), "failed"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    report::line(&if parts.is_empty() { "no files".to_owned() } else { parts.join(", ") });
}

/// A file, and whether the command line names it.
type Found = (PathBuf, bool);

/// The files, and a report for each folder that cannot be read.
fn find_files(paths: &[OsString]) -> Outcome<(Vec<Found>, Vec<FileReport>)> {
    let (mut files, mut reports) = (Vec::new(), Vec::new());
    for path in paths {
        let kind =
            fs::metadata(path).map_err(|error| Failure::wrong_file(shown(path), crate::failure::os_text(&error)))?;
        match kind.file_type() {
            kind if kind.is_dir() => walk(Path::new(path), &mut files, &mut reports),
            kind if kind.is_file() => files.push((PathBuf::from(path), true)),
            // Opening a pipe would wait for its writer.
            _ => return Err(Failure::wrong_file(shown(path), "it is neither a regular file nor a folder")),
        }
    }
    Ok((files, reports))
}

fn walk(folder: &Path, files: &mut Vec<Found>, reports: &mut Vec<FileReport>) {
    let mut unreadable = |path: &Path, error: &std::io::Error| {
        let failure = Failure::io(shown(path.as_os_str()), error);
        report::note(failure.what.as_deref().unwrap_or_default(), &failure.why);
        let file = failure.what.clone().unwrap_or_default();
        reports.push(FileReport { file, fate: FileState::Failed, error: Some(failure.why) });
    };
    let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return unreadable(folder, &error),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, files, reports),
            Ok(kind) if kind.is_file() && !is_unfinished(&entry.file_name()) => files.push((path, false)),
            _ => {}
        }
    }
}

/// Whether the file is the unfinished output of another run.
fn is_unfinished(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".tckms-seal.")
}

impl Job<'_> {
    fn reseal(&self, path: &Path, is_named: bool) -> Outcome<FileState> {
        let name = path.as_os_str();
        let info = match read_info(&mut Input::open(Some(name))?) {
            Ok(info) => info,
            Err(failure) if !is_named && is_not_a_message(&failure) => return Ok(FileState::IsNotSealed),
            Err(failure) => return Err(failure),
        };
        if self.has_the_keys(&info) && !self.options.force {
            return Ok(FileState::HasTheKeys);
        }
        if self.options.dry_run {
            return Ok(FileState::WouldBeResealed);
        }
        let mut output = Output::find(Some(name), false)?;
        let input = Input::open(Some(name))?;
        if !output.is_atomic() || !output.is_input(&input) {
            return Err(Failure::wrong_file(input.name(), "it is not a regular file, so it cannot be replaced"));
        }
        output.open()?;
        self.transfer(&info, &input, &output)?;
        input.check_unchanged()?;
        output.finish()?;
        Ok(FileState::Resealed)
    }

    /// Whether the wrapping keys of the message are exactly the new CMKs, in the same order and with the new branch.
    fn has_the_keys(&self, info: &MessageInfo) -> bool {
        let new_keys = &self.options.new_keys;
        let fits = |key: &WrappedKey| match new_keys.branch() {
            None => key.provider_id == TENCENT_KMS_PROVIDER_ID,
            Some((id, embedded)) => key.branch().is_some_and(|has| has.id == id.as_str() && has.embedded == embedded),
        };
        let names = info.wrapped_keys.iter().map(|key| (fits(key), key.provider_info.as_slice()));
        new_keys.has_cmks_only() && names.eq(self.new_names.iter().map(|name| (true, name.as_bytes())))
    }

    /// Another thread opens into a pipe, and this one seals from it. The output is used only if both succeed.
    fn transfer(&self, info: &MessageInfo, input: &Input, output: &Output) -> Outcome<()> {
        let context = own_context(&info.context);
        let mut sealing = self.sealing.clone();
        sealing.set_signing(info.signed);
        let (reader, writer) = std::io::pipe().map_err(|error| Failure::io("a pipe", &error))?;
        let (opened, sealed) = std::thread::scope(|scope| {
            use std::os::fd::AsRawFd;
            let opening = scope.spawn(|| {
                let mut progress = |_, _| !interrupt::received();
                let mut job = DescriptorJob { threads: 0, signed_allowed: true, progress: Some(&mut progress) };
                // Closes the pipe at the end of the thread, also after a failure.
                let writer = writer;
                self.opening.open_descriptor(&context, input.number(), writer.as_raw_fd(), &mut job)
            });
            let mut progress = |_, _| !interrupt::received();
            let mut job = DescriptorJob { progress: Some(&mut progress), ..DescriptorJob::default() };
            let sealed = sealing.seal_descriptor(&context, reader.as_raw_fd(), output.number(), &mut job);
            drop(reader);
            let opened = opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (opened, sealed)
        });
        // If sealing failed, opening failed because its pipe was closed.
        let is_consequence = |error: &tckms::Error| error.os_errno() == Some(libc::EPIPE);
        if let Err(error) = &opened
            && !(sealed.is_err() && is_consequence(error))
        {
            return Err(Failure::from(error.clone()).about(format!("cannot open {}", input.name())));
        }
        sealed.map_err(|error| Failure::from(error).about(format!("cannot seal {}", input.name())))
    }
}

/// The context without the public key that signed messages add to it.
fn own_context(context: &Context) -> Context {
    Context::from_pairs(context.pairs().filter(|(name, _)| !name.starts_with("aws-crypto-")))
}

fn is_not_a_message(failure: &Failure) -> bool {
    let status = failure.error.as_ref().map(tckms::Error::status);
    matches!(status, Some(Status::NotAMessage | Status::Truncated | Status::MessageIsBase64 | Status::UnsupportedSuite))
}
