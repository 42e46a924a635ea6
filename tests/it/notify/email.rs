//! Letters.

use std::time::{Duration, Instant};

use nightcall::notify::Notifier;
use nightcall::notify::email::{Email, EmailSettings, Login, Tls};
use nightcall::notify::setup::SetupError;

use super::{
    ENDED, SHORT, TELLING, given_up, golden, herd, huge, missing, one, retried, secret, told,
};
use crate::network::certificates::{Authority, Kind};
use crate::support::mail_server::{Act, Lock, MailServer, say};

fn settings(server: &MailServer) -> EmailSettings {
    let to = vec![
        "Geo <geo@example.com>".to_owned(),
        "ops@example.org".to_owned(),
    ];
    EmailSettings {
        port: Some(server.port),
        tls: Tls::None,
        ..EmailSettings::new("127.0.0.1", "nightcall <nightcall@example.com>", to)
    }
}

fn login() -> Option<Login> {
    Some(Login {
        username: "ops".into(),
        password: secret(&format!("pass-{TELLING}")),
    })
}

fn email(server: &MailServer) -> Email {
    Email::new(settings(server)).unwrap()
}

/// A server that answers so at this command, whoever comes.
async fn moody(at: &'static str, line: &'static str) -> MailServer {
    acting(at, Act::Say(line.to_owned())).await
}

async fn acting(at: &'static str, act: Act) -> MailServer {
    let at_once = at.is_empty();
    MailServer::new(Lock::Open, move |command| {
        (command.starts_with(at) && command.is_empty() == at_once).then(|| act.clone())
    })
    .await
}

#[tokio::test]
async fn what_arrives() {
    let server = MailServer::open().await;
    told(&email(&server), &one()).await.unwrap();
    let letter = server.letters().remove(0);
    assert_eq!(letter.from, "nightcall@example.com");
    assert_eq!(letter.to, ["geo@example.com", "ops@example.org"]);
    golden("email", &letter.text.replace("\r\n", "\n"));
}

#[tokio::test]
async fn a_letter_sent_again_is_the_same_letter() {
    let server = MailServer::open().await;
    let email = email(&server);
    for _ in 0..2 {
        told(&email, &one()).await.unwrap();
    }
    let letters = server.letters();
    assert_eq!(letters[0].text, letters[1].text);
    let line = |name: &str, text: &str| {
        let found = text
            .lines()
            .find(|line| line.starts_with(name))
            .map(str::to_owned);
        found.unwrap()
    };
    let mut other = one();
    other.id.push('x');
    told(&email, &other).await.unwrap();
    let other = server.letters().remove(2).text;
    assert_ne!(
        line("Message-ID: ", &other),
        line("Message-ID: ", &letters[0].text)
    );
    for thread in ["References: ", "In-Reply-To: "] {
        assert_eq!(line(thread, &other), line(thread, &letters[0].text));
    }
}

#[tokio::test]
async fn it_is_encrypted_and_logged_in() {
    let authority = Authority::new();
    for (tls, lock) in [
        (Tls::StartTls, Lock::StartTls as fn(_) -> _),
        (Tls::Implicit, Lock::Implicit),
    ] {
        let server = MailServer::new(lock(authority.acceptor(Kind::Good, &[])), |_| None).await;
        let settings = EmailSettings {
            tls,
            login: login(),
            ca_file: Some(authority.file()),
            ..settings(&server)
        };
        told(&Email::new(settings).unwrap(), &one()).await.unwrap();
        let letter = server.letters().remove(0);
        assert!(letter.encrypted, "{tls:?}");
        assert!(letter.login.unwrap().starts_with("AUTH PLAIN "), "{tls:?}");
    }
}

#[tokio::test]
async fn nobody_is_believed_without_a_good_certificate() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (kind, trusted) in [
        (Kind::Good, false),
        (Kind::Expired, true),
        (Kind::Foreign, true),
        (Kind::SelfSigned, true),
    ] {
        for (tls, lock) in [
            (Tls::StartTls, Lock::StartTls as fn(_) -> _),
            (Tls::Implicit, Lock::Implicit),
        ] {
            let server = MailServer::new(lock(authority.acceptor(kind, &[])), |_| None).await;
            let settings = EmailSettings {
                tls,
                login: login(),
                ca_file: Some(if trusted {
                    authority.file()
                } else {
                    stranger.file()
                }),
                ..settings(&server)
            };
            let (why, _) = retried(told(&Email::new(settings).unwrap(), &one()).await);
            assert!(
                why.starts_with("no connection: invalid peer certificate"),
                "{why}"
            );
            assert!(
                !server.commands().iter().any(|c| c.starts_with("AUTH")),
                "{kind:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_without_encryption_hears_no_letter() {
    let authority = Authority::new();
    let server = MailServer::open().await;
    let wanted = || EmailSettings {
        tls: Tls::StartTls,
        login: login(),
        ca_file: Some(authority.file()),
        ..settings(&server)
    };
    let (why, _) = retried(told(&Email::new(wanted()).unwrap(), &one()).await);
    assert_eq!(why, "no connection: the server does not offer STARTTLS");
    assert_eq!(server.commands(), ["EHLO [127.0.0.1]"]);
    // Said before encryption, to be heard after it.
    let lock = Lock::StartTls(authority.acceptor(Kind::Good, &[]));
    let server = MailServer::new(lock, |command| match command {
        "STARTTLS" => say("220 go on\r\n250 AUTH PLAIN"),
        _ => None,
    })
    .await;
    let settings = EmailSettings {
        port: Some(server.port),
        ..wanted()
    };
    let (why, _) = retried(told(&Email::new(settings).unwrap(), &one()).await);
    assert!(why.contains("went on talking before encryption"), "{why}");
}

#[tokio::test]
async fn a_refused_letter_is_given_up() {
    for (at, line, part) in [
        (
            "RCPT",
            "550 5.1.1 no such mailbox",
            "the recipient was refused: 550 5.1.1 no such mailbox",
        ),
        (
            "DATA",
            "554 no valid recipients",
            "the letter was refused: 554",
        ),
        (
            ".",
            "552 too large",
            "the letter was refused: 552 too large",
        ),
    ] {
        let why = given_up(told(&email(&moody(at, line).await), &one()).await);
        assert!(why.contains(part), "{why}");
    }
}

#[tokio::test]
async fn what_passes_or_can_be_mended_is_tried_again() {
    for (at, line, part) in [
        ("", "554 go away", "no connection: 554 go away"),
        ("", "421 too busy", "no connection: 421 too busy"),
        ("EHLO", "502 what?", "no connection: 502"),
        (
            "MAIL",
            "550 not yours",
            "the sender was refused: 550 not yours; mend `from`",
        ),
        ("MAIL", "451 later", "the sender was refused: 451 later"),
        ("RCPT", "451 greylisted", "451 greylisted"),
        ("RCPT", "530 log in first", "530 log in first"),
        (
            ".",
            "451 disk full",
            "the letter was refused: 451 disk full",
        ),
    ] {
        let server = moody(at, line).await;
        let (why, _) = retried(told(&email(&server), &one()).await);
        assert!(why.contains(part), "{at}: {why}");
        assert!(server.letters().is_empty());
    }
}

#[tokio::test]
async fn a_refused_login_is_tried_again_and_gives_no_password_away() {
    let server = MailServer::new(Lock::Open, |command| match command.starts_with("AUTH") {
        // The password as it went over the wire, and as it is.
        true => Some(Act::Say(format!("535 refused: {command} pass-{TELLING}"))),
        false => None,
    })
    .await;
    let with = |login| {
        Email::new(EmailSettings {
            login,
            ..settings(&server)
        })
        .unwrap()
    };
    let (why, _) = retried(told(&with(login()), &one()).await);
    assert_eq!(
        why,
        "the login was refused: 535 refused: AUTH PLAIN [secret] [secret]; mend `username` and `password`"
    );
    let nowhere = Login {
        username: "ops".into(),
        password: missing(),
    };
    let (why, _) = retried(told(&with(Some(nowhere)), &one()).await);
    assert!(why.contains("/nowhere/secret"), "{why}");
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_time_limit_and_no_more() {
    let authority = Authority::new();
    for at in ["", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        let server = acting(at, Act::Hang).await;
        let settings = EmailSettings {
            timeout: SHORT,
            ..settings(&server)
        };
        let (why, _) = retried(told(&Email::new(settings).unwrap(), &one()).await);
        assert_eq!(why, "no answer within 0.4 s", "{at}");
    }
    for tls in [Tls::StartTls, Tls::Implicit] {
        let server = acting("", Act::Hang).await;
        let settings = EmailSettings {
            tls,
            timeout: SHORT,
            ca_file: Some(authority.file()),
            ..settings(&server)
        };
        retried(told(&Email::new(settings).unwrap(), &one()).await);
    }
}

#[tokio::test]
async fn a_server_without_end_is_not_listened_to() {
    for at in ["", "EHLO", "."] {
        let server = acting(at, Act::Endless).await;
        let begun = Instant::now();
        let (why, _) = retried(told(&email(&server), &one()).await);
        assert!(why.contains("says more than it has to say"), "{why}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    let authority = Authority::new();
    let server = acting("EHLO", Act::Endless).await;
    let settings = EmailSettings {
        tls: Tls::StartTls,
        ca_file: Some(authority.file()),
        ..settings(&server)
    };
    let (why, _) = retried(told(&Email::new(settings).unwrap(), &one()).await);
    assert!(why.contains("does not speak SMTP"), "{why}");
}

#[tokio::test]
async fn a_connection_that_is_dropped_is_tried_again() {
    for at in ["", "EHLO", "MAIL", "RCPT", "DATA", "."] {
        retried(told(&email(&acting(at, Act::Drop).await), &one()).await);
    }
    let server = MailServer::open().await;
    let gone = email(&server);
    drop(server);
    tokio::task::yield_now().await;
    let (why, _) = retried(told(&gone, &one()).await);
    assert!(why.contains("onnection"), "{why}");
}

#[tokio::test]
async fn a_goodbye_that_is_not_answered_changes_nothing() {
    for act in [Act::Hang, Act::Drop, Act::Say("500 what?".into())] {
        let server = acting("QUIT", act).await;
        told(&email(&server), &one()).await.unwrap();
        assert_eq!(server.letters().len(), 1);
    }
}

#[tokio::test]
async fn who_has_a_letter_does_not_get_it_twice_for_the_sake_of_another() {
    let full = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_full = std::sync::Arc::clone(&full);
    let server = MailServer::new(Lock::Open, move |command| {
        let refuses = command.contains("ops@example.org")
            && is_full.load(std::sync::atomic::Ordering::SeqCst);
        if refuses {
            say("452 mailbox full")
        } else {
            None
        }
    })
    .await;
    let email = email(&server);
    for _ in 0..2 {
        let (why, _) = retried(told(&email, &one()).await);
        let wanted = "ops@example.org: the recipient was refused: 452 mailbox full; the other recipients have it";
        assert_eq!(why, wanted);
    }
    full.store(false, std::sync::atomic::Ordering::SeqCst);
    told(&email, &one()).await.unwrap();
    let to: Vec<Vec<String>> = server
        .letters()
        .into_iter()
        .map(|letter| letter.to)
        .collect();
    assert_eq!(to, [["geo@example.com"], ["ops@example.org"]]);
}

#[tokio::test]
async fn one_bad_address_keeps_the_letter_from_nobody_else() {
    let server = MailServer::new(Lock::Open, |command| {
        match command.contains("ops@example.org") {
            true => say("550 no such mailbox"),
            false => None,
        }
    })
    .await;
    told(&email(&server), &one()).await.unwrap();
    assert_eq!(server.letters()[0].to, ["geo@example.com"]);
}

#[tokio::test]
async fn three_megabytes_of_text_arrive_cut() {
    let server = MailServer::open().await;
    for message in [huge(), herd(200)] {
        told(&email(&server), &message).await.unwrap();
    }
    for letter in server.letters() {
        assert!(letter.text.len() < 512 << 10, "{}", letter.text.len());
        assert!(letter.text.lines().all(|line| line.len() < 998));
        assert!(letter.text.is_ascii());
    }
}

#[tokio::test]
async fn letters_in_the_open_stay_on_this_machine() {
    let server = MailServer::open().await;
    let settings = EmailSettings {
        host: "smtp.example.com".into(),
        ..settings(&server)
    };
    let error = Email::new(settings).err();
    assert!(
        matches!(error, Some(SetupError::Setting { key: "tls", .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_sending_can_be_given_up_at_any_moment() {
    let server = acting(".", Act::Hang).await;
    let email = email(&server);
    let begun = Instant::now();
    let message = one();
    let sending = email.send(&message, None);
    assert!(tokio::time::timeout(SHORT, sending).await.is_err());
    assert!(begun.elapsed() < ENDED);
    assert!(server.letters().is_empty());
}
