//! Makes the corpus anew: `cargo run --manifest-path fuzz/Cargo.toml --example make_corpus`.
//!
//! Small messages of every kind, all under one data key, and for the stream decoder each with several ways to go
//! through.

use std::fs;
use std::path::{Path, PathBuf};

use tckms_fuzz::controls::{HEADER_IS_MADE_AUTHENTIC, LAX_POLICY, SIGNED_ALLOWED, SIZE_IS_SET, SMALL_LIMITS};
use tckms_fuzz::{key, message, plaintext};

const FRAME: usize = 64;

fn main() {
    for (name, message) in messages() {
        write("message_header", &name, &message);
        let open = SIGNED_ALLOWED | LAX_POLICY;
        for (way, controls) in [
            ("whole", [open, 255, 255, 255, 255, 255, 255, 0]),
            ("small-pieces", [open, 0, 6, 20, 0, 3, 8, 0]),
            ("small-limits", [open | SMALL_LIMITS, 100, 20, 2, 30, 0, 30, 0]),
            ("own-header", [open | HEADER_IS_MADE_AUTHENTIC, 30, 30, 30, 60, 60, 60, 0]),
            ("strict", [SIZE_IS_SET, 40, 40, 40, 40, 40, 40, 150]),
        ] {
            write("stream_decoder", &format!("{name}-{way}"), &[&controls[..], &message].concat());
        }
    }
    for (number, text) in CONTEXTS.iter().enumerate() {
        write("context_json", &format!("context-{number}"), text.as_bytes());
    }
    for (number, (status, body)) in REPLIES.iter().enumerate() {
        write("service_reply", &format!("reply-{number}"), &[&status.to_le_bytes(), body.as_bytes()].concat());
    }
}

fn write(target: &str, name: &str, input: &[u8]) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), input).unwrap();
}

fn messages() -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    for len in [0, 1, FRAME, 150, 3 * FRAME] {
        for (signed, keys) in [(false, 1), (true, 1), (false, 3)] {
            let kind = if signed { "signed" } else { "plain" };
            messages.push((format!("v2-{kind}-{keys}-keys-{len}"), version_2(signed, keys, len)));
        }
    }
    for suite in [0x0378, 0x0178, 0x0146, 0x0114, 0x0078, 0x0014] {
        for (layout, frame_len) in [("framed", FRAME), ("unframed", 0)] {
            let len = if frame_len == 0 { 40 } else { 150 };
            let message = message::version_1(suite, &plaintext(len), frame_len);
            messages.push((format!("v1-{suite:04x}-{layout}"), message));
        }
    }
    messages
}

fn version_2(signed: bool, keys: usize, len: usize) -> Vec<u8> {
    let keyring = key::keyring(keys);
    keyring.set_signing(signed);
    keyring.set_frame_len(FRAME).unwrap();
    keyring.seal(&plaintext(len), if keys == 1 { r#"{"b":"22","a":"1"}"# } else { "" }).unwrap()
}

const CONTEXTS: [&str; 8] = [
    "",
    "{}",
    r#"{"a":"1"}"#,
    r#"{"b":"2","a":"密\n\u00e9\ud83d\ude00"}"#,
    r#" { "a" : "1" , "b" : "" } "#,
    r#"{"a":"1","a":"2"}"#,
    r#"{"a":1,"b":{"c":[null,true,1.5e3]}}"#,
    r#"["a"]"#,
];

const REPLIES: [(u16, &str); 8] = [
    (200, r#"{"Response":{"CiphertextBlob":"a==-k-b==-k-c","KeyId":"93866e69","RequestId":"r-1"}}"#),
    (200, r#"{"Response":{"Plaintext":"c2VjcmV0","KeyId":"k","RequestId":"r-2"}}"#),
    (200, r#"{"Response":{"SourceKeyId":"k","CiphertextBlob":"x","KeyId":"\u006b"},"More":[1,{"a":null}]}"#),
    (200, r#"{"Response":{"Error":{"Code":"ResourceUnavailable.CmkDisabled","Message":"a\nb"},"RequestId":"r-3"}}"#),
    (500, r#"{"Response":{"Error":{"Code":"InternalError"},"RequestId":"one two"}}"#),
    (502, "<html><title>Bad Gateway</title></html>"),
    (200, r#"{"Response":{"KeyId":1}}"#),
    (301, ""),
];
