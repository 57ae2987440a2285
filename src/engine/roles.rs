//! Who decides: what operators set, and how that is told.

use super::Engine;
use crate::error::Result;
use crate::policy::{Mode, PolicyChange, PolicyName, PolicyRegistry};
use crate::settings::Source;
use crate::state::{remove_unfinished, save_policies};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// What one policy does, for `policies()`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct PolicyRole {
    pub name: PolicyName,
    pub mode: Mode,
    pub source: RoleSource,
    pub share: Option<f64>,
    pub salt: Option<String>,
    pub users: Vec<String>,
}

/// Who said what the active policy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub enum RoleSource {
    Registry,
    Option,
    Environment,
    Default,
}

impl From<Source> for RoleSource {
    fn from(source: Source) -> Self {
        match source {
            Source::Option => Self::Option,
            Source::Environment => Self::Environment,
            Source::Default => Self::Default,
        }
    }
}

impl Engine {
    /// The active policy, and who said so.
    #[must_use]
    pub fn active_policy(&self) -> (PolicyName, RoleSource) {
        let registry = self.policies.lock();
        let source = if registry.has_active() { RoleSource::Registry } else { self.settings.active_policy_source.into() };
        (registry.active(self.settings.active_policy), source)
    }

    /// The same for calls that must be fast.
    #[inline]
    #[must_use]
    pub fn active(&self) -> PolicyName {
        PolicyName::from_number(self.active.load(Ordering::Relaxed)).unwrap_or(self.settings.active_policy)
    }

    /// What each policy does.
    #[must_use]
    pub fn policies(&self) -> Vec<PolicyRole> {
        let (_, active_source) = self.active_policy();
        let registry = self.policies.lock();
        let default = self.settings.active_policy;
        let role = |name: PolicyName| {
            let (mode, share) = (registry.mode(name, default), registry.share(name));
            let source = match mode {
                Mode::Active => active_source,
                Mode::Off => RoleSource::Registry,
                Mode::Shadow | Mode::Default => RoleSource::Default,
            };
            let users = registry.users(name).map(str::to_owned).collect();
            PolicyRole { name, mode, source, share: share.map(|s| s.share), salt: share.map(|s| s.salt.clone()), users }
        };
        PolicyName::ALL.map(role).into()
    }

    /// Forgets a user's own policy.
    ///
    /// # Errors
    /// `ERR_STATE_IO`.
    pub(super) fn forget_role(&self, user_id: &str) -> Result<()> {
        let _changing = self.changing_policies.lock();
        if let Some(directory) = &self.directory {
            // What a process left that ended while it changed them may name the user.
            remove_unfinished(directory)?;
        }
        let before = self.policies.lock().clone();
        before.without_user(user_id).map_or(Ok(()), |next| self.keep_policies(&before, next))
    }

    /// Changes what a policy does, from the next decision on and for good; the log has it, too.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`; `ERR_STATE_IO` and `ERR_BACKPRESSURE`: nothing has changed then.
    pub fn set_policy(&self, policy: PolicyName, change: &PolicyChange) -> Result<()> {
        let _changing = self.changing_policies.lock();
        let before = self.policies.lock().clone();
        let next = before.changed(policy, change, self.settings.active_policy)?;
        if let Some(log) = self.log_on() {
            log.policy(self.clock.now_ms(), &policy_line(policy, change))?;
        }
        self.keep_policies(&before, next)
    }

    fn keep_policies(&self, before: &PolicyRegistry, next: PolicyRegistry) -> Result<()> {
        if let Some(directory) = &self.directory {
            save_policies(directory, before, &next)?;
        }
        self.active.store(next.active(self.settings.active_policy) as u8, Ordering::Relaxed);
        *self.policies.lock() = next;
        Ok(())
    }
}

/// The inside of a line: `,"policy":…,"mode":…` and what else the change has.
fn policy_line(policy: PolicyName, change: &PolicyChange) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        policy: PolicyName,
        mode: Mode,
        #[serde(skip_serializing_if = "Option::is_none")]
        share: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        salt: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
    }
    let PolicyChange { mode, share, salt, user_id } = change;
    let line = Line { policy, mode: *mode, share: *share, salt: salt.as_deref(), user_id: user_id.as_deref() };
    let json = serde_json::to_string(&line).unwrap_or_default();
    json.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).map_or_else(String::new, |inner| format!(",{inner}"))
}
