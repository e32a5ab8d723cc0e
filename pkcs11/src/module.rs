//! The state of the process: whether the module is initialised, its tokens, its sessions, and the login state of each token.
//!
//! A forked child starts with the state of its parent, so that it can continue to use the sessions. It may also call C_Initialize,
//! as the workers of nginx do. It never waits for a lock of the parent, and closes no descriptor of the parent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cryptoki_sys::*;
use tckms::host::PerProcess;

use crate::config::{self, ConfigError};
use crate::error::Result;
use crate::log;
use crate::session::{Session, Sessions};
use crate::token::Token;

/// The state between C_Initialize and C_Finalize.
pub struct Module {
    tokens: Vec<Arc<Token>>,
    sessions: Sessions,
    /// One for each slot.
    logged_in: Vec<AtomicBool>,
    /// The argument of C_Initialize.
    init_string: Option<String>,
    /// Whether this process called C_Initialize; if not, its parent did.
    is_own: bool,
}

/// Whether this process can use the module.
#[derive(Default)]
enum State {
    /// It must call C_Initialize first.
    #[default]
    Idle,
    /// It can use the module.
    Initialized(Arc<Module>),
    /// This process called C_Finalize for the module that its parent initialised. pkcs11-provider does so before it calls
    /// C_Initialize again.
    Finalized(Arc<Module>),
}

static STATE: PerProcess<RwLock<State>> = PerProcess::new();

fn state() -> &'static RwLock<State> {
    STATE.get_or_inherit(|parent| {
        let state = parent.and_then(|parent| {
            Some(match &*parent.try_read().ok()? {
                State::Idle => State::Idle,
                State::Initialized(module) => State::Initialized(Arc::new(module.inherited())),
                State::Finalized(module) => State::Finalized(Arc::new(module.inherited())),
            })
        });
        RwLock::new(state.unwrap_or_default())
    })
}

/// The module, if it is initialised.
pub fn current() -> Result<Arc<Module>> {
    match &*state().read().unwrap_or_else(PoisonError::into_inner) {
        State::Initialized(module) => Ok(Arc::clone(module)),
        State::Idle | State::Finalized(_) => Err(CKR_CRYPTOKI_NOT_INITIALIZED),
    }
}

/// C_Initialize. `init_string` is the string in `pReserved`.
pub fn initialize(init_string: Option<&str>) -> Result<()> {
    let mut state = state().write().unwrap_or_else(PoisonError::into_inner);
    let tokens = match &*state {
        State::Initialized(module) if module.is_own => return Err(CKR_CRYPTOKI_ALREADY_INITIALIZED),
        // The parent read the configuration, perhaps with privileges that this process has dropped.
        State::Initialized(module) => module.tokens.clone(),
        State::Finalized(module) if module.init_string.as_deref() == init_string => module.tokens.clone(),
        State::Idle | State::Finalized(_) => load(init_string).map_err(|error| {
            log::error(format_args!("{error}"));
            CKR_GENERAL_ERROR
        })?,
    };
    *state = State::Initialized(Arc::new(Module::new(tokens, init_string)));
    Ok(())
}

fn load(init_string: Option<&str>) -> std::result::Result<Vec<Arc<Token>>, ConfigError> {
    let loaded = config::load(init_string);
    log::set(&loaded.log.destination, loaded.log.level)
        .map_err(|error| ConfigError::new(format!("the log {:?} cannot be opened: {error}", loaded.log.destination)))?;
    let settings = loaded.settings?;
    if settings.tokens.is_empty() {
        log::warn(format_args!(
            "no tokens are configured: set TCKMS_PKCS11_KEYS and TENCENTCLOUD_REGION, or write /etc/tckms/pkcs11.conf"
        ));
    }
    settings.tokens.into_iter().map(|token| Token::new(token).map(Arc::new)).collect()
}

/// C_Finalize.
pub fn finalize() -> Result<()> {
    let mut state = state().write().unwrap_or_else(PoisonError::into_inner);
    let State::Initialized(module) = &*state else { return Err(CKR_CRYPTOKI_NOT_INITIALIZED) };
    if module.is_own {
        // Calls that are still running on other threads fail instead of waiting for the service.
        module.tokens.iter().for_each(|token| token.client().cancel());
        *state = State::Idle;
    } else {
        *state = State::Finalized(Arc::clone(module));
    }
    Ok(())
}

impl Module {
    fn new(tokens: Vec<Arc<Token>>, init_string: Option<&str>) -> Self {
        let logged_in = tokens.iter().map(|_| AtomicBool::new(false)).collect();
        let init_string = init_string.map(str::to_owned);
        Self { tokens, sessions: Sessions::default(), logged_in, init_string, is_own: true }
    }

    fn inherited(&self) -> Self {
        let tokens: Vec<_> = self.tokens.iter().map(|token| Arc::new(token.inherited())).collect();
        let sessions = self.sessions.inherited(&tokens);
        let logged_in = self.logged_in.iter().map(|flag| AtomicBool::new(flag.load(Ordering::Relaxed))).collect();
        Self { tokens, sessions, logged_in, init_string: self.init_string.clone(), is_own: false }
    }

    /// The number of slots. Each has a token.
    pub fn slot_count(&self) -> usize {
        self.tokens.len()
    }

    /// The index of the slot with this id, and its token.
    pub fn slot(&self, id: CK_SLOT_ID) -> Result<(usize, &Arc<Token>)> {
        let index = usize::try_from(id).map_err(|_| CKR_SLOT_ID_INVALID)?;
        self.tokens.get(index).map(|token| (index, token)).ok_or(CKR_SLOT_ID_INVALID)
    }

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// C_OpenSession.
    pub fn open_session(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE> {
        let (index, token) = self.slot(slot)?;
        if flags & CKF_SERIAL_SESSION == 0 {
            return Err(CKR_SESSION_PARALLEL_NOT_SUPPORTED);
        }
        self.sessions.open(index, Arc::clone(token), flags & CKF_RW_SESSION != 0)
    }

    /// C_CloseSession. Closing the last session of a slot logs out.
    pub fn close_session(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let slot = self.sessions.close(handle)?;
        if self.sessions.count(slot).0 == 0 {
            self.logged_in[slot].store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// C_CloseAllSessions.
    pub fn close_all_sessions(&self, slot: CK_SLOT_ID) -> Result<()> {
        let (slot, _) = self.slot(slot)?;
        self.sessions.close_all(slot);
        self.logged_in[slot].store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the program is logged in to the token of this session.
    pub fn is_logged_in(&self, session: &Session) -> bool {
        self.logged_in[session.slot].load(Ordering::Relaxed)
    }

    /// C_Login. Every PIN is accepted: the configuration has the credentials.
    pub fn login(&self, session: &Session, user: CK_USER_TYPE) -> Result<()> {
        match user {
            CKU_USER => {}
            CKU_CONTEXT_SPECIFIC => return Err(CKR_OPERATION_NOT_INITIALIZED),
            _ => return Err(CKR_USER_TYPE_INVALID),
        }
        match self.logged_in[session.slot].swap(true, Ordering::Relaxed) {
            true => Err(CKR_USER_ALREADY_LOGGED_IN),
            false => Ok(()),
        }
    }

    /// C_Logout.
    pub fn logout(&self, session: &Session) -> Result<()> {
        match self.logged_in[session.slot].swap(false, Ordering::Relaxed) {
            true => Ok(()),
            false => Err(CKR_USER_NOT_LOGGED_IN),
        }
    }
}
