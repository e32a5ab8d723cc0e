//! Every command against the emulator, with pipes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::{Emulator, output_of};

use crate::tool::{Cli, error_text};

#[test]
fn small_secrets_are_encrypted_and_decrypted() {
    let cli = Cli::new();
    let context = ["-c", "app=billing", "-c", "env=用户\"\\"];
    let blob = cli.bytes(&[&["encrypt", "-k", cli.key()], &context[..]].concat(), b"\x00secret\n");
    assert_eq!(cli.bytes(&[&["decrypt"], &context[..]].concat(), &blob), b"\x00secret\n");
    assert_eq!(cli.run(&["decrypt", "-c", "app=other"], &blob).status.code(), Some(3));
    assert_eq!(cli.run(&[&["decrypt", "-k", cli.other()], &context[..]].concat(), &blob).status.code(), Some(3));
    let json = cli.json(&[&["decrypt"], &context[..]].concat(), &blob);
    assert_eq!((&json["plaintext_base64"], &json["key_id"]), (&"AHNlY3JldAo=".into(), &cli.key().into()));
    let encrypted = cli.json(&["encrypt", "-k", cli.key(), "--base64"], b"c2Vj\ncmV0");
    let blob = encrypted["ciphertext_blob"].as_str().unwrap();
    assert_eq!(cli.bytes(&["decrypt"], blob.as_bytes()), b"secret");
    assert_eq!(cli.text(&["decrypt", "--base64"], blob.as_bytes()), "c2VjcmV0");
    let moved = cli.text(&["reencrypt", "--to", cli.other(), "--new-context", "a=1"], blob.as_bytes());
    assert_eq!(cli.bytes(&["decrypt", "-k", cli.other(), "-c", "a=1"], moved.as_bytes()), b"secret");
    let stripped = cli.text(&["encrypt", "-n", "-k", cli.key(), "-o", "blob"], b"secret\r\n");
    assert_eq!((stripped.as_str(), cli.bytes(&["decrypt", "blob"], b"")), ("", b"secret".to_vec()));
    assert_eq!(cli.bytes(&["decrypt", "blob", "-o", "plain"], b""), b"");
    assert_eq!(fs::metadata(cli.file("plain")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn data_keys_and_random_bytes_have_the_requested_length() {
    let cli = Cli::new();
    let printed = cli.text(&["data-key", "-k", cli.key(), "-b", "16"], b"");
    let (plaintext, blob) = printed.split_once('\n').unwrap();
    assert_eq!(cli.text(&["decrypt", "--base64"], blob.as_bytes()), plaintext);
    let blob = cli.text(&["data-key", "-k", cli.key(), "--plaintext-file", "key"], b"");
    assert_eq!(cli.bytes(&["decrypt"], blob.as_bytes()), cli.read("key"));
    assert_eq!(cli.read("key").len(), 32);
    assert_eq!(fs::metadata(cli.file("key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!cli.text(&["data-key", "-k", cli.key(), "--without-plaintext"], b"").contains('\n'));
    assert_eq!(cli.bytes(&["random", "100", "--format", "raw"], b"").len(), 100);
    assert_eq!(cli.text(&["random", "4", "--format", "hex"], b"").len(), 8);
}

#[test]
fn signatures_verify_with_the_tool_and_with_openssl() {
    let cli = Cli::new();
    fs::write(cli.file("message"), vec![7; 3_000_000]).unwrap();
    for (usage, openssl) in [
        ("ASYMMETRIC_SIGN_VERIFY_ECC", true),
        ("ASYMMETRIC_SIGN_VERIFY_RSA_2048", false),
        ("ASYMMETRIC_SIGN_VERIFY_SM2", false),
    ] {
        let key = cli.new_key(usage);
        cli.bytes(&["public-key", "-k", &key, "-o", "public.pem"], b"");
        for format in ["der", "raw", "base64"] {
            cli.bytes(&["sign", "-k", &key, "--format", format, "-o", "signature", "message"], b"");
            assert_eq!(
                cli.text(&["verify", "-k", &key, "--signature", "signature", "message"], b""),
                "the signature is valid"
            );
            cli.bytes(&["verify", "--public-key", "public.pem", "--signature", "signature", "message"], b"");
            let wrong = cli.run(&["verify", "-k", &key, "--signature", "signature"], b"another message");
            assert_eq!(wrong.status.code(), Some(3), "{usage} {format}");
        }
        if openssl {
            cli.bytes(&["sign", "-k", &key, "-o", "signature", "message"], b"");
            let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "message"];
            output_of(support::tool("openssl").args(verify).current_dir(cli.scratch.path()));
        }
        let der = cli.bytes(&["public-key", "-k", &key, "--format", "der"], b"");
        let raw = cli.bytes(&["public-key", "-k", &key, "--format", "raw"], b"");
        assert!(der.ends_with(&raw) && raw.len() < der.len(), "{usage}");
    }
}

#[test]
fn openssl_accepts_the_certificates() {
    let cli = Cli::new();
    let openssl =
        |arguments: &[&str]| output_of(support::tool("openssl").args(arguments).current_dir(cli.scratch.path()));
    let subject =
        ["--subject", "CN=www.example.com,O=Example GmbH,C=DE", "--dns", "www.example.com", "--ip", "2001:db8::1"];
    for usage in ["ASYMMETRIC_SIGN_VERIFY_ECC", "ASYMMETRIC_SIGN_VERIFY_RSA_2048", "ASYMMETRIC_SIGN_VERIFY_SM2"] {
        let key = cli.new_key(usage);
        let request =
            [&["certificate", "request", "-k", &key, "--purpose", "server", "-o", "r.pem"], &subject[..]].concat();
        cli.bytes(&request, b"");
        let mut verify = vec!["req", "-in", "r.pem", "-noout", "-verify", "-text"];
        if usage.ends_with("SM2") {
            verify.extend(["-vfyopt", "distid:1234567812345678"]);
        }
        let text = openssl(&verify);
        for part in ["DNS:www.example.com", "2001:DB8:0:0:0:0:0:1", "TLS Web Server Authentication", "Example GmbH"] {
            assert!(text.contains(part), "{usage}: {part} in {text}");
        }
        let certificate =
            [&["certificate", "self-signed", "-k", &key, "--ca", "--days", "36500", "-o", "c.pem"], &subject[..]]
                .concat();
        cli.bytes(&certificate, b"");
        let text = openssl(&["x509", "-in", "c.pem", "-noout", "-text"]);
        for part in ["CA:TRUE", "Certificate Sign", "Subject Key Identifier"] {
            assert!(text.contains(part), "{usage}: {part} in {text}");
        }
        if !usage.ends_with("SM2") {
            assert!(openssl(&["verify", "-check_ss_sig", "-CAfile", "c.pem", "c.pem"]).contains("OK"), "{usage}");
        }
    }
}

#[test]
fn every_result_is_json_with_the_option() {
    let cli = Cli::new();
    let (key, other) = (cli.key(), cli.other());
    let signing = cli.new_key("ASYMMETRIC_SIGN_VERIFY_ECC");
    let decrypting = cli.new_key("ASYMMETRIC_DECRYPT_RSA_2048");
    let external = cli.text(&["keys", "create", "external", "--external"], b"");
    fs::write(cli.file("data"), [7; 32]).unwrap();
    cli.bytes(&["encrypt", "-k", key, "-o", "blob", "data"], b"");
    cli.bytes(&["seal", "-k", key, "-o", "sealed", "data"], b"");
    cli.bytes(&["sign", "-k", &signing, "-o", "signature", "data"], b"");
    cli.bytes(&["rsa-encrypt", "-k", &decrypting, "-o", "rsa", "data"], b"");
    let config =
        format!("[token \"t\"]\nregion = ap-guangzhou\n\n[key \"web\"]\nid = {signing}\npublic_key = web.pem\n");
    fs::write(cli.file("pkcs11.conf"), config).unwrap();
    let describe = format!("{{\"KeyId\":\"{key}\"}}");
    // The command, and a member of its result; "" for an array.
    let commands: &[(&[&str], &str)] = &[
        (&["encrypt", "-k", key, "data"], "ciphertext_blob"),
        (&["decrypt", "blob"], "plaintext_base64"),
        (&["reencrypt", "--to", other, "blob"], "ciphertext_blob"),
        (&["data-key", "-k", key], "plaintext_base64"),
        (&["random", "8"], "random_base64"),
        (&["info", "sealed"], "wrapped_keys"),
        (&["reseal", "-k", key, "--to", other, "sealed"], ""),
        (&["sign", "-k", &signing, "data"], "signature_base64"),
        (&["verify", "-k", &signing, "--signature", "signature", "data"], "valid"),
        (&["public-key", "-k", &signing], "public_key_pem"),
        (&["certificate", "request", "-k", &signing, "--subject", "CN=a"], "pem"),
        (&["certificate", "self-signed", "-k", &signing, "--subject", "CN=a", "--format", "der"], "pem"),
        (&["rsa-encrypt", "-k", &decrypting, "data"], "ciphertext_base64"),
        (&["rsa-decrypt", "-k", &decrypting, "rsa"], "plaintext_base64"),
        (&["keys", "list"], ""),
        (&["keys", "describe", key], "state"),
        (&["keys", "create", "more"], "key_id"),
        (&["keys", "disable", other], "done"),
        (&["keys", "schedule-deletion", other, "--yes"], "deletion"),
        (&["keys", "cancel-deletion", other], "done"),
        (&["keys", "enable", other], "done"),
        (&["keys", "rotate", other], "done"),
        (&["keys", "import", "-k", &external, "data"], "done"),
        (&["branch", "new", "-k", key, "-f", "branches", "orders"], "version"),
        (&["branch", "rotate", "-k", key, "-f", "branches", "orders"], "version"),
        (&["branch", "list", "-f", "branches"], ""),
        (&["branch", "check", "-f", "branches"], ""),
        (&["call", "DescribeKey", &describe], "KeyMetadata"),
        (&["pkcs11", "sync", "--config", "pkcs11.conf"], ""),
        (&["doctor", "-k", key], "checks"),
    ];
    for (arguments, member) in commands {
        let result = cli.json(arguments, b"");
        let fits = if member.is_empty() { result.is_array() } else { result.get(member).is_some() };
        assert!(fits, "{arguments:?}: {result}");
    }
}

#[test]
fn rsa_ciphertexts_are_decrypted() {
    let cli = Cli::new();
    let key = cli.new_key("ASYMMETRIC_DECRYPT_RSA_2048");
    for padding in ["oaep-sha256", "oaep-sha1", "pkcs1"] {
        let text = cli.bytes(&["rsa-encrypt", "-k", &key, "--padding", padding], b"secret");
        assert_eq!(cli.bytes(&["rsa-decrypt", "-k", &key, "--padding", padding], &text), b"secret");
        let raw = cli.bytes(&["rsa-encrypt", "-k", &key, "--padding", padding, "--raw"], b"secret");
        assert_eq!(cli.bytes(&["rsa-decrypt", "-k", &key, "--padding", padding], &raw), b"secret");
    }
    let signs = cli.new_key("ASYMMETRIC_SIGN_VERIFY_RSA_2048");
    let refused = cli.run(&["rsa-encrypt", "-k", &signs], b"secret");
    assert!(!refused.status.success() && error_text(&refused).contains("can only sign"), "{}", error_text(&refused));
    assert!(refused.stdout.is_empty());
    std::fs::write(cli.file("signature"), [1; 256]).unwrap();
    let refused = cli.run(&["verify", "-k", &key, "--signature", "signature"], b"message");
    assert!(!refused.status.success() && error_text(&refused).contains("can only decrypt"), "{}", error_text(&refused));
}

#[test]
fn keys_are_managed() {
    let cli = Cli::new();
    let key = cli.text(&["keys", "create", "managed", "--description", "for tests", "--tag", "team=a"], b"");
    let describe = || cli.json(&["keys", "describe", &key], b"");
    assert_eq!((&describe()["alias"], &describe()["state"]), (&"managed".into(), &"Enabled".into()));
    assert!(cli.text(&["keys", "list"], b"").lines().any(|line| line.starts_with(&key) && line.contains("managed")));
    assert_eq!(cli.text(&["keys", "list", "--search", "managed", "--ids"], b""), key);
    cli.bytes(&["keys", "rotate", &key, "--every", "30"], b"");
    assert_eq!(describe()["rotation_enabled"], true);
    cli.bytes(&["keys", "rotate", &key, "--never"], b"");
    cli.bytes(&["keys", "disable", &key], b"");
    assert_eq!(describe()["state"], "Disabled");
    assert_eq!(cli.json(&["keys", "list", "--state", "Disabled"], b"").as_array().unwrap().len(), 1);
    let unasked = cli.run(&["keys", "schedule-deletion", &key], b"");
    assert!(unasked.status.code() == Some(2) && error_text(&unasked).contains("--yes"), "{}", error_text(&unasked));
    cli.bytes(&["keys", "schedule-deletion", &key, "--days", "7", "--yes"], b"");
    assert_eq!(describe()["state"], "PendingDelete");
    cli.bytes(&["keys", "cancel-deletion", &key], b"");
    cli.bytes(&["keys", "enable", &key], b"");
    let external = cli.text(&["keys", "create", "external", "--external"], b"");
    cli.bytes(&["keys", "import", "-k", &external], &[7; 32]);
    assert_eq!(cli.json(&["keys", "describe", &external], b"")["state"], "Enabled");
}

#[test]
fn any_action_can_be_called() {
    let cli = Cli::new();
    let parameters = format!("{{\"KeyId\":\"{}\"}}", cli.key());
    for (arguments, input) in
        [(&["call", "DescribeKey", &parameters][..], ""), (&["call", "DescribeKey", "-"], &parameters)]
    {
        let answer: serde_json::Value = serde_json::from_slice(&cli.bytes(arguments, input.as_bytes())).unwrap();
        assert_eq!(answer["KeyMetadata"]["Alias"], "demo");
    }
    assert!(cli.text(&["call", "GetRegions"], b"").contains("ap-guangzhou"));
}

#[test]
fn a_tree_of_sealed_files_is_resealed() {
    let cli = Cli::new();
    fs::create_dir_all(cli.file("tree/deeper")).unwrap();
    cli.bytes(&["seal", "-k", cli.key(), "-c", "n=1", "-o", "tree/one"], b"one");
    cli.bytes(&["seal", "-s", "-k", cli.key(), "-o", "tree/deeper/signed"], &vec![7; 3_000_000]);
    fs::write(cli.file("tree/plain"), "plain").unwrap();
    fs::set_permissions(cli.file("tree/one"), fs::Permissions::from_mode(0o640)).unwrap();
    let reseal = ["reseal", "-k", cli.key(), "--to", cli.other(), "tree"];
    assert!(cli.text(&[&reseal[..], &["--dry-run"]].concat(), b"").ends_with("2 to be resealed, 1 not sealed"));
    assert_eq!(cli.text(&reseal, b""), "2 resealed, 1 not sealed");
    assert_eq!(cli.text(&reseal, b""), "2 already under the new keys, 1 not sealed");
    assert_eq!(cli.bytes(&["open", "-k", cli.other(), "-c", "n=1", "tree/one"], b""), b"one");
    assert_eq!(cli.bytes(&["open", "-s", "-k", cli.other(), "tree/deeper/signed"], b"").len(), 3_000_000);
    assert_eq!(cli.json(&["info", "tree/deeper/signed"], b"")["signed"], true);
    assert_eq!(fs::metadata(cli.file("tree/one")).unwrap().permissions().mode() & 0o777, 0o640);
    // A file that does not open is unchanged, and the others are resealed.
    let mut broken = cli.read("tree/one");
    *broken.last_mut().unwrap() ^= 1;
    fs::write(cli.file("tree/broken"), &broken).unwrap();
    let back = cli.run(&["reseal", "-k", cli.other(), "--to", cli.key(), "tree"], b"");
    assert!(back.status.code() == Some(3) && error_text(&back).contains("tree/broken"), "{}", error_text(&back));
    assert_eq!(cli.read("tree/broken"), broken);
    assert_eq!(cli.bytes(&["open", "-k", cli.key(), "tree/one"], b""), b"one");
    assert!(!crate::harness::names_in(&cli.file("tree")).iter().any(|name| name.starts_with('.')));
}

#[test]
fn branch_keys_are_created_and_checked() {
    let cli = Cli::new();
    cli.bytes(&["branch", "new", "-k", cli.key(), "-f", "branches", "orders"], b"");
    cli.bytes(&["branch", "new", "-k", cli.key(), "-f", "branches", "users"], b"");
    assert_eq!(cli.run(&["branch", "new", "-k", cli.key(), "-f", "branches", "users"], b"").status.code(), Some(2));
    cli.bytes(&["branch", "rotate", "-k", cli.key(), "-f", "branches", "orders"], b"");
    // A typing error does not create a branch.
    let refused = cli.run(&["branch", "rotate", "-k", cli.key(), "-f", "branches", "order"], b"");
    assert!(
        refused.status.code() == Some(2) && error_text(&refused).contains("the branch order does not exist"),
        "{}",
        error_text(&refused)
    );
    // A second CMK gets its own key of the branch.
    let refused = cli.run(&["branch", "rotate", "-k", cli.other(), "-f", "branches", "users"], b"");
    assert!(refused.status.code() == Some(2) && error_text(&refused).contains("under this CMK"));
    cli.bytes(&["branch", "new", "-k", cli.other(), "-f", "branches", "users"], b"");
    cli.bytes(&["branch", "rotate", "-k", cli.other(), "-f", "branches", "users"], b"");
    let records = cli.json(&["branch", "list", "-f", "branches"], b"");
    let branches: Vec<_> =
        records.as_array().unwrap().iter().map(|record| record["branch"].as_str().unwrap()).collect();
    assert_eq!(branches.iter().filter(|branch| **branch == "orders").count(), 2, "{branches:?}");
    let refused = cli.run(&["branch", "new", "-k", cli.key(), "-f", "-", "orders"], b"");
    assert!(refused.status.code() == Some(2) && error_text(&refused).contains("./-"), "{}", error_text(&refused));
    assert!(!cli.file("-").exists());
    let checked = cli.json(&["branch", "check", "-f", "branches"], b"");
    assert!(checked.as_array().unwrap().iter().all(|record| record["works"] == true), "{checked}");
    std::os::unix::fs::symlink("nowhere", cli.file("dangling")).unwrap();
    let refused = cli.run(&["branch", "new", "-k", cli.key(), "-f", "dangling", "orders"], b"");
    assert!(refused.status.code() == Some(2) && error_text(&refused).contains("does not exist"));
    cli.bytes(&["keys", "disable", cli.key()], b"");
    assert_eq!(cli.run(&["branch", "check", "-f", "branches"], b"").status.code(), Some(5));
}

#[test]
fn a_file_of_branch_keys_may_begin_with_comments_alone() {
    let cli = Cli::new();
    for (file, text) in [("empty", ""), ("comments", "# branches of the shop\n")] {
        fs::write(cli.file(file), text).unwrap();
        assert_eq!(cli.json(&["branch", "list", "-f", file], b"").as_array().unwrap().len(), 0);
        let refused = cli.run(&["branch", "check", "-f", file], b"");
        assert!(refused.status.code() == Some(2) && error_text(&refused).contains("no record"));
        let refused = cli.run(&["branch", "rotate", "-k", cli.key(), "-f", file, "orders"], b"");
        assert!(refused.status.code() == Some(2) && error_text(&refused).contains("does not exist"));
        cli.bytes(&["branch", "new", "-k", cli.key(), "-f", file, "orders"], b"");
        assert!(String::from_utf8(cli.read(file)).unwrap().starts_with(&format!("{text}tbk1 ")));
        assert_eq!(cli.json(&["branch", "check", "-f", file], b"").as_array().unwrap().len(), 1);
    }
}

#[test]
fn many_processes_create_branches_in_one_new_file() {
    let cli = Cli::new();
    let names: Vec<_> = (0..16).map(|number| format!("b{number}")).collect();
    let start =
        |name: &String| cli.command(&["branch", "new", "-k", cli.key(), "-f", "branches", name]).spawn().unwrap();
    let children: Vec<_> = names.iter().map(start).collect();
    children.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    assert_eq!(cli.json(&["branch", "list", "-f", "branches"], b"").as_array().unwrap().len(), names.len());
}

#[test]
fn every_command_for_messages_uses_branch_keys() {
    let cli = Cli::new();
    for (key, file) in [(cli.key(), "old"), (cli.other(), "new")] {
        cli.bytes(&["branch", "new", "-k", key, "-f", file, "orders"], b"");
    }
    fs::create_dir(cli.file("tree")).unwrap();
    let seal = ["seal", "-k", cli.key(), "--branch", "orders", "--branch-file", "old", "-c", "row=1"];
    cli.bytes(&[&seal[..], &["-o", "tree/embedded"]].concat(), b"one");
    cli.bytes(&[&seal[..], &["--by-reference", "-o", "tree/by-reference"]].concat(), b"two");
    let run = |more: &[&str]| {
        let command = ["--env", "A=tree/by-reference", "--", "sh", "-c", "printf %s \"$A\""];
        cli.run(&[&["exec", "-k", cli.key()], more, &command].concat(), b"")
    };
    assert_eq!(run(&["--branch-file", "old"]).stdout, b"two");
    assert_eq!(run(&["--branch-file", "old", "--branch", "orders"]).stdout, b"two");
    assert_eq!(run(&[]).status.code(), Some(3));
    assert_eq!(run(&["--branch-file", "old", "--branch", "users"]).status.code(), Some(2));
    let reseal = ["reseal", "-k", cli.key(), "--branch-file", "old", "--to", cli.other(), "--branch-to", "orders"];
    let reseal = [&reseal[..], &["--branch-file-to", "new", "tree"]].concat();
    assert_eq!(cli.text(&reseal, b""), "2 resealed");
    assert_eq!(cli.text(&reseal, b""), "2 already under the new keys");
    assert_eq!(cli.bytes(&["open", "-k", cli.other(), "-c", "row=1", "tree/by-reference"], b""), b"two");
    let info = cli.json(&["info", "tree/embedded"], b"");
    assert_eq!(info["wrapped_keys"][0]["branch"]["id"], "orders");
    // By reference, and without a branch.
    let form = ["reseal", "-k", cli.other(), "--to", cli.other(), "--branch-to", "orders", "--branch-file-to", "new"];
    assert_eq!(cli.text(&[&form[..], &["--by-reference", "tree/embedded"]].concat(), b""), "1 resealed");
    let plain = ["reseal", "-k", cli.other(), "--branch-file", "new", "--to", cli.other(), "tree"];
    assert_eq!(cli.text(&plain, b""), "2 resealed");
    assert_eq!(cli.bytes(&["open", "-k", cli.other(), "tree/embedded"], b""), b"one");
}

#[test]
fn public_key_files_of_the_module_are_written_and_checked() {
    let cli = Cli::new();
    let key = cli.new_key("ASYMMETRIC_SIGN_VERIFY_ECC");
    let config =
        format!("[token \"prod\"]\nregion = ap-guangzhou\n\n[key \"web\"]\nid = {key}\npublic_key = web.pem\n");
    fs::write(cli.file("pkcs11.conf"), config).unwrap();
    let sync = ["pkcs11", "sync", "--config", "pkcs11.conf"];
    assert_eq!(cli.run(&[&sync[..], &["--check"]].concat(), b"").status.code(), Some(1));
    assert!(cli.text(&sync, b"").contains("written"));
    assert_eq!(cli.read("web.pem"), cli.bytes(&["public-key", "-k", &key], b""));
    assert!(cli.text(&[&sync[..], &["--check"]].concat(), b"").contains("up to date"));
}

/// The settings of a token are those that the module uses, in the module's syntax.
#[test]
fn public_key_files_are_written_with_the_settings_of_the_token() {
    let cli = Cli::with(Emulator::over_https(&["demo"]));
    let key = cli.new_key("ASYMMETRIC_SIGN_VERIFY_ECC");
    let variable = |name: &str| {
        let found = cli.emulator.environment().into_iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("{name} is missing")).1
    };
    let profile = format!(
        "[prod]\nsecret_id = {}\nsecret_key = {}\n",
        variable("TENCENTCLOUD_SECRET_ID"),
        variable("TENCENTCLOUD_SECRET_KEY")
    );
    fs::create_dir(cli.file(".tencentcloud")).unwrap();
    fs::write(cli.file(".tencentcloud/credentials"), profile).unwrap();
    fs::set_permissions(cli.file(".tencentcloud/credentials"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(cli.file("etc")).unwrap();
    fs::copy(variable("TCKMS_CA_FILE"), cli.file("etc/ca.pem")).unwrap();
    let config = |more: &str| {
        let text = format!(
            "[token \"prod\"]\nregion = \"ap-guangzhou\"\nendpoint = {}\ncredentials = \"profile:prod\"\nca_bundle = ca.pem\n\
             [key \"web\"]\nid = \"{key}\"\npublic_key = \"web.pem\"\n{more}",
            variable("TCKMS_ENDPOINT")
        );
        fs::write(cli.file("etc/pkcs11.conf"), text).unwrap();
        let mut command = cli.command(&["pkcs11", "sync", "--config", "etc/pkcs11.conf"]);
        for (name, _) in cli.emulator.environment() {
            command.env_remove(name);
        }
        command.output().unwrap()
    };
    // An invalid part of the configuration prevents that the rest is written.
    for more in ["[key \"two\"]\nid = 1\n", &format!("[key \"two\"]\nid = {key}\npublic_key = no/two.pem\n")] {
        let refused = config(more);
        assert_eq!((refused.status.code(), cli.file("etc/web.pem").exists()), (Some(2), false), "{more}");
    }
    let synced = config("");
    assert!(synced.status.success(), "{}", error_text(&synced));
    assert_eq!(cli.read("etc/web.pem"), cli.bytes(&["public-key", "-k", &key], b""));
}
