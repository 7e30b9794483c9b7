//! Starts a program that the server's operator named, gives it an event, and ends it when its time is over.

use std::io::{PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::records::{Attempt, TIMED_OUT};

/// Of its output so much is kept, in bytes.
pub(super) const KEPT_BYTES: usize = 1024;
/// After its end its output is waited for so long: what it left running may hold the pipe.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);

/// Runs `argv`, without a shell, with `input` on its standard input. Its environment holds nothing but `PATH` and what
/// says which event it is.
pub fn run(argv: &[String], input: &[u8], event_id: &str, timeout: Duration, now_ms: i64) -> Attempt {
    let begun = Instant::now();
    let mut attempt = Attempt { at_ms: now_ms, is_command: true, ..Attempt::default() };
    match start(argv, input, event_id) {
        Ok((child, output)) => wait(child, output, timeout, &mut attempt),
        Err(error) => attempt.error = Some(error.to_string()),
    }
    attempt.took_ms = begun.elapsed().as_millis() as u64;
    attempt
}

fn start(argv: &[String], input: &[u8], event_id: &str) -> std::io::Result<(Child, PipeReader)> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidInput, "the command is empty"))?;
    let (output, to_output) = std::io::pipe()?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("WAYPOST_EVENT_ID", event_id)
        .stdin(Stdio::piped())
        .stdout(to_output.try_clone()?)
        .stderr(to_output)
        // Of a group of its own, so that what it starts ends with it.
        .process_group(0)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        // A program that does not read must not keep us; one that ends early needs nothing more.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    Ok((child, output))
}

fn wait(mut child: Child, output: PipeReader, timeout: Duration, attempt: &mut Attempt) {
    let group = rustix::process::Pid::from_child(&child);
    let (tell_end, ended) = channel();
    let (tell_output, read) = channel();
    std::thread::spawn(move || drop(tell_end.send(child.wait())));
    std::thread::spawn(move || drop(tell_output.send(read_some(output))));
    match ended.recv_timeout(timeout) {
        Ok(Ok(status)) => match status.code() {
            Some(code) => attempt.status = Some(code),
            None => attempt.error = Some(status.to_string()),
        },
        Ok(Err(error)) => attempt.error = Some(error.to_string()),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            attempt.error = Some(TIMED_OUT.to_owned());
        }
    }
    // What it left running ends as well; there may be nothing any more.
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    attempt.answer = read.recv_timeout(OUTPUT_PATIENCE).unwrap_or_default();
}

/// The beginning of what is written, read to the end so that the writer is never held up.
fn read_some(mut output: PipeReader) -> String {
    let mut kept = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(n) = output.read(&mut piece) {
        if n == 0 {
            break;
        }
        let room = KEPT_BYTES - kept.len();
        kept.extend_from_slice(&piece[..n.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Attempt {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&argv, b"{\"event\":\"file.created\"}", "evt_1", timeout, 0)
    }

    #[test]
    fn the_event_comes_on_standard_input_and_the_output_is_kept() {
        let done = shell("cat; echo \" $WAYPOST_EVENT_ID $HOME\" >&2", Duration::from_secs(20));
        assert_eq!(done.answer, "{\"event\":\"file.created\"} evt_1 \n");
        assert!(done.is_success(), "{done:?}");
        assert_eq!(shell("exit 3", Duration::from_secs(20)).status, Some(3));
    }

    #[test]
    fn one_that_takes_too_long_ends_with_all_that_it_started() {
        let begun = Instant::now();
        let done = shell("echo begun; sleep 600 & sleep 600", Duration::from_millis(300));
        assert!(done.is_timeout() && !done.is_success(), "{done:?}");
        assert_eq!(done.answer, "begun\n", "the pipe was closed, so all of its group ended");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn output_without_end_and_a_missing_program_are_told() {
        let done = shell("yes | head -c 1000000", Duration::from_secs(20));
        assert_eq!(done.answer.len(), KEPT_BYTES);
        let missing = run(&["/no/such/program".to_owned()], b"", "evt_1", Duration::from_secs(1), 0);
        assert!(missing.error.is_some(), "{missing:?}");
    }
}
