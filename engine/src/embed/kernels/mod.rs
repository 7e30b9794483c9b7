//! The numeric floor of the encoder: dense products, softmax, GELU, layer norm, f32 in and out.
//!
//! Takes row-major slices, gives row-major slices. Three nouns: [`Isa`], the instruction set chosen once when a
//! model is opened, [`Linear`], a weight matrix packed for it, and [`Norm`]. Knows nothing of tokens, layers or files, starts
//! no threads, and allocates only when weights are packed.
//!
//! Why not a general product: the weights are constant, so they are packed once in the order in which the inner
//! loop reads them, and a bias or an activation is applied while a tile is still in the first cache.

#[cfg(target_arch = "x86_64")]
mod fixed;
#[cfg(target_arch = "x86_64")]
mod fixed_tile;
mod isa;
mod linear;
mod math;
mod peak;
mod tile;

pub(super) use isa::Isa;
pub(super) use linear::{Activation, Linear, LinearScratch, Panels, Window, panel_product};
pub(super) use math::{Norm, add_layer_norm, layer_norm, softmax_rows};
pub use peak::peak_gflops;
