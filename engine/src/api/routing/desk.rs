//! What the engine keeps in memory about routing: every entry with its vectors, and a router for each view of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::super::engine::Engine;
use super::super::error::Result;
use super::super::session::Session;
use crate::access::{Limits, Policy, Target, Verb};
use crate::catalog::{CatalogError, EmbeddingCache, Tx};
use crate::embed::{Embedder, Features};
use crate::route::{self, Book, Embedded, Entry, EntryKey, EntryKind, Intent, RouteError, Router};

/// Views kept; more than the principals that usually act at the same time.
const MAX_VIEWS: usize = 64;
/// Routers kept; principals that may see the same share one.
const MAX_ROUTERS: usize = 16;
/// Texts embedded in one call.
const TEXTS_PER_CALL: usize = 64;

/// Every entry, as of one generation.
pub(super) struct Registry {
    generation: u64,
    pub entries: BTreeMap<EntryKey, Arc<Embedded>>,
}

/// Keeps the registry and routers.
#[derive(Default)]
pub(in crate::api) struct RouteDesk {
    registry: RwLock<Option<Arc<Registry>>>,
    views: Mutex<Vec<View>>,
    routers: Mutex<Vec<([u8; 32], Arc<Router>)>>,
    /// Counts changes of entries; all of them go through this process, which has the home to itself.
    generation: AtomicU64,
    /// Of whoever makes the workspace of inboxes.
    pub inbox_turn: Mutex<()>,
    /// The toolbox's generation that was taken up last.
    pub tools: AtomicU64,
}

/// What one principal may route to, by one token, under one policy.
struct View {
    registry: Arc<Registry>,
    policy: Arc<Policy>,
    principal: String,
    limits: Limits,
    kinds: BTreeSet<EntryKind>,
    router: Arc<Router>,
}

/// The verb by which an entry is reached.
pub(super) fn verb_of(kind: EntryKind) -> (Verb, Target) {
    match kind {
        EntryKind::Agent => (Verb::Dispatch, Target::Agent),
        EntryKind::Tool => (Verb::Call, Target::Tool),
    }
}

impl Engine {
    /// Writes something about entries, after which they are read anew.
    pub(super) fn change_entries<T, E: From<CatalogError>>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let changed = self.catalog.write(change);
        self.routing.generation.fetch_add(1, Ordering::AcqRel);
        changed
    }

    /// Every entry, read anew where something has changed.
    pub(super) fn registry(&self) -> Result<Arc<Registry>> {
        self.sync_tools()?;
        let generation = self.routing.generation.load(Ordering::Acquire);
        let kept = self.routing.registry.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(registry) = kept.as_ref().filter(|registry| registry.generation == generation) {
            return Ok(Arc::clone(registry));
        }
        let read = route::entries(&self.catalog)?;
        let mut entries = BTreeMap::new();
        let mut fresh = Vec::new();
        for (key, revision) in read {
            let known = kept.as_ref().and_then(|kept| kept.entries.get(&key));
            match known.filter(|known| known.revision == revision.number) {
                Some(known) => drop(entries.insert(key, Arc::clone(known))),
                None => fresh.push((revision.number, revision.entry)),
            }
        }
        for embedded in self.embed_entries(fresh)? {
            entries.insert(embedded.entry.key(), Arc::new(embedded));
        }
        let registry = Arc::new(Registry { generation, entries });
        let mut kept = self.routing.registry.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have read a newer state meanwhile.
        if kept.as_ref().is_none_or(|kept| kept.generation <= generation) {
            *kept = Some(Arc::clone(&registry));
        }
        Ok(registry)
    }

    /// Entries with the vectors of their documents; known texts are not embedded again.
    pub(super) fn embed_entries(&self, entries: Vec<(i64, Entry)>) -> Result<Vec<Embedded>> {
        let mut embedded: Vec<Embedded> =
            entries.into_iter().map(|(revision, entry)| Embedded::new(revision, entry)).collect();
        if let Some((embedder, cache)) = self.embedder.as_deref().zip(self.cache.as_ref()) {
            let mut documents =
                embedded.iter_mut().flat_map(|entry| &mut entry.documents).collect::<Vec<_>>();
            for documents in documents.chunks_mut(TEXTS_PER_CALL) {
                let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
                let features = features(embedder, cache, &texts)?;
                for (document, features) in documents.iter_mut().zip(features) {
                    document.features = Some(features);
                }
            }
        }
        Ok(embedded)
    }
}

impl Session {
    /// The router over what this principal may route to, and over nothing else.
    pub(super) fn router(&self, kinds: &BTreeSet<EntryKind>) -> Result<Arc<Router>> {
        let (registry, policy) = (self.engine.registry()?, self.engine.policy());
        if let Some(router) = self.kept_router(&registry, &policy, kinds) {
            return Ok(router);
        }
        let visible: Vec<Arc<Embedded>> = registry
            .entries
            .iter()
            // Who asks looks for somebody else.
            .filter(|((_, id), _)| *id != self.actor.principal)
            .filter(|((kind, id), _)| {
                let (verb, target) = verb_of(*kind);
                kinds.contains(kind) && self.actor.decide(&policy, verb, target, id).allowed
            })
            .map(|(_, embedded)| Arc::clone(embedded))
            .collect();
        let router = self.engine.router_over(visible);
        let view = View {
            registry,
            policy,
            principal: self.actor.principal.clone(),
            limits: self.actor.limits.clone(),
            kinds: kinds.clone(),
            router: Arc::clone(&router),
        };
        let mut views = self.engine.routing.views.lock().unwrap_or_else(PoisonError::into_inner);
        if views.len() >= MAX_VIEWS {
            views.remove(0);
        }
        views.push(view);
        Ok(router)
    }

    fn kept_router(
        &self,
        registry: &Arc<Registry>,
        policy: &Arc<Policy>,
        kinds: &BTreeSet<EntryKind>,
    ) -> Option<Arc<Router>> {
        let mut views = self.engine.routing.views.lock().unwrap_or_else(PoisonError::into_inner);
        // What stands on an older registry or policy is never asked for again.
        views.retain(|view| Arc::ptr_eq(&view.registry, registry) && Arc::ptr_eq(&view.policy, policy));
        let is_mine = |view: &&View| {
            view.principal == self.actor.principal && view.limits == self.actor.limits && view.kinds == *kinds
        };
        views.iter().find(is_mine).map(|view| Arc::clone(&view.router))
    }
}

impl Engine {
    /// What somebody wants done, made ready.
    pub(super) fn read_intent(&self, text: &str) -> Result<Intent> {
        let text = route::asked(text);
        let Some(embedder) = self.embedder.as_deref() else { return Ok(Intent::new(text, None)) };
        let features = embedder.embed_intents(&[text]).map_err(RouteError::from)?.pop();
        Ok(Intent::new(text, features))
    }

    /// The parts of what somebody wants done, made ready; none where it is one thing.
    pub(super) fn read_parts(&self, text: &str) -> Result<Vec<Intent>> {
        let parts = route::parts(route::asked(text));
        let Some(embedder) = self.embedder.as_deref() else {
            return Ok(parts.into_iter().map(|part| Intent::new(part, None)).collect());
        };
        let features = embedder.embed_intents(&parts).map_err(RouteError::from)?;
        Ok(parts
            .into_iter()
            .zip(features)
            .map(|(part, features)| Intent::new(part, Some(features)))
            .collect())
    }

    /// What can't run here.
    pub(super) fn degraded(&self) -> Vec<String> {
        if self.embedder.is_none() { vec!["semantic".to_owned()] } else { Vec::new() }
    }

    /// A router over these entries, in the order of their keys; one over the same revisions is shared.
    pub(super) fn router_over(&self, entries: Vec<Arc<Embedded>>) -> Arc<Router> {
        let hash = Book::of(entries.iter().map(|entry| entry.revision)).hash;
        let find = |routers: &mut Vec<([u8; 32], Arc<Router>)>| {
            let at = routers.iter().position(|(other, _)| *other == hash)?;
            let found = routers.remove(at);
            let router = Arc::clone(&found.1);
            // The one used last goes last.
            routers.push(found);
            Some(router)
        };
        if let Some(router) = find(&mut self.routing.routers.lock().unwrap_or_else(PoisonError::into_inner)) {
            return router;
        }
        let router = Arc::new(Router::fit(entries));
        let mut routers = self.routing.routers.lock().unwrap_or_else(PoisonError::into_inner);
        if routers.len() >= MAX_ROUTERS {
            routers.remove(0);
        }
        routers.push((hash, Arc::clone(&router)));
        router
    }
}

/// Both views of each text, of those that are known and of those that have to be embedded.
fn features(
    embedder: &dyn Embedder,
    cache: &EmbeddingCache,
    texts: &[&str],
) -> std::result::Result<Vec<Features>, RouteError> {
    let hashes: Vec<[u8; 32]> = texts.iter().map(|text| features_hash(text)).collect();
    let mut found: Vec<Option<Features>> = hashes
        .iter()
        .map(|hash| Ok(cache.get(hash)?.map(|row| split_row(row, embedder.dim()))))
        .collect::<std::result::Result<_, CatalogError>>()?;
    let missing: Vec<usize> = (0..texts.len()).filter(|idx| found[*idx].is_none()).collect();
    if !missing.is_empty() {
        let wanted: Vec<&str> = missing.iter().map(|idx| texts[*idx]).collect();
        let fresh = embedder.embed_intents(&wanted)?;
        let rows: Vec<([u8; 32], Vec<f32>)> =
            missing.iter().zip(&fresh).map(|(idx, features)| (hashes[*idx], joined(features))).collect();
        cache.put(&rows)?;
        for (idx, features) in missing.into_iter().zip(fresh) {
            found[idx] = Some(features);
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// The name of a text's features in the cache, where embeddings of documents have names too.
fn features_hash(text: &str) -> [u8; 32] {
    *blake3::Hasher::new_derive_key("waypost 2026-11 intent features")
        .update(text.as_bytes())
        .finalize()
        .as_bytes()
}

fn joined(features: &Features) -> Vec<f32> {
    features.embedding.iter().chain(features.middle.iter().flatten()).copied().collect()
}

fn split_row(mut row: Vec<f32>, dim: usize) -> Features {
    let middle = if row.len() > dim { Some(row.split_off(dim)) } else { None };
    Features { embedding: row, middle }
}
