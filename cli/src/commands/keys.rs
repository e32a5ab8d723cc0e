//! `tckms keys`.

use std::io::IsTerminal;

use clap::{Args, Subcommand};
use serde::Serialize;
use tckms::{KeyFilter, KeyInfo, NewKey, rfc3339};

use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::prompt;
use crate::report;
use crate::secret_input::SecretInput;
use crate::table;
use crate::values::number;

const STATES: [&str; 5] = ["Enabled", "Disabled", "PendingDelete", "PendingImport", "Archived"];

#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the CMKs of the account in the region
    List(ListOptions),
    /// Print the metadata of a CMK
    Describe(KeyId),
    /// Create a CMK
    Create(CreateOptions),
    /// Enable a CMK
    Enable(KeyId),
    /// Disable a CMK
    Disable(KeyId),
    /// Rotate a symmetric CMK now, or set its automatic rotation
    Rotate(RotateOptions),
    /// Schedule the deletion of a disabled CMK; data that was encrypted under it is then lost
    ScheduleDeletion(DeletionOptions),
    /// Cancel the deletion of a CMK, which is disabled afterwards
    CancelDeletion(KeyId),
    /// Import the material of an external CMK
    Import(ImportOptions),
}

#[derive(Args, Debug)]
pub struct KeyId {
    /// The key id of the CMK
    #[arg(value_name = "KEYID")]
    key: String,
}

#[derive(Args, Debug)]
pub struct ListOptions {
    /// Only CMKs in this state
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    state: Option<String>,
    /// Only CMKs with this usage, such as ENCRYPT_DECRYPT or ASYMMETRIC_SIGN_VERIFY_ECC
    #[arg(long, value_name = "USAGE")]
    usage: Option<String>,
    /// Only CMKs with this text in their key id or alias
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Print only the key ids, one per line
    #[arg(short, long)]
    ids: bool,
}

#[derive(Args, Debug)]
pub struct CreateOptions {
    /// 1 to 60 letters, digits, - and _, beginning with a letter or digit
    #[arg(value_name = "ALIAS", value_parser = parse_alias)]
    alias: String,
    /// The usage, by the service's name, such as ASYMMETRIC_SIGN_VERIFY_ECC; default: ENCRYPT_DECRYPT
    #[arg(long, value_name = "USAGE")]
    usage: Option<String>,
    /// At most 1024 bytes
    #[arg(long, value_name = "TEXT", value_parser = parse_description)]
    description: Option<String>,
    /// Create an external CMK without material, for `tckms keys import`
    #[arg(long)]
    external: bool,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub struct RotateOptions {
    #[command(flatten)]
    key: KeyId,
    /// Rotate it automatically at this interval, 7 to 365 days
    #[arg(long, value_name = "DAYS", value_parser = number::<u32>(7, 365))]
    every: Option<u32>,
    /// Turn automatic rotation off
    #[arg(long, conflicts_with = "every")]
    never: bool,
}

#[derive(Args, Debug)]
pub struct DeletionOptions {
    #[command(flatten)]
    key: KeyId,
    /// Days until the deletion, 7 to 30
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = number::<u32>(7, 30))]
    days: u32,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
pub struct ImportOptions {
    /// The key id of the external CMK
    #[arg(short, long, value_name = "KEYID")]
    key: String,
    /// When the material expires, in seconds since 1970; default: never
    #[arg(long, value_name = "SECONDS", value_parser = number::<i64>(1, 2_147_443_200))]
    valid_to: Option<i64>,
    /// The material, 16 bytes for SM4 or 32 for AES-256
    #[command(flatten)]
    input: SecretInput,
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a tag has the form NAME=VALUE with a name that is not empty".to_owned()),
    }
}

fn parse_alias(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_alias = (1..=60).contains(&text.len())
        && text.bytes().all(is_allowed)
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && !text.to_ascii_lowercase().starts_with("kms-");
    let wrong = "an alias has 1 to 60 letters, digits, - and _, and begins with a letter or digit, but not with kms-";
    if is_alias { Ok(text.to_owned()) } else { Err(wrong.to_owned()) }
}

fn parse_description(text: &str) -> Result<String, String> {
    match text.len() {
        0..=1024 => Ok(text.to_owned()),
        len => Err(format!("a description has at most 1024 bytes, and this one has {len}")),
    }
}

pub fn run(command: &Command, global: &Global) -> Outcome {
    match command {
        Command::List(options) => list(options, global),
        Command::Describe(KeyId { key }) => describe(key, global),
        Command::Create(options) => create(options, global),
        Command::Enable(KeyId { key }) => act(key, "enabled", global.client()?.enable_key(key)),
        Command::Disable(KeyId { key }) => act(key, "disabled", global.client()?.disable_key(key)),
        Command::Rotate(options) => rotate(options, global),
        Command::ScheduleDeletion(options) => schedule_deletion(options, global),
        Command::CancelDeletion(KeyId { key }) => {
            act(key, "is not deleted; it is disabled", global.client()?.cancel_key_deletion(key))
        }
        Command::Import(options) => import(options, global),
    }
}

/// The output of a CMK with --json. Times are seconds since 1970; 0 means none.
#[derive(Serialize)]
struct Key<'a> {
    key_id: &'a str,
    alias: &'a str,
    description: &'a str,
    state: &'a str,
    usage: &'a str,
    origin: &'a str,
    owner: &'a str,
    rotation_enabled: bool,
    rotation_days: i64,
    created: i64,
    last_rotation: i64,
    next_rotation: i64,
    deletion: i64,
    valid_to: i64,
}

impl<'a> From<&'a KeyInfo> for Key<'a> {
    fn from(info: &'a KeyInfo) -> Self {
        Self {
            key_id: &info.key_id,
            alias: &info.alias,
            description: &info.description,
            state: &info.key_state,
            usage: &info.key_usage,
            origin: &info.origin,
            owner: &info.owner,
            rotation_enabled: info.key_rotation_enabled,
            rotation_days: info.rotate_days,
            created: info.create_time,
            last_rotation: info.last_rotate_time,
            next_rotation: info.next_rotate_time,
            deletion: info.deletion_date,
            valid_to: info.valid_to,
        }
    }
}

fn list(options: &ListOptions, global: &Global) -> Outcome {
    let filter = KeyFilter {
        usage: options.usage.as_deref(),
        state: options.state.as_deref(),
        search: options.search.as_deref(),
        tag: None,
    };
    let mut keys = Vec::new();
    global.client()?.list_keys(&filter, |key| {
        keys.push(key);
        true
    })?;
    if options.ids && !global.json {
        keys.iter().for_each(|key| report::line(&crate::text::safe(&key.key_id)));
        return Ok(Exit::Done);
    }
    report::result(&keys.iter().map(Key::from).collect::<Vec<_>>(), |keys| {
        let row = |key: &Key<'_>| {
            [key.key_id, key.alias, key.state, key.usage]
                .map(str::to_owned)
                .into_iter()
                .chain([rfc3339(key.created)])
                .collect()
        };
        table::print(&["KEY ID", "ALIAS", "STATE", "USAGE", "CREATED"], &keys.iter().map(row).collect::<Vec<_>>());
    });
    Ok(Exit::Done)
}

fn describe(key: &str, global: &Global) -> Outcome {
    let info = global.client()?.describe_key(key)?;
    report::result(&Key::from(&info), |key| {
        let rotation = match key.rotation_enabled {
            true => format!("every {} days, next {}", key.rotation_days, rfc3339(key.next_rotation)),
            false => "not scheduled".to_owned(),
        };
        let mut pairs = vec![
            ("key id", key.key_id.to_owned()),
            ("alias", key.alias.to_owned()),
            ("description", key.description.to_owned()),
            ("state", key.state.to_owned()),
            ("usage", key.usage.to_owned()),
            ("origin", key.origin.to_owned()),
            ("owner", key.owner.to_owned()),
            ("created", rfc3339(key.created)),
            ("rotation", rotation),
        ];
        for (name, time) in
            [("last rotation", key.last_rotation), ("deletion", key.deletion), ("material valid to", key.valid_to)]
        {
            if time != 0 {
                pairs.push((name, rfc3339(time)));
            }
        }
        table::print_pairs(&pairs);
    });
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Created<'a> {
    key_id: &'a str,
    request_id: Option<&'a str>,
    tag_failure: Option<&'a str>,
}

fn create(options: &CreateOptions, global: &Global) -> Outcome {
    let tags: Vec<_> = options.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut names: Vec<_> = tags.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::usage(format!("the tag \"{}\" is given twice", pair[0])));
    }
    let created = global.client()?.create_key(&NewKey {
        alias: &options.alias,
        usage: options.usage.as_deref(),
        description: options.description.as_deref(),
        external: options.external,
        tags: &tags,
    })?;
    if let Some(failure) = &created.tag_failure {
        report::note(&created.key_id, &format!("the key was created, but its tags could not be set: {failure}"));
    }
    let result = Created {
        key_id: &created.key_id,
        request_id: created.request_id.as_deref(),
        tag_failure: created.tag_failure.as_deref(),
    };
    report::result(&result, |result| report::line(&crate::text::safe(result.key_id)));
    Ok(if created.tag_failure.is_some() { Exit::Failed } else { Exit::Done })
}

#[derive(Serialize)]
struct Done<'a> {
    key_id: &'a str,
    done: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<i64>,
}

fn act(key_id: &str, done: &str, outcome: tckms::Result<()>) -> Outcome {
    outcome?;
    print_one(&Done { key_id, done, deletion: None });
    Ok(Exit::Done)
}

fn print_one(done: &Done<'_>) {
    report::result(done, |done| report::line(&format!("{} {}", crate::text::safe(done.key_id), done.done)));
}

fn rotate(options: &RotateOptions, global: &Global) -> Outcome {
    let (client, key) = (global.client()?, options.key.key.as_str());
    match options.every {
        Some(days) => act(key, &format!("will be rotated every {days} days"), client.set_key_rotation(key, Some(days))),
        None if options.never => act(key, "has no automatic rotation", client.set_key_rotation(key, None)),
        None => act(key, "was rotated", client.rotate_key(key)),
    }
}

fn schedule_deletion(options: &DeletionOptions, global: &Global) -> Outcome {
    let key_id = options.key.key.as_str();
    let client = global.client()?;
    if !options.yes {
        confirm(key_id, options.days)?;
    }
    let deletion = client.schedule_key_deletion(key_id, options.days)?;
    let done = format!("will be deleted on {}", rfc3339(deletion));
    print_one(&Done { key_id, done: &done, deletion: Some(deletion) });
    Ok(Exit::Done)
}

fn confirm(key_id: &str, days: u32) -> Outcome<()> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to confirm; use --yes to delete the key without confirmation",
        ));
    }
    let question =
        format!("Data that was encrypted under {key_id} will be lost in {days} days. Type the key id to confirm: ");
    if prompt::ask(&question)?.trim() == key_id {
        Ok(())
    } else {
        Err(Failure::usage("this is not the key id; nothing was changed"))
    }
}

fn import(options: &ImportOptions, global: &Global) -> Outcome {
    let client = global.client()?;
    let material = options.input.read("The key material (not shown): ", 32)?;
    act(
        &options.key,
        "was given its material",
        client.import_key_material(&options.key, material.expose(), options.valid_to),
    )
}
