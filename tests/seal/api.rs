//! Thin safe wrappers of the C functions.

use std::ffi::{CStr, CString, c_void};
use std::ptr;

use tckms::Status;
use tckms::ffi::*;

pub type Outcome<T> = Result<T, Status>;

fn outcome(status: Status) -> Outcome<()> {
    if status == Status::Ok { Ok(()) } else { Err(status) }
}

fn c_text(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn optional(text: &Option<CString>) -> *const std::ffi::c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Copies a buffer's content and frees the buffer.
fn take(buffer: &mut tckms_buffer) -> Vec<u8> {
    let bytes = unsafe { std::slice::from_raw_parts(buffer.data, buffer.len) }.to_vec();
    assert_eq!(unsafe { *buffer.data.add(buffer.len) }, 0, "a NUL follows");
    unsafe { tckms_buffer_free(buffer) };
    bytes
}

fn filled(call: impl FnOnce(*mut tckms_buffer) -> Status) -> Outcome<Vec<u8>> {
    let mut buffer = tckms_buffer { data: ptr::dangling_mut(), len: 77 };
    let result = outcome(call(&mut buffer));
    if result.is_err() {
        assert!(buffer.data.is_null() && buffer.len == 0, "a failed call leaves nothing");
    }
    result.map(|()| take(&mut buffer))
}

pub fn last_message() -> String {
    unsafe { CStr::from_ptr(tckms_error_message(tckms_last_error())) }.to_string_lossy().into_owned()
}

pub fn last_is_retryable() -> bool {
    unsafe { tckms_error_retryable(tckms_last_error()) == 1 }
}

pub fn info(message: &[u8]) -> Outcome<serde_json::Value> {
    let mut info = ptr::dangling_mut();
    let read = outcome(unsafe { tckms_message_info_new(message.as_ptr().cast(), message.len(), &mut info) });
    assert_eq!(read.is_err(), info.is_null());
    read?;
    let json = filled(|out| unsafe { tckms_message_info_json(info, out) });
    unsafe { tckms_message_info_free(info) };
    Ok(serde_json::from_slice(&json?).unwrap())
}

/// A message whose header has these wrapped keys, each with provider, info and blob. No data key opens it.
pub fn forged(wrapped_keys: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut message = vec![2, 4, 0x78];
    message.extend_from_slice(&[7; 32]);
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(&(wrapped_keys.len() as u16).to_be_bytes());
    for (provider, info, blob) in wrapped_keys {
        for part in [provider.as_bytes(), info.as_bytes(), blob] {
            message.extend_from_slice(&(part.len() as u16).to_be_bytes());
            message.extend_from_slice(part);
        }
    }
    message.extend_from_slice(&[2, 0, 0, 16, 0]);
    message.extend_from_slice(&[0; 32 + 16 + 40]);
    message
}

pub struct Keyring(pub *mut tckms_keyring);

unsafe impl Send for Keyring {}
unsafe impl Sync for Keyring {}

impl Keyring {
    pub fn new() -> Self {
        Self(tckms_keyring_new())
    }

    pub fn seal(&self, plaintext: &[u8], context: &str) -> Outcome<Vec<u8>> {
        let context = (!context.is_empty()).then(|| c_text(context));
        filled(|out| unsafe { tckms_seal(self.0, plaintext.as_ptr().cast(), plaintext.len(), optional(&context), out) })
    }

    pub fn open(&self, message: &[u8], expected: &str) -> Outcome<Vec<u8>> {
        let expected = (!expected.is_empty()).then(|| c_text(expected));
        filled(|out| unsafe { tckms_open(self.0, message.as_ptr().cast(), message.len(), optional(&expected), out) })
    }

    /// Seals or opens between descriptors.
    pub fn between(&self, open: bool, input: i32, output: i32, options: &tckms_fd_options) -> Outcome<()> {
        let work = if open { tckms_open_fd } else { tckms_seal_fd };
        let size = size_of::<tckms_fd_options>();
        outcome(unsafe { work(self.0, input, output, ptr::null(), options, size) })
    }

    pub fn add_kms(&self, client: &Client, key_id: &str) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_add_kms(self.0, client.0, c_text(key_id).as_ptr()) })
    }

    pub fn add_rsa(&self, namespace: &str, name: &str, pem: &str, private: bool) -> Outcome<()> {
        let add = if private { tckms_keyring_add_rsa_private_pem } else { tckms_keyring_add_rsa_public_pem };
        let (namespace, name) = (c_text(namespace), c_text(name));
        outcome(unsafe { add(self.0, namespace.as_ptr(), name.as_ptr(), pem.as_ptr().cast(), pem.len()) })
    }

    pub fn add_custom(&self, key: &tckms_custom_key) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_add_custom(self.0, key, size_of::<tckms_custom_key>()) })
    }

    pub fn add_branch(&self, client: &Client, key_id: &str, options: &tckms_branch_options) -> Outcome<()> {
        let size = size_of::<tckms_branch_options>();
        outcome(unsafe { tckms_keyring_add_branch(self.0, client.0, c_text(key_id).as_ptr(), options, size) })
    }

    pub fn set_branch_supplier(&self, supplier: tckms_branch_supplier) {
        outcome(unsafe { tckms_keyring_set_branch_supplier(self.0, supplier, ptr::null_mut(), None) }).unwrap();
    }

    pub fn branch_stats(&self) -> tckms_branch_stats {
        let mut stats = unsafe { std::mem::zeroed::<tckms_branch_stats>() };
        outcome(unsafe { tckms_keyring_branch_stats(self.0, &mut stats, size_of::<tckms_branch_stats>()) }).unwrap();
        stats
    }

    pub fn set_cache(&self, limits: &tckms_cache_limits) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_cache(self.0, limits, size_of::<tckms_cache_limits>()) })
    }

    pub fn set_total_timeout_ms(&self, timeout_ms: i64) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_total_timeout_ms(self.0, timeout_ms) })
    }

    pub fn set_max_rsa_operations(&self, count: usize) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_max_rsa_operations(self.0, count) })
    }

    pub fn set_policy(&self, policy: i32) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_commitment_policy(self.0, policy) })
    }

    pub fn set_signing(&self, signing: bool) {
        outcome(unsafe { tckms_keyring_set_signing(self.0, signing.into()) }).unwrap();
    }

    pub fn set_frame_len(&self, len: usize) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_frame_len(self.0, len) })
    }

    pub fn set_max_wrapped_keys(&self, count: usize) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_max_wrapped_keys(self.0, count) })
    }

    pub fn set_max_header_len(&self, len: usize) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_max_header_len(self.0, len) })
    }

    pub fn set_max_frame_len(&self, len: usize) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_max_frame_len(self.0, len) })
    }

    pub fn set_max_unframed_len(&self, len: usize) -> Outcome<()> {
        outcome(unsafe { tckms_keyring_set_max_unframed_len(self.0, len as u64) })
    }

    pub fn set_reproduced_context(&self, context: &str) {
        outcome(unsafe { tckms_keyring_set_reproduced_context(self.0, c_text(context).as_ptr()) }).unwrap();
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        unsafe { tckms_keyring_free(self.0) };
    }
}

pub struct Stream(*mut tckms_stream);

impl Stream {
    pub fn sealing(keyring: &Keyring, context: &str) -> Outcome<Self> {
        let mut stream = ptr::null_mut();
        outcome(unsafe { tckms_stream_new_seal(keyring.0, c_text(context).as_ptr(), &mut stream) })?;
        Ok(Self(stream))
    }

    pub fn opening(keyring: &Keyring, expected: &str) -> Outcome<Self> {
        let mut stream = ptr::null_mut();
        outcome(unsafe { tckms_stream_new_open(keyring.0, c_text(expected).as_ptr(), &mut stream) })?;
        Ok(Self(stream))
    }

    pub fn allow_signed(self) -> Self {
        outcome(unsafe { tckms_stream_set_signed_allowed(self.0, 1) }).unwrap();
        self
    }

    pub fn set_size(&self, size: u64) -> Outcome<()> {
        outcome(unsafe { tckms_stream_set_plaintext_size(self.0, size) })
    }

    pub fn set_bound(&self, bound: u64) -> Outcome<()> {
        outcome(unsafe { tckms_stream_set_plaintext_bound(self.0, bound) })
    }

    /// Consumed and produced.
    pub fn update(&self, input: &[u8], output: &mut [u8]) -> Outcome<(usize, usize)> {
        let (mut consumed, mut produced) = (77, 77);
        let room = if output.is_empty() { ptr::null_mut() } else { output.as_mut_ptr().cast::<c_void>() };
        let status = unsafe {
            let input = (input.as_ptr().cast(), input.len());
            tckms_stream_update(self.0, input.0, input.1, &mut consumed, room, output.len(), &mut produced)
        };
        if status != Status::Ok {
            assert_eq!((consumed, produced), (0, 0));
        }
        outcome(status).map(|()| (consumed, produced))
    }

    /// Produced and done.
    pub fn finish(&self, output: &mut [u8]) -> Outcome<(usize, bool)> {
        let (mut produced, mut done) = (77, 77);
        let room = if output.is_empty() { ptr::null_mut() } else { output.as_mut_ptr().cast::<c_void>() };
        outcome(unsafe { tckms_stream_finish(self.0, room, output.len(), &mut produced, &mut done) })?;
        Ok((produced, done == 1))
    }

    pub fn output_size(&self, len: usize) -> Outcome<usize> {
        let mut size = 0;
        outcome(unsafe { tckms_stream_output_size(self.0, len, &mut size) })?;
        Ok(size)
    }

    pub fn message_size(&self) -> Outcome<u64> {
        let mut size = 0;
        outcome(unsafe { tckms_stream_message_size(self.0, &mut size) })?;
        Ok(size)
    }

    /// Passes everything through the stream in chunks of these sizes, in turn. Keeps the output before an error.
    pub fn run(&self, input: &[u8], pieces: &[usize], rooms: &[usize]) -> (Vec<u8>, Outcome<()>) {
        let mut out = Vec::new();
        let result = self.try_run(input, pieces, rooms, &mut out);
        (out, result)
    }

    fn try_run(&self, mut input: &[u8], pieces: &[usize], rooms: &[usize], out: &mut Vec<u8>) -> Outcome<()> {
        let mut memory = vec![0; rooms.iter().max().unwrap() + 1];
        let (mut pieces, mut rooms) = (pieces.iter().cycle(), rooms.iter().cycle());
        while !input.is_empty() {
            let piece = &input[..input.len().min(*pieces.next().unwrap())];
            let room = *rooms.next().unwrap();
            memory[room] = 0xee;
            let (consumed, produced) = self.update(piece, &mut memory[..room])?;
            assert_eq!(memory[room], 0xee, "no output beyond the buffer");
            out.extend_from_slice(&memory[..produced]);
            input = &input[consumed..];
        }
        loop {
            let room = *rooms.next().unwrap();
            let (produced, done) = self.finish(&mut memory[..room])?;
            out.extend_from_slice(&memory[..produced]);
            if done {
                return Ok(());
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        unsafe { tckms_stream_free(self.0) };
    }
}

pub struct Client(pub *mut tckms_client);

unsafe impl Send for Client {}
unsafe impl Sync for Client {}

impl Client {
    /// A client without retries, so that tests do not wait for them.
    pub fn new(settings: &[(String, String)], region: &str) -> Self {
        Self::configured(settings, region, |_| ())
    }

    /// The same, with other settings in addition.
    pub fn configured(settings: &[(String, String)], region: &str, set: impl FnOnce(*mut tckms_config)) -> Self {
        let get = |name: &str| {
            let found = settings.iter().find(|(known, _)| known == name);
            c_text(&found.unwrap_or_else(|| panic!("no {name}")).1)
        };
        let (id, key) = (get("TENCENTCLOUD_SECRET_ID"), get("TENCENTCLOUD_SECRET_KEY"));
        let mut client = ptr::null_mut();
        unsafe {
            let config = tckms_config_new();
            outcome(tckms_config_set_region(config, c_text(region).as_ptr())).unwrap();
            outcome(tckms_config_set_endpoint(config, get("TCKMS_ENDPOINT").as_ptr())).unwrap();
            outcome(tckms_config_set_credentials(config, id.as_ptr(), key.as_ptr(), ptr::null())).unwrap();
            outcome(tckms_config_set_max_attempts(config, 1)).unwrap();
            set(config);
            outcome(tckms_client_new(config, &mut client)).unwrap();
            tckms_config_free(config);
        }
        Self(client)
    }

    /// A line of text with its newline.
    pub fn new_branch_record(&self, key_id: &str, branch_id: &str) -> String {
        let (key_id, id) = (c_text(key_id), c_text(branch_id));
        let line = filled(|out| unsafe { tckms_branch_record_new(self.0, key_id.as_ptr(), id.as_ptr(), out) });
        String::from_utf8(line.unwrap()).unwrap()
    }

    pub fn calls(&self) -> u64 {
        self.stats().calls
    }

    pub fn stats(&self) -> tckms_stats {
        let mut stats = unsafe { std::mem::zeroed::<tckms_stats>() };
        outcome(unsafe { tckms_client_stats(self.0, &mut stats, size_of::<tckms_stats>()) }).unwrap();
        stats
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        unsafe { tckms_client_free(self.0) };
    }
}
