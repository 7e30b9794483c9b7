//! Which instructions the kernels may use.

/// An instruction set that the processor was seen to have; the only way to get one is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embed) struct Isa {
    kind: Kind,
    /// Linear layers in fixed point, everything else in f32.
    fixed: bool,
}

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

    /// All kernels that run on this processor and were seen to give what they should, best last.
    pub(in crate::embed) fn available() -> Vec<Self> {
        #[cfg_attr(
            not(target_arch = "x86_64"),
            expect(unused_mut, reason = "only x86-64 has further kernels")
        )]
        let mut found = vec![Self { kind: Kind::Portable, fixed: false }];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            found.extend([false, true].map(|fixed| Self { kind: Kind::Avx2, fixed }));
            if is_x86_feature_detected!("avx512f") {
                found.push(Self { kind: Kind::Avx512, fixed: false });
                if is_x86_feature_detected!("avx512vnni") {
                    found.push(Self { kind: Kind::Avx512, fixed: true });
                }
            }
        }
        #[cfg(target_arch = "x86_64")]
        found.retain(|isa| !isa.fixed || super::fixed::agree(*isa));
        found
    }

    /// The name, for reports: `portable`, `avx2`, `avx512`, and the last two with `+i16` where linear layers are in fixed point.
    pub(in crate::embed) fn name(self) -> &'static str {
        match (self.kind, self.fixed) {
            (Kind::Portable, _) => "portable",
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, false) => "avx2",
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, true) => "avx2+i16",
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, false) => "avx512",
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, true) => "avx512+i16",
        }
    }

    /// Whether linear layers are computed in fixed point.
    pub(super) fn fixed(self) -> bool {
        self.fixed
    }

    /// Columns of one packed panel, floats.
    pub(in crate::embed) fn panel_width(self) -> usize {
        match self.kind {
            Kind::Portable => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 32,
        }
    }

    /// Which kernels to call.
    pub(super) fn kind(self) -> Kind {
        self.kind
    }
}
