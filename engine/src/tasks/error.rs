use thiserror::Error;

/// Why a task did not go on.
#[derive(Debug, Error)]
pub enum TaskError {
    /// The task stands elsewhere by now. Look at it again.
    #[error("task `{task}` is {state}: expected {expected}")]
    WrongState {
        /// Which.
        task: String,
        /// Where it stands.
        state: &'static str,
        /// Where it would have to stand.
        expected: &'static str,
    },
    /// Nobody reviews their own work. Somebody else with `approve`, or the task's creator, has to.
    #[error("task `{task}` is your own work: somebody else has to review it")]
    OwnWork {
        /// Which.
        task: String,
    },
    /// Others change the task all the time. Look at it again.
    #[error("task `{task}` changes faster than it can be acted on; try again")]
    Busy {
        /// Which.
        task: String,
    },
}
