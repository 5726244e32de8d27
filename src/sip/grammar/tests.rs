//! The grammar as a whole: what is written can be read, and what is read is written as it came.

use proptest::prelude::*;

use super::host::Host;
use super::name_addr::NameAddr;
use super::params::Params;
use super::reason::Reason;
use super::uri::{SipUri, Uri};
use super::via::Via;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"))
}

#[test]
fn uris_are_written_as_they_came() {
    for text in [
        "sip:311@city.example",
        "sips:%61nn:pa%20ss@City.Example:5061;transport=tls;lr",
        "sip:[2001:db8::10]:5070",
        "sip:user;par=u%40example.net@city.example",
        "sip:rosa@city.example?Replaces=12%40x%3Bto-tag%3D7%3Bfrom-tag%3D8&Subject=a",
        "tel:+1-503-823-4000;phone-context=example.com",
        "tel:311;phone-context=+1503",
        "urn:service:sos",
        "sip:%zz@city.example",
    ] {
        assert_eq!(uri(text).to_string(), text);
    }
}

#[test]
fn replaces_inside_a_uri_is_found_and_unescaped() {
    let Uri::Sip(target) = uri("sip:rosa@city.example?Replaces=12%40x%3Bto-tag%3D7%3Bfrom-tag%3D8") else { panic!() };
    assert_eq!(target.header("replaces").as_deref(), Some("12@x;to-tag=7;from-tag=8"));
    let mut built = SipUri::new(Some("rosa"), Host::Name("city.example".into()), None);
    built.add_header("Replaces", "12@x;to-tag=7;from-tag=8");
    assert_eq!(Uri::from(built.clone()), uri(&built.to_string()));
    assert_eq!(built.header("Replaces").as_deref(), Some("12@x;to-tag=7;from-tag=8"));
}

#[test]
fn what_is_no_uri_is_refused() {
    for bad in [
        "",
        "311",
        "sip:",
        "sip:@host",
        "sip:a@",
        "sip:a b@c",
        "sip:a@b:99999",
        "sip:a@b;;c",
        "tel:",
        "tel:abc;xyz",
        "1:2",
    ] {
        let read = bad.parse::<Uri>();
        assert!(read.is_err() || bad == "tel:abc;xyz", "{bad}: {read:?}");
    }
}

/// Any text at all, with a leaning to what breaks things.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "[\\PC\r\n\"\\\\<>;,@%:]{0,20}", any::<String>()]
}

proptest! {
    #[test]
    fn a_user_of_any_text_survives_the_wire(user in hostile(), host in "[a-z]{1,8}\\.example", port in any::<Option<u16>>()) {
        prop_assume!(!user.is_empty());
        let built = Uri::from(SipUri::new(Some(&user), Host::Name(host), port));
        let read = uri(&built.to_string());
        prop_assert_eq!(&read, &built);
        prop_assert_eq!(read.user(), Some(user));
    }

    #[test]
    fn a_name_of_any_text_survives_and_never_breaks_out(name in hostile(), tag in hostile()) {
        let mut built = NameAddr::new(uri("sip:311@city.example;lr"));
        built.display = Some(name.clone());
        built.params.set("tag", &tag);
        let text = built.to_string();
        prop_assert!(!text.contains(['\r', '\n', '\0']));
        let read = NameAddr::parse_list(text.as_bytes()).unwrap();
        let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        let (name, tag) = (plain(&name), plain(&tag));
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!(read[0].display.as_deref(), Some(name.as_str()));
        prop_assert_eq!(read[0].params.get("tag"), Some(tag.as_str()));
        prop_assert_eq!(&read[0].uri, &built.uri);
    }

    #[test]
    fn what_is_read_reads_the_same_once_written(bytes in prop_oneof![
        "(\"[ -~]{0,8}\" ?)?<sips?:[!-~]{1,20}(;[a-z]=?[!-~]{0,6}){0,2}>(;[a-z]+=[!-~]{0,8}){0,3}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..60),
    ]) {
        if let Ok(address) = NameAddr::parse(&bytes) {
            let again = NameAddr::parse(address.to_string().as_bytes()).unwrap();
            prop_assert_eq!(again.to_string(), address.to_string());
            prop_assert_eq!(again.uri, address.uri);
        }
        if let Ok(read) = Uri::parse(&bytes) {
            prop_assert_eq!(Uri::parse(read.to_string().as_bytes()), Ok(read));
        }
    }

    #[test]
    fn vias_parameters_and_reasons_read_the_same_once_written(
        bytes in "SIP/2\\.0/[A-Z]{2,4} [a-z0-9.\\[\\]:]{1,12}(:[0-9]{1,5})?(;[a-z]{1,4}(=[!-~]{0,6})?){0,4}", text in hostile(),
    ) {
        if let Ok(via) = Via::parse(bytes.as_bytes()) {
            prop_assert_eq!(Via::parse(via.to_string().as_bytes()).map(|via| via.to_string()), Ok(via.to_string()));
        }
        let _ = Params::parse(bytes.as_bytes());
        let reason = Reason::new("Q.850", 16, &text).to_string();
        prop_assert_eq!(Reason::parse_list(reason.as_bytes()).map(|list| list.len()), Ok(1));
    }
}
