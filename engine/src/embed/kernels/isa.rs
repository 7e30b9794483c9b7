//! Which instructions the kernels may use.

/// An instruction set that the processor was seen to have; the only way to get one is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embed) struct Isa(Kind);

/// The kinds of kernel, best last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Plain Rust, which the compiler vectorises for the target's baseline.
    Portable,
    /// AVX2 with FMA: 8 lanes, 16 registers.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F: 16 lanes, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best kernels for this processor.
    pub(in crate::embed) fn detect() -> Self {
        *Self::available().last().expect("the portable kernels are always available")
    }

    /// All kernels that run on this processor, best last.
    pub(in crate::embed) fn available() -> Vec<Self> {
        #[cfg_attr(
            not(target_arch = "x86_64"),
            expect(unused_mut, reason = "only x86-64 has further kernels")
        )]
        let mut found = vec![Self(Kind::Portable)];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            found.push(Self(Kind::Avx2));
            if is_x86_feature_detected!("avx512f") {
                found.push(Self(Kind::Avx512));
            }
        }
        found
    }

    /// The name, for reports: `portable`, `avx2` or `avx512`.
    pub(in crate::embed) fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }

    /// Columns of one packed panel, floats.
    pub(in crate::embed) fn panel_width(self) -> usize {
        match self.0 {
            Kind::Portable => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 32,
        }
    }

    /// Which kernels to call.
    pub(super) fn kind(self) -> Kind {
        self.0
    }
}
