//! [`Explorer`]: the ways in which a small simulation can go on, one after the other.
//!
//! Where more than one thing can happen next (a task that is ready, an operation in flight), a
//! world that is explored asks. The first of them is the default, so a run without departures is
//! that of a machine on which everything takes its turn. All runs with at most so many departures
//! are made: the bugs of two actors at once need one or two (delay-bounded scheduling: Emmi,
//! Qadeer and Rakamaric, POPL 2011).

use std::cell::RefCell;
use std::rc::Rc;

/// Runs that one exploration may have; more are a mistake in the script, which is too large.
const RUNS_MAX: u64 = 1_000_000;

/// All schedules of a script, within a number of departures.
pub struct Explorer {
    /// What was chosen in this run, of how many.
    path: Vec<(usize, usize)>,
    /// How much of the path this run has followed.
    at: usize,
    departures_max: usize,
    runs: u64,
}

impl Explorer {
    /// Before the first run.
    pub fn new(departures_max: usize) -> Rc<RefCell<Explorer>> {
        let explorer = Explorer { path: Vec::new(), at: 0, departures_max, runs: 0 };
        Rc::new(RefCell::new(explorer))
    }

    /// Readies the next run; false once all have been made.
    ///
    /// # Panics
    /// Beyond a million runs.
    pub fn next_run(&mut self) -> bool {
        assert!(self.at >= self.path.len(), "a run took another way with the same choices");
        self.at = 0;
        self.runs += 1;
        assert!(self.runs <= RUNS_MAX, "a script with more than {RUNS_MAX} schedules");
        if self.runs == 1 {
            return true;
        }
        while let Some((taken, of)) = self.path.pop() {
            let before = self.path.iter().filter(|(taken, _)| *taken > 0).count();
            if taken + 1 < of && before < self.departures_max {
                self.path.push((taken + 1, of));
                return true;
            }
        }
        false
    }

    /// Which of `count` things happens next.
    pub fn choose(&mut self, count: usize) -> usize {
        assert!(count > 0, "nothing to choose from");
        if count == 1 {
            return 0;
        }
        if self.at == self.path.len() {
            self.path.push((0, count));
        }
        let (taken, of) = self.path[self.at];
        assert_eq!(of, count, "a run took another way with the same choices");
        self.at += 1;
        taken
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The choices of this run, for the message of a failure.
    pub fn departures(&self) -> Vec<(usize, usize)> {
        let path = self.path.iter().enumerate();
        path.filter(|(_, (taken, _))| *taken > 0).map(|(at, (taken, _))| (at, *taken)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_runs(departures_max: usize, of: &[usize]) -> Vec<Vec<usize>> {
        let explorer = Explorer::new(departures_max);
        let mut runs = Vec::new();
        while explorer.borrow_mut().next_run() {
            runs.push(of.iter().map(|count| explorer.borrow_mut().choose(*count)).collect());
        }
        runs
    }

    #[test]
    fn every_schedule_within_the_departures_is_run_once() {
        assert_eq!(all_runs(0, &[3, 2]), [[0, 0]]);
        assert_eq!(all_runs(1, &[3, 2]), [[0, 0], [0, 1], [1, 0], [2, 0]]);
        assert_eq!(all_runs(2, &[3, 1, 2]).len(), 6);
        assert_eq!(all_runs(2, &[2; 10]).len(), 1 + 10 + 45);
    }
}
