//! What people read, how the command ends, and that the page for operators is complete.

use super::*;

#[tokio::test]
async fn people_read_problems_first_each_with_its_remedy_below() {
    let desk = Desk::new().await;
    let nowhere = "token = { file = \"nowhere\" }";
    desk.one(nowhere);
    let (text, exit) = desk.typed(false, false).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("problem  credential       dw: file "),
        "{text}"
    );
    assert!(lines[1].starts_with("         make the file"), "{text}");
    let severities: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split(' ').next())
        .filter(|word| !word.is_empty())
        .take_while(|word| ["problem", "warning", "ok"].contains(word))
        .collect();
    let mut sorted = severities.clone();
    sorted.sort_by_key(|word| ["problem", "warning", "ok"].iter().position(|w| w == word));
    assert_eq!(severities, sorted, "{text}");
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("1 problem, ") && last.ends_with(" checks are well"),
        "{text}"
    );
    assert_eq!(exit, Exit::Failed);
}

#[tokio::test]
async fn the_exit_code_is_that_of_the_worst_finding() {
    let desk = Desk::new().await;
    // No daemon runs: a warning at least.
    let said = desk.said().await;
    assert_eq!(said.exit, Exit::Warned, "{:#?}", said.findings);
    assert_eq!((Exit::Warned.code(), Exit::Failed.code()), (3, 1));
    desk.one("token = { file = \"nowhere\" }");
    assert_eq!(desk.said().await.exit, Exit::Failed);
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_told_before_anything_is_looked_at() {
    let desk = Desk::new().await;
    fs::write(desk.path("nightcall.toml"), "[oops]\n").unwrap();
    let context = Context {
        config: vec![desk.path("nightcall.toml")],
        zones: Zones::load(),
        out: Output::stdout(true),
    };
    let failure = doctor(&context, DoctorArgs { deep: false })
        .await
        .unwrap_err();
    assert_eq!(failure.exit, Exit::Config);
}

#[test]
fn the_built_program_says_what_the_environment_lacks_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightcall.toml");
    let base_url = "base_url = \"http://127.0.0.1:1\"\ntoken = { env = \"CARTO_API_TOKEN\" }";
    fs::write(&path, connection("dw", "", base_url)).unwrap();
    let typed = |token: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nightcall"));
        command.arg("doctor").current_dir(folder.path());
        command
            .env_remove("NIGHTCALL_CONFIG")
            .env_remove("CARTO_API_TOKEN");
        if let Some(token) = token {
            command.env("CARTO_API_TOKEN", token);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains(SECRET) && error.is_empty(), "{text}{error}");
        (text, output.status.code().unwrap())
    };
    // No schedule uses it, so that nothing is worse than a warning.
    let (text, code) = typed(None);
    assert!(
        text.contains(
            "warning  credential       dw: environment variable CARTO_API_TOKEN is not set"
        ),
        "{text}"
    );
    assert_eq!(code, 3);
    let (text, _) = typed(Some(SECRET));
    assert!(text.contains("ok       credential       dw: "), "{text}");
    assert!(text.contains("refuses the connection"), "{text}");
}

#[test]
fn the_page_for_operators_explains_every_check_and_no_other() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let page = fs::read_to_string(path).unwrap();
    let (_, after) = page.split_once("\n## doctor: before the night\n").unwrap();
    let section = after.split("\n## ").next().unwrap();
    let explained: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let checks: Vec<&str> = CHECKS.iter().map(|(check, _)| *check).collect();
    assert_eq!(explained, checks);
}
