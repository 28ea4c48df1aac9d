//! Under which variables the keys of an imported file are kept.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use import::{Imported, SourceFile, import};

fn imported(name: &str, text: &str) -> Imported {
    import(&[SourceFile { name, text }]).unwrap()
}

fn variables(imported: &Imported) -> Vec<&str> {
    imported.secrets.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_key_for_another_host_has_no_name_that_the_environment_may_have() {
    for (host, variable) in [
        ("https://elsewhere.test/v1", "IMPORTED_OPENAI_API_KEY"),
        ("https://eu.api.openai.com/v1", "OPENAI_API_KEY"),
    ] {
        let text = format!(
            "ADDR=:9090\nREDIS_URL=redis://x\nOPENAI_API_KEY=sk-1\nOPENAI_BASE_URL={host}\n"
        );
        let imported = imported("env", &text);
        assert_eq!(variables(&imported), [variable]);
        assert!(imported.yaml.contains(&format!("api_key: ${{{variable}}}")), "{}", imported.yaml);
    }
}

#[test]
fn two_variables_of_one_value_are_both_defined() {
    let text = "environment_variables: { ONE: sk-same, OTHER: sk-same }\n\
                model_list:\n\
                - model_name: a\n  litellm_params: { model: openai/a, api_key: os.environ/ONE }\n\
                - model_name: b\n  litellm_params: { model: groq/b, api_key: os.environ/OTHER }\n";
    let imported = imported("config.yaml", text);
    assert_eq!(variables(&imported), ["ONE", "OTHER"]);
    assert!(imported.yaml.contains("${OTHER}"), "{}", imported.yaml);
}

#[test]
fn a_providers_host_for_one_region_is_kept() {
    let text = r#"{ "Providers": [{ "name": "openai", "models": ["m"], "api_key": "sk-1",
        "api_base_url": "https://eu.api.openai.com/v1/chat/completions" }],
        "Router": { "default": "openai,m" } }"#;
    let imported = imported("config.json", text);
    assert!(imported.yaml.contains("https://eu.api.openai.com/v1"), "{}", imported.yaml);
}
