//! An account with an authority: the one that is kept on disk, or else a new one.

use std::fs;

use anyhow::Context;
use instant_acme::{Account, AccountBuilder, AccountCredentials, NewAccount};
use palisade_config::Acme;
use serde::{Deserialize, Serialize};

use super::store;

/// An account as it is kept: it is good at one authority alone.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    credentials: AccountCredentials,
}

const FILE: &str = "account.json";

/// The account of this table. To use the table is to agree to the authority's terms.
///
/// # Errors
/// The authority cannot be asked or does not take the account, or it cannot be kept.
pub(super) async fn open(config: &Acme) -> anyhow::Result<Account> {
    let file = config.state.join(FILE);
    let kept = match fs::read(&file) {
        Ok(bytes) => Some(serde_json::from_slice::<Kept>(&bytes).with_context(|| format!("{}", file.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let directory = &config.directory;
    if let Some(kept) = kept.filter(|kept| kept.directory == *directory) {
        let account = builder(config)?.from_credentials(kept.credentials).await;
        return account.with_context(|| format!("the account at {directory}"));
    }
    let contact: Vec<&str> = config.contact.iter().map(String::as_str).collect();
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let made = builder(config)?.create(&wanted, directory.clone(), None).await;
    let (account, credentials) = made.with_context(|| format!("a new account at {directory}"))?;
    let kept = serde_json::to_vec(&Kept { directory: directory.clone(), credentials })?;
    store::write(&file, &kept).with_context(|| format!("cannot write {}", file.display()))?;
    tracing::info!(account = config.name, directory, "an ACME account was made");
    Ok(account)
}

fn builder(config: &Acme) -> anyhow::Result<AccountBuilder> {
    match &config.ca {
        Some(ca) => Account::builder_with_root(ca).with_context(|| format!("the root in {}", ca.display())),
        None => Account::builder().context("no client for the authority"),
    }
}
