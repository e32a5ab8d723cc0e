//! Generates the corpus: `cargo run --manifest-path fuzz/Cargo.toml --example make_corpus`.
//!
//! Small messages of every kind, all under one data key. For the stream decoder, each message occurs with several sets of chunk
//! sizes.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
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
    for (number, (choice, bytes)) in asymmetric().iter().enumerate() {
        write("asymmetric", &format!("input-{number}"), &[&[*choice], bytes.as_slice()].concat());
    }
    for (number, text) in BRANCH_RECORDS.iter().enumerate() {
        write("branches", &format!("records-{number}"), &[b"\0", text.as_bytes()].concat());
    }
    for (number, wrapped) in BRANCH_WRAPPED.iter().enumerate() {
        write("branches", &format!("wrapped-{number}"), &[&[1], bytes_of(wrapped).as_slice()].concat());
    }
    for (number, text) in CONTEXTS.iter().enumerate() {
        write("context_json", &format!("context-{number}"), text.as_bytes());
    }
    for (number, text) in REQUESTS.iter().enumerate() {
        write("emulator", &format!("request-{number:02}"), text.as_bytes());
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

/// Public keys, signatures and descriptions of keys, each with the byte that chooses its reader.
fn asymmetric() -> Vec<(u8, Vec<u8>)> {
    let mut inputs: Vec<_> = PUBLIC_KEYS.iter().map(|key| (0, BASE64.decode(key).unwrap())).collect();
    for raw in [vec![1; 64], vec![0xff; 64], [vec![0; 63], vec![1]].concat(), vec![0x80; 96]] {
        inputs.push((1, tckms::sign::raw_to_der(&raw).unwrap()));
    }
    inputs.extend(DESCRIPTIONS.iter().map(|json| (2, json.as_bytes().to_vec())));
    inputs
}

/// Of P-256, P-384, SM2 and RSA-2048.
const PUBLIC_KEYS: [&str; 4] = [
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ4BGGsJqjsDYtxcfP3x2vPeS6GSABykQSDgf5Q3mVNZ5BAQfs+V4isaeS5/YTUqJ0xTOgbweB05E46kCCERTKQ==",
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEdj/2Twk5icOEPurYU3TNgvDj2Do8L3Zp9D0hHAuMOnjws5QxinwzZ/8N8uSzIqrLy0OX52O8FJPHfA89wqbq4L4AwL14i/aZxAD7+5ut+PfCA3vRDl75HA/wv2gsnvd8",
    "MFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAEyTtCaM/qWmGE1GYZMBlG/uEB/BFXXGUY3w4cAuaI6EJnX/6VrITniA4F5PwXJnsP8HW/1koolickDZBaDPrJbw==",
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxUxlpQrxnvU/fn0sLlHjBFHH1wMe086ZxcRNo3W2kljqo8qcS/Dzb2QaVE2pKHEpLlJwwb5BBK77zhXFTN2cL48IVqPJfV96xmfl/0TZXFWvLohnd5cda1S9vU+i/qzEFzbEZDMUA2zw0t/NchjBRDTVUk2CXVZDCfntyd3WzcAMup0crdlZtMKyvFF+h5GMzI3I5lxqys5NCj8nuXCbXOvoXltrLyR+uPuuv9+5GX3BZHlMDgsyPqkeVYfE2zJG1J+uc1Za4Oo3cbsSdflzb5WCVJ4aKK0wCqR47y1Oa9i70X+WJwNoifcxTm5CdnENAG77vd8s20eCdYJ+iHNanQIDAQAB",
];

const DESCRIPTIONS: [&str; 3] = [
    r#"{"Response":{"KeyId":"93866e69","Alias":"a","KeyState":"Enabled","KeyUsage":"ENCRYPT_DECRYPT","CreateTime":1}}"#,
    r#"{"Response":{"KeyId":"k","Description":"\u0007","KeyRotationEnabled":true,"ValidTo":-1,"More":{}}}"#,
    r#"{"Response":{"CreateTime":"soon"}}"#,
];

const BRANCH_RECORDS: [&str; 4] = [
    "tbk1 ap-guangzhou/93866e69-9755-11ef-8e65-52540089bc41 orders 83eec007-5659-4554-bf11-699b90f41ac6 \
     2026-01-31T12:00:00Z Q0lQSEVSVEVYVEJMT0I=\n",
    "# two branches\r\n\r\ntbk1 r/k a 83eec007-5659-4554-bf11-699b90f41ac6 2026-01-31T12:00:00Z a-k-b-k-c\r\n\
     tbk1 r/k b 83eec007-5659-4554-bf11-699b90f41ac6 2024-02-29T23:59:59Z x",
    "tbk2 r/k a 83eec007-5659-4554-bf11-699b90f41ac6 2026-01-31T12:00:00Z x\n",
    "tbk1 r/k a 83eec007-5659-4554-bf11-699b90f41ac6 2026-01-31T12:00:00Z x\n\
     tbk1 r/k a 83eec007-5659-4554-bf11-699b90f41ac6 2026-01-31T12:00:00Z y\n",
];

/// The vectors of docs/sealing.md.
const BRANCH_WRAPPED: [&str; 2] = [
    "01066f726465727383eec00756594554bf11699b90f41ac6101112131415161718191a1b1c1d1e1f202122232425262728292a2b7a8e7e995eed95d9f5534372657b1faccd64b60aca3f0e9fde230b9392c21c75662a5c8887cb312d22fe81b27d70aec551306c51534556535645565956454a4d5430493d",
    "02066f726465727383eec00756594554bf11699b90f41ac6101112131415161718191a1b1c1d1e1f202122232425262728292a2b7a8e7e995eed95d9f5534372657b1faccd64b60aca3f0e9fde230b9392c21c750cc286d0044e1d61b852776216b30c43",
];

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
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

/// Requests: how each is sent, with which faults, and its content.
const REQUESTS: [&str; 66] = [
    "kms Encrypt\n\n{\"KeyId\":\"$0\",\"Plaintext\":\"eA==\",\"EncryptionContext\":\"{\\\"a\\\":\\\"b\\\"}\"}",
    "kms Decrypt\n\n{\"CiphertextBlob\":\"QQ==-k-QQ==-k-QQ==\",\"EncryptionContext\":\"\"}",
    "kms ReEncrypt\n\n{\"CiphertextBlob\":\"x\",\"DestinationKeyId\":\"$0\"}",
    "kms GenerateDataKey\n\n{\"KeyId\":\"$0\",\"KeySpec\":\"AES_256\"}",
    "kms GenerateDataKey\n\n{\"KeyId\":\"$0\",\"NumberOfBytes\":1024,\"EncryptionPublicKey\":\"-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoEcz1UBgi0DQgAE\\n-----END PUBLIC KEY-----\",\"EncryptionAlgorithm\":\"SM2\"}",
    "kms GenerateRandom\n\n{\"NumberOfBytes\":8}",
    "kms CreateKey\n\n{\"Alias\":\"a\",\"KeyUsage\":\"ASYMMETRIC_SIGN_VERIFY_ECC\",\"Tags\":[{\"TagKey\":\"k\",\"TagValue\":\"v\"}]}",
    "kms CreateKey\n\n{\"Alias\":\"b\",\"Type\":2,\"Description\":\"d\",\"HsmClusterId\":\"default\"}",
    "kms DescribeKeys\n\n{\"KeyIds\":[\"$0\",\"$1\"]}",
    "kms ListKeyDetail\n\n{\"KeyUsage\":\"ALL\",\"Offset\":1,\"Limit\":3,\"TagFilters\":[{\"TagKey\":\"k\",\"TagValue\":[\"v\"]}]}",
    "kms ListKeys\n\n{}",
    "kms ScheduleKeyDeletion\n\n{\"KeyId\":\"$0\",\"PendingWindowInDays\":7}",
    "kms EnableKeyRotation\n\n{\"KeyId\":\"$0\",\"RotateDays\":30}",
    "kms UpdateAlias\n\n{\"KeyId\":\"$0\",\"Alias\":\"c\"}",
    "kms UpdateKeyDescription\n\n{\"KeyId\":\"$0\",\"Description\":\"x\"}",
    "kms GetPublicKey\n\n{\"KeyId\":\"$1\"}",
    "kms SignByAsymmetricKey\n\n{\"KeyId\":\"$4\",\"Algorithm\":\"ECC_P256_R1\",\"Message\":\"eA==\"}",
    "kms SignByAsymmetricKey\n\n{\"KeyId\":\"$3\",\"Algorithm\":\"SM2DSA\",\"Message\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"MessageType\":\"DIGEST\"}",
    "kms SignByAsymmetricKey\n\n{\"KeyId\":\"$5\",\"Algorithm\":\"RSA_PSS_SHA_256\",\"Message\":\"eA==\",\"MessageType\":\"RAW\"}",
    "kms VerifyByAsymmetricKey\n\n{\"KeyId\":\"$3\",\"Algorithm\":\"SM2DSA\",\"Message\":\"eA==\",\"SignatureValue\":\"MAYCAQECAQE=\"}",
    "kms VerifyByAsymmetricKey\n\n{\"KeyId\":\"$4\",\"Algorithm\":\"ECC_P256_R1\",\"Message\":\"eA==\",\"SignatureValue\":\"MAYCAQECAQE=\"}",
    "kms AsymmetricRsaDecrypt\n\n{\"KeyId\":\"$1\",\"Algorithm\":\"RSAES_OAEP_SHA_256\",\"Ciphertext\":\"eA==\"}",
    "kms AsymmetricSm2Decrypt\n\n{\"KeyId\":\"$2\",\"Ciphertext\":\"MAYCAQECAQE=\"}",
    "kms ListAlgorithms\n\n{}",
    "kms GetServiceStatus\n\n{}",
    "kms GetRegions\n\n",
    "kms NoSuchAction\n\n{}",
    "get DescribeKeys\n\nKeyIds.0=$0&KeyIds.1=$1",
    "get CreateKey\n\nAlias=d&Tags.0.TagKey=k&Tags.0.TagValue=v",
    "get ListKeyDetail\n\nTagFilters.0.TagKey=k&TagFilters.0.TagValue.0=v&Limit=5",
    "get ListKeys\n\nOffset=0&Limit=200&Role=1",
    "sts AssumeRole\n\n{\"RoleArn\":\"qcs::cam::uin/1:role/x\",\"RoleSessionName\":\"xx\",\"DurationSeconds\":900}",
    "sts AssumeRoleWithWebIdentity\n\n{\"RoleArn\":\"qcs::cam::uin/1:role/x\",\"RoleSessionName\":\"xx\",\"ProviderId\":\"p\",\"WebIdentityToken\":\"e30.e30.x\"}",
    "admin PUT faults\n\n[{\"fault\":{\"kind\":\"pad\",\"bytes\":1000},\"times\":3}]",
    "admin GET requests\n\n",
    "admin PUT credentials\n\n{\"role\":\"r\",\"lifetime_seconds\":5}",
    "admin POST credentials\n\n",
    "admin POST keys/$0/rotate\n\n",
    "kms GetRegions\n[{\"fault\":{\"kind\":\"drip\",\"bytes\":9,\"every_ms\":1000}}]\n{}",
    "kms GetRegions\n[{\"fault\":{\"kind\":\"replace_fields\",\"fields\":{\"Regions\":null,\"X\":[1]}}}]\n{}",
    "kms GetRegions\n[{\"fault\":{\"kind\":\"truncate_field\",\"field\":\"RequestId\",\"keep\":3}}]\n{}",
    "kms GetRegions\n[{\"fault\":{\"kind\":\"status\",\"status\":503,\"headers\":{\"Retry-After\":\"1\"},\"body\":\"x\"}}]\n{}",
    "kms GetRegions\n[{\"fault\":{\"kind\":\"clock_shift\",\"seconds\":-3155760000}},{\"fault\":{\"kind\":\"gzip\"}}]\n{}",
    "kms GetRegions\n[{\"fault\":{\"kind\":\"content_length\",\"value\":5}},{\"fault\":{\"kind\":\"throttle\",\"per_second\":1}}]\n{}",
    "kms GetRegions\n[{\"fault\":{\"kind\":\"reset_reply\",\"after_bytes\":50}},{\"fault\":{\"kind\":\"chunked\",\"bytes\":4}}]\n{}",
    "raw\n\nGET /latest/meta-data/cam/security-credentials/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "raw\n\nPOST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nX-TC-Action: GetRegions\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "raw\n\nGET http://localhost/_admin/faults HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "kms RotateKey\n\n{\"KeyId\":\"$0\"}",
    "kms GetParametersForImport\n\n{\"KeyId\":\"$0\",\"WrappingAlgorithm\":\"RSAES_OAEP_SHA_256\",\"WrappingKeySpec\":\"RSA_2048\"}",
    "kms ImportKeyMaterial\n\n{\"KeyId\":\"$0\",\"ImportToken\":\"AAEC\",\"EncryptedKeyMaterial\":\"eA==\",\"ValidTo\":2000000000}",
    "kms DeleteImportedKeyMaterial\n\n{\"KeyId\":\"$0\"}",
    "kms BindCloudResource\n\n{\"KeyId\":\"$0\",\"ProductId\":\"p\",\"ResourceId\":\"r\"}",
    "kms UnbindCloudResource\n\n{\"KeyId\":\"$0\",\"ProductId\":\"p\",\"ResourceId\":\"r\"}",
    "kms GenerateDataKey\n\n{\"KeyId\":\"$0\",\"KeySpec\":\"AES_128\",\"IsHostedByKms\":1,\"DataKeyName\":\"d\"}",
    "kms ImportDataKey\n\n{\"KeyId\":\"$0\",\"DataKeyName\":\"e\",\"ImportKeyMaterial\":\"eA==\",\"ImportType\":2}",
    "kms ListDataKeys\n\n{}",
    "kms ListDataKeyDetail\n\n{\"KeyState\":1,\"Origin\":\"ALL\",\"DataKeyLen\":16}",
    "kms DescribeDataKeys\n\n{\"DataKeyIds\":[\"$0\"]}",
    "kms PostQuantumCryptoEncrypt\n\n{\"KeyId\":\"$7\",\"PlainText\":\"eA==\"}",
    "kms PostQuantumCryptoSign\n\n{\"KeyId\":\"$8\",\"Message\":\"eA==\"}",
    "kms DescribeWhiteBoxServiceStatus\n\n{}",
    "kms SignByAsymmetricKey\n[{\"fault\":{\"kind\":\"signature\",\"flaw\":\"raw\"}}]\n{\"KeyId\":\"$4\",\"Algorithm\":\"ECC_P256_R1\",\"Message\":\"eA==\"}",
    "kms SignByAsymmetricKey\n[{\"fault\":{\"kind\":\"signature\",\"flaw\":\"pss_no_salt\"}}]\n{\"KeyId\":\"$5\",\"Algorithm\":\"RSA_PSS_SHA_256\",\"Message\":\"eA==\"}",
    "kms GetPublicKey\n[{\"fault\":{\"kind\":\"public_key_pem\",\"flaw\":\"double_base64\"}}]\n{\"KeyId\":\"$4\"}",
    "admin PUT behaviour\n\n{\"strict_digests\":true,\"private_cloud\":true}",
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
