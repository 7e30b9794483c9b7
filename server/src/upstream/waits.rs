use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait before a server is tried again: longer each time, and never for two of them alike.
#[derive(Debug)]
pub struct Waits {
    next: Duration,
}

impl Waits {
    /// From the beginning.
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next wait; `random` is any number, of which the wait is made up to a fifth longer or shorter.
    pub fn next(&mut self, random: u32) -> Duration {
        let factor = 0.8 + 0.4 * (f64::from(random) / f64::from(u32::MAX));
        let wait = self.next.mul_f64(factor);
        self.next = (self.next * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_never_far_from_it() {
        let mut waits = Waits::new();
        assert_eq!(waits.next(0), Duration::from_millis(200));
        assert_eq!(waits.next(u32::MAX), Duration::from_millis(600));
        let last = (0..20).map(|_| waits.next(u32::MAX)).last().unwrap();
        assert_eq!(last, Duration::from_secs(72));
    }
}
