//! Models are known by facts: no code of formats and providers looks at a model's name.

use super::{
    complains, nothing,
    tree::{self, File},
};

/// Texts by which families of models are told apart. They belong into `model-catalog/models.json`.
const FAMILY_NAMES: &[&str] = &[
    "\"claude",
    "claude-",
    "codestral",
    "codex",
    "cohere.embed",
    "deepseek-",
    "devstral",
    "gemini-",
    "gemma",
    "glm-",
    "gpt-",
    "kimi",
    "llama-",
    "minimax",
    "mistral-",
    "mixtral",
    "nova-",
    "\"o1",
    "\"o3",
    "\"o4",
    "qwen",
    "titan-",
];

/// The lines of a source that a text of a family stands on. Comments, tests, and the sources and examples
/// in the table of provider failures are skipped.
fn named_families(file: &File) -> Vec<String> {
    let code = file.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let skipped =
        |line: &str| ["//", "source: ", "example: "].iter().any(|it| line.starts_with(it));
    let lines = code.lines().map(str::trim_start).filter(|line| !skipped(line));
    let named = |line: &&str| line.contains('"') && FAMILY_NAMES.iter().any(|it| line.contains(it));
    let path = &file.path;
    lines.filter(named).map(|line| format!("{path} looks at a model's name: {line}")).collect()
}

#[test]
fn formats_and_providers_look_at_no_models_name() {
    let folders = ["shared/formats/src", "shared/providers/src"];
    let sources = folders.into_iter().flat_map(|folder| tree::files(folder, ".rs"));
    let sources = sources.filter(|it| !it.path.ends_with("/tests.rs"));
    nothing(&sources.flat_map(|it| named_families(&it)).collect::<Vec<_>>());
}

#[test]
fn a_name_of_a_family_is_found() {
    let named = |text: &str| {
        named_families(&File { path: "shared/formats/src/x.rs".to_owned(), text: text.to_owned() })
    };
    complains(&named("let it = model.starts_with(\"gpt-5\");"), "gpt-5");
    assert!(named("/// Such as `\"gpt-5\"`.\n").is_empty());
    assert!(named("x();\n#[cfg(test)]\nmod tests {\n    f(\"gpt-5\");\n}\n").is_empty());
}
