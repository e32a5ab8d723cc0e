//! Templates, mechanisms with parameters, output buffers of any size, configurations and certificates, as a program could pass them
//! to the PKCS#11 module. The input is a list of calls. Keys come from files, and no request is sent to the service.

#![no_main]

use std::ffi::CString;
use std::ptr;
use std::sync::OnceLock;

use cryptoki_sys::*;
use libfuzzer_sys::fuzz_target;
use tckms_fuzz::report;
use tckms_pkcs11::{ffi, fuzzing};

const KINDS: &[CK_MECHANISM_TYPE] = &[
    CKM_RSA_PKCS,
    CKM_RSA_PKCS_OAEP,
    CKM_RSA_PKCS_PSS,
    CKM_SHA256_RSA_PKCS,
    CKM_SHA256_RSA_PKCS_PSS,
    CKM_SHA512_RSA_PKCS,
    CKM_RSA_X_509,
    CKM_ECDSA,
    CKM_ECDSA_SHA224,
    CKM_ECDSA_SHA256,
    CKM_ECDSA_SHA384,
    CKM_ECDSA_SHA512,
    CKM_SHA256,
    CKM_SHA512,
];
const NAMES: &[CK_ATTRIBUTE_TYPE] = &[
    CKA_CLASS,
    CKA_TOKEN,
    CKA_LABEL,
    CKA_ID,
    CKA_KEY_TYPE,
    CKA_SIGN,
    CKA_DECRYPT,
    CKA_MODULUS,
    CKA_EC_POINT,
    CKA_EC_PARAMS,
    CKA_PUBLIC_KEY_INFO,
    CKA_ALLOWED_MECHANISMS,
    CKA_PRIVATE_EXPONENT,
    CKA_VALUE,
    CKA_SUBJECT,
    CKA_UNIQUE_ID,
];
/// Two keys with two objects each.
const OBJECTS: CK_OBJECT_HANDLE = 4;

fuzz_target!(|input: &[u8]| {
    let session = session();
    let mut input = Input(input);
    while let Some(choice) = input.byte() {
        match choice % 9 {
            0 => find(session, &mut input),
            1 => read_attributes(session, &mut input),
            2 => sign(session, &mut input),
            3 => verify(session, &mut input),
            4 => encrypt(session, &mut input),
            5 => digest(session, &mut input),
            6 => decrypt(session, &mut input),
            7 => fuzzing::read_config(&String::from_utf8_lossy(input.rest())),
            _ => fuzzing::read_certificates(input.rest()),
        }
    }
    let all = CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST | CKF_FIND_OBJECTS;
    // SAFETY: it takes numbers.
    unsafe { ffi::C_SessionCancel(session, all) };
});

/// The session of all inputs: the module reads its files once.
fn session() -> CK_SESSION_HANDLE {
    static SESSION: OnceLock<CK_SESSION_HANDLE> = OnceLock::new();
    *SESSION.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("tckms-fuzz-pkcs11-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
        write("credentials", "[default]\nsecret_id = AKID\nsecret_key = key\n");
        write("ec.pem", include_str!("../pkcs11/ec.pem"));
        write("rsa.pem", include_str!("../pkcs11/rsa.pem"));
        let file = folder.join("pkcs11.conf");
        let credentials = folder.join("credentials").display().to_string();
        let text = include_str!("../pkcs11/pkcs11.conf").replace("CREDENTIALS", &credentials);
        std::fs::write(&file, text).expect("a file");
        let path = CString::new(file.display().to_string()).expect("a path");
        let mut arguments = CK_C_INITIALIZE_ARGS { pReserved: path.as_ptr().cast_mut().cast(), ..Default::default() };
        let mut session = 0;
        // SAFETY: the pointers are to values of this function.
        unsafe {
            assert_eq!(ffi::C_Initialize((&raw mut arguments).cast()), CKR_OK);
            assert_eq!(ffi::C_OpenSession(0, CKF_SERIAL_SESSION, ptr::null_mut(), None, &mut session), CKR_OK);
        }
        let _ = std::fs::remove_dir_all(folder);
        session
    })
}

/// The rest of the input.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn small(&mut self) -> usize {
        self.byte().unwrap_or(0).into()
    }

    /// As many bytes as the next byte says, or all that are left.
    fn bytes(&mut self) -> &'a [u8] {
        let len = self.small().min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn number(&mut self) -> CK_ULONG {
        let mut word = [0; 8];
        let bytes = self.bytes();
        let len = bytes.len().min(8);
        word[..len].copy_from_slice(&bytes[..len]);
        CK_ULONG::from_ne_bytes(word)
    }

    /// One of a list, or any number.
    fn one_of(&mut self, list: &[CK_ULONG]) -> CK_ULONG {
        let choice = self.small();
        if choice == 255 { self.number() } else { list[choice % list.len()] }
    }

    fn object(&mut self) -> CK_OBJECT_HANDLE {
        let choice = self.small();
        if choice == 255 { self.number() } else { 1 + choice as CK_OBJECT_HANDLE % OBJECTS }
    }

    /// A separate allocation, so that the sanitizer detects each access beyond it.
    fn room(&mut self) -> Vec<u8> {
        vec![0xa5; 2 * self.small()]
    }
}

/// Attributes and the memory that they point to.
fn template(input: &mut Input) -> (Vec<CK_ATTRIBUTE>, Vec<Box<[u8]>>) {
    let count = input.small() % 8;
    let mut values: Vec<Box<[u8]>> = Vec::new();
    let attributes = (0..count).map(|_| {
        let type_ = input.one_of(NAMES);
        let mut value: Box<[u8]> = input.bytes().into();
        let attribute = CK_ATTRIBUTE { type_, pValue: value.as_mut_ptr().cast(), ulValueLen: value.len() as CK_ULONG };
        values.push(value);
        attribute
    });
    (attributes.collect(), values)
}

fn find(session: CK_SESSION_HANDLE, input: &mut Input) {
    let (mut attributes, _values) = template(input);
    let mut found = vec![0; input.small() % 6];
    let mut count = 0;
    // SAFETY: the pointers are to values of this function, with their lengths.
    unsafe {
        if ffi::C_FindObjectsInit(session, attributes.as_mut_ptr(), attributes.len() as CK_ULONG) != CKR_OK {
            return;
        }
        let room = found.len() as CK_ULONG;
        assert_eq!(ffi::C_FindObjects(session, found.as_mut_ptr(), room, &mut count), CKR_OK);
        assert!(count <= room && found[..count as usize].iter().all(|handle| (1..=OBJECTS).contains(handle)));
        assert_eq!(ffi::C_FindObjectsFinal(session), CKR_OK);
    }
    report(if count > 0 { "an object" } else { "a search" });
}

fn read_attributes(session: CK_SESSION_HANDLE, input: &mut Input) {
    let object = input.object();
    let names: Vec<_> = (0..input.small() % 8).map(|_| input.one_of(NAMES)).collect();
    let mut rooms: Vec<Vec<u8>> = names.iter().map(|_| input.room()).collect();
    let place = |room: &mut Vec<u8>| if room.is_empty() { ptr::null_mut() } else { room.as_mut_ptr().cast() };
    let mut attributes: Vec<_> = names
        .iter()
        .zip(&mut rooms)
        .map(|(type_, room)| CK_ATTRIBUTE { type_: *type_, pValue: place(room), ulValueLen: room.len() as CK_ULONG })
        .collect();
    let count = attributes.len() as CK_ULONG;
    // SAFETY: the pointers are to values of this function, with their lengths.
    let outcome = unsafe { ffi::C_GetAttributeValue(session, object, attributes.as_mut_ptr(), count) };
    for (attribute, room) in attributes.iter().zip(&rooms) {
        let told = attribute.ulValueLen;
        assert!(outcome != CKR_OK || told != CK_UNAVAILABLE_INFORMATION);
        assert!(outcome != CKR_OK || room.is_empty() || told <= room.len() as CK_ULONG);
    }
    report(if outcome == CKR_OK { "attributes" } else { "no attributes" });
}

/// Calls `with` with a mechanism whose parameter is a separate allocation.
fn with_mechanism<T>(input: &mut Input, with: impl FnOnce(*mut CK_MECHANISM) -> T) -> T {
    let kind = input.one_of(KINDS);
    let mut parameter: Box<[u8]> = match input.small() {
        form if form % 4 == 0 => Box::default(),
        form if form % 4 == 1 => pss(input),
        form if form % 4 == 2 => oaep(input),
        _ => input.bytes().into(),
    };
    let place = if parameter.is_empty() { ptr::null_mut() } else { parameter.as_mut_ptr().cast() };
    let mut mechanism =
        CK_MECHANISM { mechanism: kind, pParameter: place, ulParameterLen: parameter.len() as CK_ULONG };
    with(&mut mechanism)
}

fn words(words: &[CK_ULONG]) -> Box<[u8]> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// CK_RSA_PKCS_PSS_PARAMS.
fn pss(input: &mut Input) -> Box<[u8]> {
    let hash = input.one_of(&[CKM_SHA256, CKM_SHA_1, CKM_SHA384]);
    let mgf = input.one_of(&[CKG_MGF1_SHA256, CKG_MGF1_SHA1, CKG_MGF1_SHA384]);
    words(&[hash, mgf, input.one_of(&[32, 20, 48, 0])])
}

/// CK_RSA_PKCS_OAEP_PARAMS, whose members are words as well.
fn oaep(input: &mut Input) -> Box<[u8]> {
    let hash = input.one_of(&[CKM_SHA256, CKM_SHA_1, CKM_SHA512]);
    let mgf = input.one_of(&[CKG_MGF1_SHA256, CKG_MGF1_SHA1]);
    let source = input.one_of(&[CKZ_DATA_SPECIFIED, 0]);
    words(&[hash, mgf, source, input.one_of(&[0, 1]), input.one_of(&[0, 1, CK_ULONG::MAX])])
}

/// Only asks for sizes: a signature would need a request.
fn sign(session: CK_SESSION_HANDLE, input: &mut Input) {
    let object = input.object();
    // SAFETY: the pointers are to values of this function, with their lengths.
    let begun = with_mechanism(input, |mechanism| unsafe { ffi::C_SignInit(session, mechanism, object) });
    let mut data = input.bytes().to_vec();
    let mut len = 0;
    // SAFETY: as above.
    unsafe {
        let sized = ffi::C_Sign(session, data.as_mut_ptr(), data.len() as CK_ULONG, ptr::null_mut(), &mut len);
        if sized == CKR_OK {
            assert!(len == 64 || len == 256);
            let mut room = vec![0; len as usize - 1];
            len -= 1;
            let outcome = ffi::C_Sign(session, data.as_mut_ptr(), data.len() as CK_ULONG, room.as_mut_ptr(), &mut len);
            assert_eq!(outcome, CKR_BUFFER_TOO_SMALL);
            report("a signature's size");
        }
        assert!(begun != CKR_OK || sized == CKR_OK || sized == CKR_OPERATION_ACTIVE);
        ffi::C_SignUpdate(session, data.as_mut_ptr(), data.len() as CK_ULONG);
        ffi::C_SignInit(session, ptr::null_mut(), 0);
    }
}

fn verify(session: CK_SESSION_HANDLE, input: &mut Input) {
    let object = input.object();
    // SAFETY: the pointers are to values of this function, with their lengths.
    let begun = with_mechanism(input, |mechanism| unsafe { ffi::C_VerifyInit(session, mechanism, object) });
    let (mut data, mut signature) = (input.bytes().to_vec(), input.bytes().to_vec());
    // SAFETY: as above.
    unsafe {
        if input.small() % 2 == 0 {
            let (data_len, signature_len) = (data.len() as CK_ULONG, signature.len() as CK_ULONG);
            let outcome = ffi::C_Verify(session, data.as_mut_ptr(), data_len, signature.as_mut_ptr(), signature_len);
            assert_ne!(outcome, CKR_OK, "a signature without a private key");
        } else {
            ffi::C_VerifyUpdate(session, data.as_mut_ptr(), data.len() as CK_ULONG);
            let outcome = ffi::C_VerifyFinal(session, signature.as_mut_ptr(), signature.len() as CK_ULONG);
            assert_ne!(outcome, CKR_OK, "a signature without a private key");
        }
    }
    if begun == CKR_OK {
        report("a verification");
    }
}

fn encrypt(session: CK_SESSION_HANDLE, input: &mut Input) {
    let object = input.object();
    // SAFETY: the pointers are to values of this function, with their lengths.
    with_mechanism(input, |mechanism| unsafe { ffi::C_EncryptInit(session, mechanism, object) });
    let (mut data, mut room) = (input.bytes().to_vec(), input.room());
    let mut len = room.len() as CK_ULONG;
    // SAFETY: as above.
    let outcome =
        unsafe { ffi::C_Encrypt(session, data.as_mut_ptr(), data.len() as CK_ULONG, room.as_mut_ptr(), &mut len) };
    assert!(outcome != CKR_OK || len == 256);
    if outcome == CKR_OK {
        report("a ciphertext");
    }
}

/// Only C_DecryptInit: decryption would need a request.
fn decrypt(session: CK_SESSION_HANDLE, input: &mut Input) {
    let object = input.object();
    // SAFETY: the pointers are to values of this function, with their lengths.
    let begun = with_mechanism(input, |mechanism| unsafe { ffi::C_DecryptInit(session, mechanism, object) });
    let mut data = input.bytes().to_vec();
    let mut len = 0;
    // SAFETY: as above.
    unsafe {
        let sized = ffi::C_Decrypt(session, data.as_mut_ptr(), data.len() as CK_ULONG, ptr::null_mut(), &mut len);
        assert!(begun != CKR_OK || sized == CKR_OK && len <= 256);
        ffi::C_DecryptInit(session, ptr::null_mut(), 0);
    }
}

fn digest(session: CK_SESSION_HANDLE, input: &mut Input) {
    // SAFETY: the pointers are to values of this function, with their lengths.
    with_mechanism(input, |mechanism| unsafe { ffi::C_DigestInit(session, mechanism) });
    let (mut data, mut room) = (input.bytes().to_vec(), input.room());
    let mut len = room.len() as CK_ULONG;
    // SAFETY: as above.
    let outcome = unsafe {
        ffi::C_DigestUpdate(session, data.as_mut_ptr(), data.len() as CK_ULONG);
        ffi::C_DigestFinal(session, room.as_mut_ptr(), &mut len)
    };
    assert!(outcome != CKR_OK || len <= room.len() as CK_ULONG && len % 4 == 0);
    if outcome == CKR_OK {
        report("a digest");
    }
}
