//! Makes as many kinds of events as a test may.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use anyhow::Result;
use system_tests::{World, run};

use crate::instance::Instance;

/// Everything once.
pub(crate) fn everything(w: &World, instance: &Instance) -> Result<()> {
    instance.mark("the load begins")?;
    files(w)?;
    sockets()?;
    threads();
    commands(w)?;
    Ok(())
}

/// A little of something.
pub(crate) fn light(w: &World) -> Result<()> {
    let path = w.path("light");
    fs::write(&path, "x")?;
    fs::remove_file(&path)?;
    threads();
    run(&mut Command::new("true"))?.ok()?;
    Ok(())
}

/// So many system calls.
pub(crate) fn storm(calls: u32) {
    for _ in 0..calls {
        let _ = rustix::process::getppid();
    }
}

/// A file on disk, and files in memory.
fn files(w: &World) -> Result<()> {
    let on_disk = std::env::current_exe()?.with_extension("kernel-text");
    for path in [on_disk, w.path("file")] {
        let mut file = File::create(&path)?;
        file.write_all(&[7; 100_000])?;
        file.sync_all()?;
        file.set_len(5000)?;
        let renamed = path.with_extension("renamed");
        fs::rename(&path, &renamed)?;
        let mut all = Vec::new();
        File::open(&renamed)?.read_to_end(&mut all)?;
        let hard = path.with_extension("link");
        let _ = fs::remove_file(&hard);
        fs::hard_link(&renamed, &hard)?;
        fs::remove_file(&hard)?;
        fs::remove_file(&renamed)?;
        let dir = path.with_extension("dir");
        fs::create_dir(&dir)?;
        fs::read_dir(&dir)?.count();
        fs::remove_dir(&dir)?;
    }
    Ok(())
}

/// TCP, UDP and Unix sockets, and a port where nobody listens.
fn sockets() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(&[1; 70_000])?;
    server.read_exact(&mut [0; 70_000])?;
    drop((client, server, listener));
    let _ = TcpStream::connect("127.0.0.1:1");
    let (one, two) = (
        UdpSocket::bind("127.0.0.1:0")?,
        UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0"))?,
    );
    one.send_to(&[2; 500], one.local_addr()?)?;
    one.recv(&mut [0; 500])?;
    let _ = two.send_to(&[2; 500], two.local_addr()?);
    let (mut one, mut two) = UnixStream::pair()?;
    one.write_all(b"x")?;
    two.read_exact(&mut [0])?;
    Ok(())
}

/// Threads that wait for each other.
fn threads() {
    let (send, receive) = mpsc::channel();
    let sender = thread::spawn(move || {
        for number in 0..100 {
            let _ = send.send(number);
            thread::yield_now();
        }
    });
    while receive.recv().is_ok() {}
    let _ = sender.join();
    thread::sleep(std::time::Duration::from_millis(3));
}

/// Programs: processes, signals, timers, mounts, network devices, whatever is installed.
fn commands(w: &World) -> Result<()> {
    let script = r#"
        true | cat
        sh -c 'kill -USR1 $$' 2>/dev/null
        sh -c 'trap "exit 0" TERM; kill -TERM $$; sleep 1'
        sleep 0.01 & wait
        timeout 0.02 sleep 5
        nice -n 5 true
        taskset -c 0 true; taskset -c 1 true; chrt -o 0 true; chrt -f 1 true
        mkdir -p m && mount -t tmpfs none m && echo x > m/x && mv m/x m/y && umount m
        dd if=/dev/zero of=big bs=1M count=8 2>/dev/null; rm big
        dd if=/dev/urandom of=/dev/null bs=4k count=3 2>/dev/null
        ip link add dummy9 type dummy; ip link set dummy9 up; ip addr add 10.9.9.1/24 dev dummy9
        ip route get 10.9.9.7; ip link del dummy9
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
        ip addr add 10.8.8.1/24 dev v0; ip link del v0
        flock lock true; ln -s a b; readlink b; rm -f b lock
        mkfifo p; (echo x > p &) ; cat p; rm p
        ls -l /proc/self/fd /sys/class/net >/dev/null; ps >/dev/null; df >/dev/null; sync -f .
        /usr/bin/python3 - <<'END'
import ctypes, mmap, os, select, signal, resource, tempfile, threading
m = mmap.mmap(-1, 1 << 22); m[:] = b'x' * (1 << 22)
m.madvise(mmap.MADV_DONTNEED); m.close()
r, w = os.pipe(); p = select.epoll(); p.register(r, select.EPOLLIN); os.write(w, b'x'); p.poll(1)
signal.setitimer(signal.ITIMER_REAL, 0.001); signal.signal(signal.SIGALRM, lambda *a: None)
signal.pause()
select.select([], [], [], 0.001)
pid = os.fork()
if pid == 0: os._exit(3)
os.waitpid(pid, 0)
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 1024))
os.sched_yield(); os.getppid(); os.setpriority(os.PRIO_PROCESS, 0, 3)
os.memfd_create('m'); os.eventfd(1); os.sched_setaffinity(0, {0})
END
        exit 0
    "#;
    run(Command::new("sh")
        .args(["-c", script])
        .current_dir(w.path("home")))?
    .ok()?;
    Ok(())
}
