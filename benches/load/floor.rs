//! The bare floor: a minimal program that sends and receives the same packets on as many sockets, with nothing
//! else. It runs as a process of its own, on the server's core.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::audio::{Ear, Heard, PACKET, header};
use super::process::Target;

/// Starts a floor of `count` sockets, speaks to it and listens.
pub(crate) fn measure(count: u32, time: Duration) -> Heard {
    let ear = Ear::new();
    let program = std::env::current_exe().expect("this program's own file");
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    let mut child = command
        .args(["--floor", &count.to_string(), &ear.address().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the floor starts");
    let mut line = String::new();
    let _ = BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line);
    let ports = line.split_whitespace().filter_map(|port| port.parse().ok());
    let there: Vec<SocketAddr> = ports.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port))).collect();
    let target = Target::running(ear.address(), child.id());
    let heard = ear.listen(&there, time, || target.cpu());
    let _ = child.kill();
    let _ = child.wait();
    heard
}

/// The floor itself: says its ports, then sends and reads until it is ended.
pub(crate) fn serve(count: usize, to: SocketAddr) {
    let sockets: Vec<UdpSocket> = (0..count).map(|_| socket(to)).collect();
    let ports: Vec<String> =
        sockets.iter().filter_map(|socket| Some(socket.local_addr().ok()?.port().to_string())).collect();
    println!("{}", ports.join(" "));
    let _ = std::io::stdout().flush();
    let begin = Instant::now();
    let mut buffer = [0; 2048];
    for slot in 0_u32.. {
        let due = begin + Duration::from_millis(u64::from(slot));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let round = slot / 20;
        for (call, socket) in sockets.iter().enumerate().skip(slot as usize % 20).step_by(20) {
            let mut packet = header(0, round as u16, round * 160, call);
            packet.resize(PACKET, 0xff);
            let _ = socket.send(&packet);
            let _ = socket.recv(&mut buffer);
        }
    }
}

fn socket(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP port of loopback");
    socket.connect(to).expect("loopback can be reached");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    socket
}
