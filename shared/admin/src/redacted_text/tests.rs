use super::*;

const TEXT: &str = "# Ours.\napi_key: sk-gateway # the key\nproviders:\n  - name: p\n    base_url: \
                    http://h\n    api_key: 'sk-\"1'\n  - { name: q, base_url: 'http://h', api_keys: \
                    [\"${Q}\", sk-2] }\n";

fn variables(name: &str) -> Option<String> {
    matches!(name, "Q" | "ORG").then(|| format!("sk-of-{name}"))
}

fn read(text: &str) -> Config {
    config::read(text, &variables, &gateway::kinds()).unwrap()
}

fn hidden(text: &str) -> HiddenText {
    hide(text, &read(text), &variables).unwrap()
}

#[test]
fn secrets_leave_the_text_and_everything_else_stays() {
    let wanted = TEXT
        .replace("sk-gateway", "\"${GATEWAY_API_KEY}\"")
        .replace("'sk-\"1'", "'${P_API_KEY}'")
        .replace("sk-2", "\"${Q_API_KEY_2}\"");
    assert_eq!(hidden(TEXT).text, wanted);
}

#[test]
fn secrets_come_back_as_they_were_written() {
    for text in [
        TEXT.to_owned(),
        format!("{TEXT}# api_key: sk-old\n#   password: 'hunter 2' # \"x\"\n"),
        format!("\u{feff}# Für\r\n{}", TEXT.replace('\n', "\r\n")),
        TEXT.replace("sk-gateway", "\"sk-\\x41\""),
        TEXT.replace("sk-gateway", ">- # folded\n  sk-one\n  two\n# between"),
        TEXT.replace("sk-gateway", "|-\n    sk-$${one}"),
        TEXT.replace("sk-gateway", "sk-one\n  two"),
        TEXT.replace("sk-gateway", "!!str 12"),
        TEXT.replace("sk-gateway", "\"Bearer sk-012345 ${ORG}\""),
        "api_key: &key sk-1\nproviders:\n- {name: p, base_url: 'http://h', api_key: *key}\n"
            .to_owned(),
    ] {
        let hidden = hidden(&text);
        assert_ne!(hidden.text, text);
        assert_eq!(hidden.restore(&hidden.text), text, "{}", hidden.text);
    }
}

#[test]
fn an_edit_changes_its_own_lines_alone() {
    let text = TEXT.replace("sk-gateway", ">-\n  sk-gateway");
    let hidden = hidden(&text);
    let edited = hidden.text.replace("name: p", "name: other") + "port: 9000\n";
    let wanted = text.replace("name: p", "name: other") + "port: 9000\n";
    assert_eq!(hidden.restore(&edited), wanted);
}

#[test]
fn a_form_that_loses_the_line_ends_does_not_change_them() {
    let windows = hidden(&TEXT.replace('\n', "\r\n"));
    assert_eq!(windows.with_line_ends("a: 1\n"), "a: 1\r\n");
    assert_eq!(windows.with_line_ends("a: 1\r\n"), "a: 1\r\n");
    assert_eq!(hidden(TEXT).with_line_ends("a: 1\n"), "a: 1\n");
}

#[test]
fn a_text_around_a_variable_is_shown_as_it_is_written() {
    let text = "proxy: http://user:${ORG}@h:1\nproviders:\n- name: p\n  base_url: http://${ORG}\n  \
                headers:\n    Authorization: \"Bearer ${ORG}\" # theirs\n    X-Two: 'sk-01234567-${ORG}'\n";
    let hidden = hidden(text);
    assert_eq!(hidden.text, text.replace("sk-01234567-", "${HIDDEN_1}"));
    assert_eq!(hidden.restore(&hidden.text), text);
}

#[test]
fn a_secret_is_hidden_by_its_place_and_not_by_its_value() {
    let text = "api_key: demo\nproviders:\n- {name: demo, base_url: 'http://h'}\nroutes:\n- name: \
                demo\n  steps: [{provider: demo, model: demo}]\n";
    let hidden = hidden(text);
    assert_eq!(hidden.text, text.replace("api_key: demo", "api_key: \"${GATEWAY_API_KEY}\""));
}

#[test]
fn a_secret_that_moves_to_another_line_or_into_a_comment_goes_along() {
    let hidden = hidden(&TEXT.replace("sk-gateway #", "|-\n  sk-gateway\n#"));
    let moved = hidden.text.replace("api_key: \"${GATEWAY_API_KEY}\"\n", "")
        + "tenants: [{name: t, api_key: \"${GATEWAY_API_KEY}\"}]\n";
    assert!(hidden.restore(&moved).ends_with("tenants: [{name: t, api_key: \"sk-gateway\"}]\n"));
    let commented = hidden.text.replace("    api_key: '", "    # api_key: '");
    assert!(hidden.restore(&commented).contains("    # api_key: 'sk-\"1'\n"));
}

#[test]
fn a_variable_that_is_there_already_stands_for_itself() {
    let text =
        "api_key: sk-1 # not ${GATEWAY_API_KEY}\nproviders: [{ name: p, base_url: 'http://h' }]\n";
    let hidden = hidden(text);
    assert!(
        hidden.text.starts_with("api_key: \"${GATEWAY_API_KEY_KEPT}\" # not ${GATEWAY_API_KEY}\n")
    );
    assert_eq!(hidden.restore(&hidden.text), text);
}

#[test]
fn keys_in_comments_are_hidden_and_texts_that_look_like_comments_are_not() {
    let text = "api_key: sk-1\nproviders:\n  - { name: p, base_url: http://h }\ntenants:\n  - name: t\n    \
                system_prompt: |\n      # password: hunter2\n    api_key: sk-2\n# api_key: sk-old\n";
    let hidden = hidden(text);
    assert!(hidden.text.contains("      # password: hunter2\n"), "{}", hidden.text);
    assert!(hidden.text.ends_with("\n# api_key: ${HIDDEN_1}\n"), "{}", hidden.text);
    assert_eq!(hidden.restore(&hidden.text), text);
}
