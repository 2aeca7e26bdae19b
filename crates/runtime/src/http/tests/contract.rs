use std::net::SocketAddr;

use super::*;
use crate::tests::contract::{self, Behaviour, Subject};

/// A runtime whose functions are targets of one manner each.
struct Away(Arc<dyn Runtime>);

impl Subject for Away {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.0.clone()
    }

    fn function(&self, behaviour: Behaviour) -> Function {
        function(match behaviour {
            Behaviour::Answers => "answers",
            Behaviour::Fails => "fails",
            Behaviour::Hangs => "hangs",
            Behaviour::CannotStart => "cannot-start",
        })
    }

    fn knows_what_ran(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn http_keeps_the_contract() {
    let answer = |head: &str| Manner::Answer(format!("HTTP/1.1 {head}\r\n\r\n").into_bytes());
    let fakes = [
        (
            "answers",
            Target::new(answer("200 OK\r\ncontent-length: 9\r\n\r\nthe event")).await,
        ),
        ("fails", Target::new(answer("500 Oops")).await),
        (
            "hangs",
            Target::new(Manner::AnswerAndStay(Vec::new())).await,
        ),
    ];
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let addresses = fakes.iter().map(|(name, fake)| (*name, fake.address));
    let targets = addresses.chain([("cannot-start", nobody)]);
    let targets = targets.map(|(name, address)| {
        let name = FunctionName::new(name).unwrap();
        (name, target(&format!("http://{address}/")))
    });
    let runtime = HttpRuntime::new(targets.collect(), clock()).unwrap();
    contract::check(&Away(Arc::new(runtime))).await;
}
