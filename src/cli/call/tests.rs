//! Calls from the terminal to the demonstration desks.

use std::sync::Arc;

use clap::Parser;

use super::*;
use crate::line::simulated::{Desks, Settings as DeskSettings};
use crate::line::tests::{engine, likeness, noise, prompts};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Result<Args, clap::Error> {
    Line::try_parse_from(std::iter::once("call").chain(line.split_whitespace())).map(|line| line.args)
}

async fn desks(named: &[(&str, Vec<i16>)]) -> Desks {
    let (bank, index) = prompts(named);
    let settings = DeskSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        answer_after: Duration::from_millis(100),
        ..DeskSettings::default()
    };
    Desks::start(settings, engine(bank, 1), Arc::new(index), (Clock::system(), Dice::from_seed(2))).await.unwrap()
}

async fn call(line: &str) -> (bool, ear::Ear) {
    let errand = understand(&args(line).unwrap()).unwrap();
    visit::make(errand, Clock::system(), Dice::from_os(), &mut Teller::new(true)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_is_called_heard_and_hangs_up_by_every_transport_and_codec() {
    let speech = noise(5, 1_600);
    let said = [vec![0; 1_600], speech.clone(), vec![0; 1_600]].concat();
    let desks = desks(&[("desk.fire", said)]).await;
    let place = desks.address().unwrap();
    for options in ["--transport udp --codec pcmu", "--transport tcp --codec pcma"] {
        let (well, ear) = call(&format!("sip:hangup-fire@{place} --max-seconds 8 {options}")).await;
        assert!(well, "{options}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heard.wav");
        ear.write(&path).unwrap();
        let heard: Vec<i16> = hound::WavReader::open(&path).unwrap().samples().map(Result::unwrap).collect();
        assert!(likeness(&heard, &speech) > 0.95, "{options}");
        assert_eq!(ear.impression().gaps, 0, "{options}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_and_a_desk_that_never_answers_are_not_well() {
    let desks = desks(&[]).await;
    let place = desks.address().unwrap();
    assert!(!call(&format!("sip:busy-fire@{place} --max-seconds 8")).await.0);
    assert!(!call(&format!("sip:silent-fire@{place} --max-seconds 1")).await.0);
}

#[test]
fn what_is_written_is_understood_or_refused_with_a_remedy() {
    let errand = understand(&args("311@127.0.0.1 --keys 2,1 --codec g722 --key-after 0.5").unwrap()).unwrap();
    assert_eq!(errand.uri.to_string(), "sip:311@127.0.0.1");
    assert_eq!((errand.codecs, errand.key_after), (vec![Codec::G722], Some(Duration::from_millis(500))));
    assert!(args("sip:311@127.0.0.1 --keys 2,x").unwrap_err().to_string().contains("`x`"));
    assert!(args("sip:311@127.0.0.1 --max-seconds 0").is_err());
    let refused = understand(&args("sip:").unwrap()).unwrap_err();
    assert!(format!("{refused:?}").contains("sip:311@127.0.0.1"), "{refused:?}");
    assert!(understand(&args("sip:311@127.0.0.1 --speak absent.wav").unwrap()).is_err());
}
