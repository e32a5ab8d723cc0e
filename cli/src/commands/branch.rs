//! `tckms branch`: files with records of branch keys (docs/sealing.md).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde::Serialize;
use tckms::rfc3339;
use tckms::seal::{BranchId, BranchRecord, BranchRecords, create_branch_file, update_branch_file};

use super::keyring::parse_branch;
use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::output::Output;
use crate::report;
use crate::table;
use crate::text::{safe, shown};

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Create the key of a branch and add its record to a file, which is created if needed
    New(WriteOptions),
    /// Create a new version of a branch's key for sealing; older versions still open messages
    Rotate(WriteOptions),
    /// List the records of a file
    List(FileOptions),
    /// Check that the service decrypts each record of a file
    Check(FileOptions),
}

#[derive(Args, Debug)]
pub struct WriteOptions {
    /// The CMK that wraps the branch key, by its key id
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    #[command(flatten)]
    file: FileOptions,
    /// The branch: 1 to 64 letters, digits and characters of ._-
    #[arg(value_name = "BRANCH", value_parser = parse_branch)]
    branch: BranchId,
}

#[derive(Args, Debug)]
pub struct FileOptions {
    /// The file of records, which are not secret
    #[arg(short, long, value_name = "FILE", value_parser = OsStringValueParser::new().try_map(parse_file))]
    file: PathBuf,
}

/// Refuses `-`, which means standard input in other commands: a file of records is also written.
fn parse_file(path: OsString) -> Result<PathBuf, &'static str> {
    if path == "-" {
        return Err("it cannot be standard input; a file of this name is ./-");
    }
    Ok(path.into())
}

pub fn run(command: &Command, global: &Global) -> Outcome {
    match command {
        Command::New(options) => new(options, global),
        Command::Rotate(options) => rotate(options, global),
        Command::List(options) => list(options),
        Command::Check(options) => check(options, global),
    }
}

/// The members of a record with --json.
#[derive(Serialize)]
struct Record<'a> {
    branch: &'a str,
    version: String,
    cmk: &'a str,
    created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    works: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> From<&'a BranchRecord> for Record<'a> {
    fn from(record: &'a BranchRecord) -> Self {
        let created = record.created().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            branch: record.branch_id().as_str(),
            version: record.version(),
            cmk: record.cmk(),
            created: created.as_secs() as i64,
            works: None,
            error: None,
        }
    }
}

fn new(options: &WriteOptions, global: &Global) -> Outcome {
    let path = &options.file.file;
    let exists = path.exists();
    if exists {
        check_new(&read(path)?, options)?;
    } else if path.is_symlink() {
        return Err(Failure::wrong_file(shown(path.as_os_str()), "it is a link to a file that does not exist"));
    }
    // A folder that does not exist is reported before the request.
    Output::find(Some(path.as_os_str()), false)?;
    let record = BranchRecord::generate(&global.client()?, &options.key, &options.branch)?;
    if !exists {
        match create_branch_file(path, &record) {
            // Another process has created the file meanwhile.
            Err(error) if error.os_errno() == Some(libc::EEXIST) => {}
            created => {
                created?;
                print_one(&record);
                return Ok(Exit::Done);
            }
        }
    }
    let mut refused = Ok(());
    update_branch_file(path, |records| {
        refused = check_new(records, options);
        if refused.is_ok() { records.add(record.clone()) } else { Ok(()) }
    })?;
    refused?;
    print_one(&record);
    Ok(Exit::Done)
}

/// Refuses a branch that exists. Each CMK has its own keys of a branch.
fn check_new(records: &BranchRecords, options: &WriteOptions) -> Outcome<()> {
    if !records.iter().any(|record| options.names(record)) {
        return Ok(());
    }
    let why = format!(
        "the branch {} already exists under this CMK; `tckms branch rotate` creates a new version",
        options.branch.as_str()
    );
    Err(Failure::wrong_file(shown(options.file.file.as_os_str()), why))
}

impl WriteOptions {
    /// Whether a record is of the branch and the CMK. A key id belongs to one region.
    fn names(&self, record: &BranchRecord) -> bool {
        let key_id = record.cmk().rsplit('/').next();
        record.branch_id() == &self.branch && key_id == Some(&self.key)
    }
}

fn rotate(options: &WriteOptions, global: &Global) -> Outcome {
    let path = &options.file.file;
    if !read(path)?.iter().any(|record| options.names(record)) {
        let why = format!(
            "the branch {} does not exist under this CMK; `tckms branch new` creates it",
            options.branch.as_str()
        );
        return Err(Failure::wrong_file(shown(path.as_os_str()), why));
    }
    let client = global.client()?;
    let mut made = None;
    update_branch_file(path, |records| {
        made = Some(records.rotate(&client, &options.key, &options.branch)?.clone());
        Ok(())
    })?;
    if let Some(record) = made {
        print_one(&record);
    }
    Ok(Exit::Done)
}

fn print_one(record: &BranchRecord) {
    report::result(&Record::from(record), |record| {
        report::line(&format!("{} has version {}", safe(record.branch), safe(&record.version)));
    });
}

fn read(path: &Path) -> Outcome<BranchRecords> {
    BranchRecords::read_file(path).map_err(|error| {
        let failure = Failure::from(error);
        // A malformed file is wrong input.
        Failure { exit: Exit::Usage, ..failure }
    })
}

fn list(options: &FileOptions) -> Outcome {
    let records = read(&options.file)?;
    print(&records.iter().map(Record::from).collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn check(options: &FileOptions, global: &Global) -> Outcome {
    let records = read(&options.file)?;
    if records.iter().next().is_none() {
        return Err(Failure::wrong_file(shown(options.file.as_os_str()), "it contains no record"));
    }
    let client = global.client()?;
    let mut exit = Exit::Done;
    let checked = records.iter().map(|record| match record.check(&client) {
        Ok(()) => Record { works: Some(true), ..Record::from(record) },
        Err(error) => {
            let failure = Failure::from(error);
            exit = if exit == Exit::Done { failure.exit } else { exit };
            Record { works: Some(false), error: Some(failure.why), ..Record::from(record) }
        }
    });
    print(&checked.collect::<Vec<_>>());
    Ok(exit)
}

fn print(records: &[Record<'_>]) {
    report::result(&records, |records| {
        let row = |record: &Record<'_>| {
            let state = match (record.works, &record.error) {
                (Some(true), _) => "works".to_owned(),
                (_, Some(error)) => error.clone(),
                _ => String::new(),
            };
            vec![
                record.branch.to_owned(),
                record.version.clone(),
                record.cmk.to_owned(),
                rfc3339(record.created),
                state,
            ]
        };
        let rows: Vec<_> = records.iter().map(row).collect();
        let columns: &[&str] = &["BRANCH", "VERSION", "CMK", "CREATED", "CHECK"];
        let is_checked = records.iter().any(|record| record.works.is_some());
        table::print(if is_checked { columns } else { &columns[..4] }, &rows);
    });
}
