//! Decides when the valve of a flat closes (ADR-0012): two of three signals have to agree within
//! one window. Nothing in this file waits for the network.

/// Length of the window in which two signals must agree. 2.7.0 had 30 s here, see INC-031.
pub const WINDOW_S: u32 = 90;
/// Acoustic level in the burst band, in dB, from which the pipe counts as hissing.
pub const ACOUSTIC_DB: f32 = 41.5;
/// Uninterrupted flow, in litres a minute, from which it counts as a burst.
pub const FLOW_L_MIN: f32 = 9.0;

/// One second of measurements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub acoustic_db: f32,
    pub flow_l_min: f32,
    pub drip_wet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Quiet,
    /// One signal alone: report it, touch nothing.
    Suspect,
    Close,
    /// A priority household: tell the landlord's emergency line, leave the water on.
    AlertOnly,
}

#[derive(Debug, Default)]
pub struct Detector {
    priority_household: bool,
    last_acoustic: Option<u32>,
    last_drip: Option<u32>,
    /// Second since which the flow has been above the threshold without a pause.
    flow_since: Option<u32>,
    now: u32,
}

impl Detector {
    /// Seconds of steady flow before flow counts as a signal; filling a kettle is shorter.
    const FLOW_STEADY_S: u32 = 25;

    pub fn new(priority_household: bool) -> Self {
        Self { priority_household, ..Self::default() }
    }

    /// Takes the sample of the next second and says what to do.
    pub fn push(&mut self, sample: Sample) -> Verdict {
        self.now += 1;
        if sample.acoustic_db > ACOUSTIC_DB {
            self.last_acoustic = Some(self.now);
        }
        if sample.drip_wet {
            self.last_drip = Some(self.now);
        }
        if sample.flow_l_min > FLOW_L_MIN {
            self.flow_since.get_or_insert(self.now);
        } else {
            self.flow_since = None;
        }
        let agreeing = [self.recent(self.last_acoustic), self.recent(self.last_drip), self.flow_is_steady()]
            .into_iter()
            .filter(|signal| *signal)
            .count();
        match agreeing {
            0 => Verdict::Quiet,
            1 => Verdict::Suspect,
            _ if self.priority_household => Verdict::AlertOnly,
            _ => Verdict::Close,
        }
    }

    fn recent(&self, at: Option<u32>) -> bool {
        at.is_some_and(|second| self.now - second < WINDOW_S)
    }

    fn flow_is_steady(&self) -> bool {
        self.flow_since.is_some_and(|second| self.now - second >= Self::FLOW_STEADY_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(detector: &mut Detector, sample: Sample, seconds: u32) -> Verdict {
        (0..seconds).map(|_| detector.push(sample)).last().unwrap_or(Verdict::Quiet)
    }

    #[test]
    fn hiss_alone_never_closes() {
        // The night of Cabot Court: 70 s of hiss, hardly any flow.
        let mut detector = Detector::new(false);
        let hiss = Sample { acoustic_db: 47.0, flow_l_min: 0.8, drip_wet: false };
        assert_eq!(run(&mut detector, hiss, 70), Verdict::Suspect);
    }

    #[test]
    fn hiss_and_steady_flow_close() {
        let mut detector = Detector::new(false);
        let burst = Sample { acoustic_db: 52.0, flow_l_min: 17.5, drip_wet: false };
        assert_eq!(run(&mut detector, burst, 26), Verdict::Close);
    }

    #[test]
    fn priority_household_keeps_its_water() {
        let mut detector = Detector::new(true);
        let burst = Sample { acoustic_db: 52.0, flow_l_min: 17.5, drip_wet: true };
        assert_eq!(run(&mut detector, burst, 40), Verdict::AlertOnly);
    }
}
