//! The program `lockgate` as an operator starts it: in a folder of its own, with nothing in its
//! environment but what a test puts there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{self, Pid, Rlimit, Signal, kill_process, prlimit};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long a wait in a test may take before it gives up.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);
/// What the program prints before its address.
const GREETING: &str = "Lockgate listens on ";

/// A folder that is deleted with its owner.
#[derive(Debug)]
pub struct Folder(PathBuf);

/// What the program is started with.
#[derive(Debug)]
pub struct Setup {
    binary: PathBuf,
    folder: Folder,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

/// A running server. It is killed when it is dropped.
#[derive(Debug)]
pub struct Lockgate {
    child: Child,
    url: String,
    out: Lines,
    log: Lines,
    folder: Folder,
}

/// What a process may use up.
#[derive(Clone, Copy, Debug)]
pub enum Resource {
    /// Descriptors: each at or above this number is refused.
    Descriptors,
    /// Disk space: no file is written beyond this many bytes. The program has to be started by
    /// [`Setup::surviving_full_disks`].
    FileSize,
}

/// What a process has written so far.
type Lines = watch::Receiver<String>;

impl Folder {
    /// A new one.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[expect(clippy::new_without_default, reason = "it makes something outside of itself")]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lockgate-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // One of an earlier process with the same number may have been left behind.
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts a file into it.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a file can be written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Setup {
    /// The program at this path, without a configuration.
    pub fn new(binary: &str) -> Self {
        let folder = Folder::new();
        Self { binary: binary.into(), folder, arguments: vec![], variables: vec![] }
    }

    /// Puts `config.yaml` where the program finds it by itself.
    #[must_use]
    pub fn config(self, yaml: &str) -> Self {
        self.file("config.yaml", yaml)
    }

    /// Puts a file where the program is started.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        self.folder.write(name, text);
        self
    }

    /// Adds what the operator types.
    #[must_use]
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments.extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// The folder that the program is started in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Takes away what the operator typed.
    #[must_use]
    pub fn without_arguments(mut self) -> Self {
        self.arguments.clear();
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the program see an error, as of a full disk, where a limit of its files would end it.
    #[must_use]
    pub fn surviving_full_disks(mut self) -> Self {
        let shell = "trap '' XFSZ; exec \"$0\" \"$@\"".to_owned();
        let binary = std::mem::replace(&mut self.binary, "/bin/sh".into());
        let binary = binary.to_string_lossy().into_owned();
        self.arguments.splice(0..0, ["-c".to_owned(), shell, binary]);
        self
    }

    /// Serves on a free port.
    ///
    /// # Panics
    ///
    /// When the program does not come to serve; the panic shows its log.
    pub async fn start(self) -> Lockgate {
        self.arguments(["--listen", "127.0.0.1:0"]).start_as_it_is().await
    }

    /// Serves on the configured port.
    ///
    /// # Panics
    ///
    /// As [`Setup::start`].
    pub async fn start_as_it_is(self) -> Lockgate {
        let mut child = self.command().kill_on_drop(true).spawn().expect("the program starts");
        let out = follow(child.stdout.take().expect("it has a pipe"));
        let log = follow(child.stderr.take().expect("it has a pipe"));
        let greeting = when(&out, GREETING).await;
        let Some((_, url)) = greeting.as_deref().and_then(|it| it.split_once(GREETING)) else {
            panic!("it does not serve:\n{}", *log.borrow());
        };
        let url = url.lines().next().unwrap_or_default().to_owned();
        Lockgate { child, url, out, log, folder: self.folder }
    }

    /// Lets a command run to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or does not end in time.
    pub async fn run(&self) -> Output {
        let output = self.command().kill_on_drop(true).output();
        let output = tokio::time::timeout(WAIT_TIMEOUT, output).await;
        output.expect("it ends").expect("it starts")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).current_dir(self.folder.path());
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Lockgate {
    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process that serves.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the program runs")
    }

    /// The folder it was started in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until it has printed this, and gives everything printed so far.
    ///
    /// # Panics
    ///
    /// When it does not in twenty seconds.
    pub async fn printed(&self, text: &str) -> String {
        let printed = when(&self.out, text).await;
        printed.unwrap_or_else(|| panic!("nobody printed {text:?}"))
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until it has logged this, and gives the whole log.
    ///
    /// # Panics
    ///
    /// When it does not in twenty seconds.
    pub async fn logged(&self, text: &str) -> String {
        let log = when(&self.log, text).await;
        log.unwrap_or_else(|| panic!("nobody logged {text:?}:\n{}", self.log()))
    }

    /// The number of its process; none once it has ended.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Limits what its process may use from now on, or lifts the limit.
    ///
    /// # Panics
    ///
    /// When the process has ended, or is not ours.
    pub fn limit(&self, resource: Resource, most: Option<u64>) {
        let resource = match resource {
            Resource::Descriptors => process::Resource::Nofile,
            Resource::FileSize => process::Resource::Fsize,
        };
        // A child has our own hard limits.
        let maximum = process::getrlimit(resource).maximum;
        let pid = Pid::from_raw(self.pid().cast_signed());
        let limit = Rlimit { current: most.or(maximum), maximum };
        prlimit(pid, resource, limit).expect("the process is ours");
    }

    /// A number of the kernel about its process's memory, such as `VmHWM`, in KiB.
    ///
    /// # Panics
    ///
    /// When the process has ended.
    pub fn memory_kib(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|it| it.strip_prefix(what)).expect("it is told");
        let number = line.trim_start_matches(':').trim().trim_end_matches(" kB");
        number.parse().expect("it is a number")
    }

    /// How many descriptors its process has.
    ///
    /// # Panics
    ///
    /// When the process has ended.
    pub fn descriptors(&self) -> usize {
        let all = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        all.expect("the process runs").count()
    }

    /// The names of its threads.
    ///
    /// # Panics
    ///
    /// When the process has ended.
    pub fn threads(&self) -> Vec<String> {
        let all = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the process runs");
        // A thread may end before its name is read.
        let names = all.flatten().map(|it| fs::read_to_string(it.path().join("comm")));
        names.flatten().map(|it| it.trim_end().to_owned()).collect()
    }

    /// Kills it, as when its machine fails.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub async fn killed(mut self) {
        self.child.kill().await.expect("the program runs");
    }

    /// Asks it to stop.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Tells it to read its configuration again, as who manages services does (SIGHUP).
    pub fn hang_up(&self) -> io::Result<()> {
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.child.id().and_then(|it| Pid::from_raw(it.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("it has ended already"))?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end, and gives the folder with what it left behind.
    ///
    /// # Panics
    ///
    /// As [`Lockgate::ended`].
    pub async fn left_behind(mut self) -> Folder {
        wait(&mut self.child).await;
        self.folder
    }

    /// Waits for its end, and gives its whole log too.
    ///
    /// # Panics
    ///
    /// When it does not end in twenty seconds.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child).await;
        // The pipe closes with the process, and then all of it was read.
        while self.log.changed().await.is_ok() {}
        (status, self.log())
    }
}

async fn wait(child: &mut Child) -> ExitStatus {
    let status = tokio::time::timeout(WAIT_TIMEOUT, child.wait()).await;
    status.expect("it ends").expect("it was started")
}

/// Collects lines as they are written.
fn follow(pipe: impl AsyncRead + Unpin + Send + 'static) -> Lines {
    let (sender, receiver) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|text| {
                text.push_str(&line);
                text.push('\n');
            });
        }
    });
    receiver
}

/// What was written once this is part of it; nothing when that does not happen.
async fn when(lines: &Lines, text: &str) -> Option<String> {
    let mut lines = lines.clone();
    let seen = tokio::time::timeout(WAIT_TIMEOUT, lines.wait_for(|it| it.contains(text))).await;
    seen.ok()?.ok().map(|it| it.clone())
}
