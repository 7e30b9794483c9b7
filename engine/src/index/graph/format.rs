//! The bytes of a graph: written once, checked when opened, read in place.
//!
//! Layout, little-endian, every part padded with zeros to 8 bytes:
//!
//! ```text
//! header     80 B   magic "WPGRAPH\0" · version u32 · n_rows u32 · n_layers u32 · entry u32 · n_bytes u64 · zeros
//!                   · at 48: BLAKE3 of all bytes but these 32
//! directory         n_layers × (n_nodes u32, n_links u32); layer 0, which has every row, first
//! layer 0           offsets (n_nodes + 1) u32 · links n_links u32
//! layer 1..         nodes n_nodes u32, ascending rows · offsets (n_nodes + 1) u32 · links n_links u32
//! ```
//!
//! The links of a layer's node `i` are the rows `links[offsets[i]..offsets[i + 1]]`. `entry` is a node of the highest

use thiserror::Error;

/// First bytes of a graph.
const MAGIC: [u8; 8] = *b"WPGRAPH\0";

/// Version of the layout.
pub const VERSION: u32 = 1;

/// Stands for the entry point of a graph without points.
pub const NO_ENTRY: u32 = u32::MAX;

pub(super) const HEADER_BYTES: usize = 80;
pub(super) const CHECKSUM_AT: usize = 48;
pub(super) const CHECKSUM_BYTES: usize = 32;
const ALIGNMENT: usize = 8;

/// Layers that a graph may have; 16 links a node make a ninth one likely from 16^8 rows on only.
const MAX_LAYERS: usize = 16;

/// What is wrong with a graph's bytes. The index is derived: rebuild it.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphError {
    /// Fewer or more bytes than the header tells.
    #[error("the graph has {found} bytes, expected {expected}")]
    Length {
        /// By the header.
        expected: u64,
        /// In hand.
        found: u64,
    },
    /// The bytes are something else.
    #[error("the graph is of another format")]
    Format,
    /// Written by another version of this program.
    #[error("the graph has layout version {found}, expected {VERSION}")]
    Version {
        /// In the header.
        found: u32,
    },
    /// Some byte has changed since the graph was written.
    #[error("the graph does not fit its checksum")]
    Checksum,
    /// The bytes don't start at a multiple of 4 in memory, so that they can't be read in place.
    #[error("the graph is not aligned in memory")]
    Alignment,
    /// A number names a row, node or link that isn't there.
    #[error("the graph's layer {layer} has {what} out of range")]
    Range {
        /// From 0.
        layer: usize,
        /// Which number.
        what: &'static str,
    },
}

/// One layer of a graph that is to be written.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// Rows on this layer, ascending. Layer 0 has all rows, those without a vector too.
    pub nodes: Vec<u32>,
    /// The neighbours of each node, rows.
    pub links: Vec<Vec<u32>>,
}

/// Writes a graph down. `layers[0].nodes` is `0..n_rows`; `entry` is a node of the last layer, `None` without points.
pub fn encode(layers: &[Layer], entry: Option<u32>) -> Vec<u8> {
    let mut body = Vec::new();
    for layer in layers {
        let n_links: usize = layer.links.iter().map(Vec::len).sum();
        append(&mut body, [layer.nodes.len() as u32, n_links as u32].into_iter());
    }
    for (level, layer) in layers.iter().enumerate() {
        if level > 0 {
            append(&mut body, layer.nodes.iter().copied());
        }
        let ends = layer.links.iter().scan(0, |end, links| {
            *end += links.len() as u32;
            Some(*end)
        });
        append(&mut body, std::iter::once(0).chain(ends));
        append(&mut body, layer.links.iter().flatten().copied());
    }
    let n_rows = layers.first().map_or(0, |layer| layer.nodes.len());
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    for number in [VERSION, n_rows as u32, layers.len() as u32, entry.unwrap_or(NO_ENTRY)] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&((HEADER_BYTES + body.len()) as u64).to_le_bytes());
    bytes.resize(HEADER_BYTES, 0);
    bytes.extend_from_slice(&body);
    let checksum = checksum(&bytes);
    bytes[CHECKSUM_AT..CHECKSUM_AT + CHECKSUM_BYTES].copy_from_slice(checksum.as_bytes());
    bytes
}

fn append(body: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    numbers.for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
    body.resize(body.len().next_multiple_of(ALIGNMENT), 0);
}

/// Of all bytes but the checksum's own.
pub(super) fn checksum(bytes: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..CHECKSUM_AT]);
    hasher.update_rayon(&bytes[CHECKSUM_AT + CHECKSUM_BYTES..]);
    hasher.finalize()
}

/// A graph, borrowed from its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Graph<'a> {
    pub(super) n_rows: usize,
    pub(super) entry: u32,
    pub(super) n_layers: usize,
    pub(super) layers: [LayerView<'a>; MAX_LAYERS],
}

/// One layer in place. Numbers are little-endian.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LayerView<'a> {
    pub(super) nodes: &'a [u32],
    pub(super) offsets: &'a [u32],
    pub(super) links: &'a [u32],
}

impl<'a> LayerView<'a> {
    /// The neighbours of the node at a place; none where there is no such place.
    #[inline]
    pub(super) fn links_at(&self, place: usize) -> &'a [u32] {
        let end = |place: usize| self.offsets.get(place).map(|offset| u32::from_le(*offset) as usize);
        let range = end(place).zip(end(place + 1));
        range.and_then(|(start, end)| self.links.get(start..end)).unwrap_or(&[])
    }

    /// The neighbours of a row on an upper layer; none where the row isn't on it.
    pub(super) fn links_of(&self, row: u32) -> &'a [u32] {
        let place = self.nodes.binary_search_by_key(&row, |node| u32::from_le(*node));
        place.map_or(&[], |place| self.links_at(place))
    }
}

impl<'a> Graph<'a> {
    /// Checks the bytes from end to end, their checksum and every number in them: time in proportion to their length.
    ///
    /// # Errors
    /// [`GraphError`] tells what is wrong; there is no damage that gives a panic.
    pub fn open(bytes: &'a [u8]) -> Result<Self, GraphError> {
        let graph = Self::parse(bytes)?;
        if checksum(bytes).as_bytes()[..] != bytes[CHECKSUM_AT..CHECKSUM_AT + CHECKSUM_BYTES] {
            return Err(GraphError::Checksum);
        }
        graph.check()?;
        Ok(graph)
    }

    /// Finds the parts of bytes that [`Graph::open`] has accepted before, in no time. Bytes that it would refuse give an
    /// error or a graph that finds the wrong rows, still without a panic.
    ///
    /// # Errors
    /// [`GraphError`] where header and sizes are wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GraphError> {
        let found = bytes.len() as u64;
        if bytes.len() < HEADER_BYTES {
            return Err(GraphError::Length { expected: HEADER_BYTES as u64, found });
        }
        if bytes[..8] != MAGIC {
            return Err(GraphError::Format);
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let version = number(8);
        if version != VERSION {
            return Err(GraphError::Version { found: version });
        }
        let (n_rows, n_layers, entry) = (number(12) as usize, number(16) as usize, number(20));
        let expected = u64::from(number(24)) | u64::from(number(28)) << 32;
        if expected != found {
            return Err(GraphError::Length { expected, found });
        }
        if !(1..=MAX_LAYERS).contains(&n_layers) {
            return Err(GraphError::Range { layer: 0, what: "the number of layers" });
        }
        let mut parts = Parts { rest: &bytes[HEADER_BYTES..] };
        let cut = |layer: usize| move || GraphError::Range { layer, what: "a size" };
        let directory = parts.take(2 * n_layers)?.ok_or_else(cut(0))?;
        let mut layers = [LayerView::default(); MAX_LAYERS];
        for (level, sizes) in directory.chunks_exact(2).enumerate() {
            let (n_nodes, n_links) = (u32::from_le(sizes[0]) as usize, u32::from_le(sizes[1]) as usize);
            let nodes = if level == 0 { &[] } else { parts.take(n_nodes)?.ok_or_else(cut(level))? };
            let offsets = parts.take(n_nodes.saturating_add(1))?.ok_or_else(cut(level))?;
            let links = parts.take(n_links)?.ok_or_else(cut(level))?;
            layers[level] = LayerView { nodes, offsets, links };
        }
        if !parts.rest.is_empty() || layers[0].offsets.len() != n_rows + 1 {
            return Err(GraphError::Range { layer: 0, what: "the number of rows" });
        }
        if entry as usize >= n_rows && entry != NO_ENTRY {
            return Err(GraphError::Range { layer: n_layers - 1, what: "the entry point" });
        }
        Ok(Self { n_rows, entry, n_layers, layers })
    }

    /// Checks entry point, offsets, nodes and links.
    fn check(&self) -> Result<(), GraphError> {
        let is_row = |row: &u32| (u32::from_le(*row) as usize) < self.n_rows;
        for (layer, view) in self.layers[..self.n_layers].iter().enumerate() {
            let check =
                |is_right: bool, what| if is_right { Ok(()) } else { Err(GraphError::Range { layer, what }) };
            let ends =
                (view.offsets.first().copied(), view.offsets.last().map(|end| u32::from_le(*end) as usize));
            check(ends == (Some(0), Some(view.links.len())), "an offset")?;
            check(view.offsets.is_sorted_by_key(|offset| u32::from_le(*offset)), "an offset")?;
            check(view.links.iter().all(is_row), "a link")?;
            check(view.nodes.iter().all(is_row), "a node")?;
            check(view.nodes.is_sorted_by(|a, b| u32::from_le(*a) < u32::from_le(*b)), "a node")?;
        }
        let top = self.n_layers - 1;
        let is_on_top = match top {
            0 => true,
            _ => self.layers[top].nodes.binary_search_by_key(&self.entry, |node| u32::from_le(*node)).is_ok(),
        };
        if is_on_top { Ok(()) } else { Err(GraphError::Range { layer: top, what: "the entry point" }) }
    }

    /// Rows that the graph was built over, those without a vector included.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }
}

/// The parts of a graph's bytes, one after the other.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The next numbers; `None` where fewer are left.
    fn take(&mut self, n: usize) -> Result<Option<&'a [u32]>, GraphError> {
        let Some(n_bytes) = n.checked_mul(4) else { return Ok(None) };
        let padded = n_bytes.next_multiple_of(ALIGNMENT);
        let Some((part, rest)) = self.rest.split_at_checked(padded) else { return Ok(None) };
        self.rest = rest;
        bytemuck::try_cast_slice(&part[..n_bytes]).map(Some).map_err(|_| GraphError::Alignment)
    }
}
