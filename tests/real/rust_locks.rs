// Locks of Rust's std that a thread holds while its process forks: rust_locks mutex|rwlock|once
use std::sync::mpsc::{channel, Sender};
use std::sync::{Mutex, Once, RwLock};
use std::{env, thread};

extern "C" {
    fn fork() -> i32;
    fn _exit(status: i32) -> !;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
}

static LOG: Mutex<Vec<u32>> = Mutex::new(Vec::new());
static TABLE: RwLock<u32> = RwLock::new(0);
static CACHE: Once = Once::new();

// Holds its lock until the child is gone.
fn write_report(kind: &str, held: Sender<()>) {
    let hold = || {
        held.send(()).unwrap();
        loop {
            thread::park();
        }
    };
    match kind {
        "mutex" => {
            let _log = LOG.lock().unwrap();
            hold();
        }
        "rwlock" => {
            let _table = TABLE.write().unwrap();
            hold();
        }
        _ => CACHE.call_once(hold),
    }
}

#[inline(never)]
fn in_child(kind: &str) {
    match kind {
        "mutex" => LOG.lock().unwrap().push(2),
        "rwlock" => drop(TABLE.read().unwrap()),
        _ => CACHE.call_once(|| {}),
    }
}

fn main() {
    let kind = env::args().nth(1).expect("mutex, rwlock or once");
    let (held, wait) = channel();
    let copy = kind.clone();
    let name = thread::Builder::new().name("reporter".into());
    name.spawn(move || write_report(&copy, held)).unwrap();
    wait.recv().unwrap();
    unsafe {
        let pid = fork();
        if pid == 0 {
            in_child(&kind);
            _exit(0);
        }
        let mut status = 0;
        waitpid(pid, &mut status, 0);
    }
    println!("done");
}
