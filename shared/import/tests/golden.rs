//! Each folder holds one file of another gateway, and what comes of it.
//!
//! `UPDATE_GOLDEN=1` writes the expected files anew; the diff is the review.
#![expect(clippy::unwrap_used, reason = "a broken setup should stop the test")]

use std::{env, fmt::Write as _, fs, path::Path};

use config::ProviderKind;
use import::{Imported, SourceFile, import};

const EXPECTED: &str = "expected.txt";

/// Every type that an importer may write.
fn kinds() -> Vec<ProviderKind> {
    let names = [
        "anthropic",
        "azure-openai",
        "bedrock",
        "cerebras",
        "cohere",
        "deepseek",
        "fireworks",
        "gemini",
        "github",
        "groq",
        "lmstudio",
        "mistral",
        "nvidia",
        "ollama",
        "openai",
        "openrouter",
        "perplexity",
        "together",
        "vllm",
        "xai",
    ];
    let is_open = |name: &str| ["bedrock", "lmstudio", "ollama", "vllm"].contains(&name);
    let kind = |name| ProviderKind {
        name,
        needs_base_url: name == "azure-openai",
        needs_key: !is_open(name),
        takes_region: name == "bedrock",
    };
    names.map(kind).into()
}

/// What came of the files, as text. The values of secrets are left out.
fn described(imported: &Imported) -> String {
    let mut text = imported.yaml.clone();
    for (name, _) in &imported.secrets {
        writeln!(text, "# {name}").unwrap();
    }
    for note in &imported.notes {
        writeln!(text, "# {note}").unwrap();
    }
    text
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let mut files = vec![];
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if file != EXPECTED {
            files.push((file, fs::read_to_string(path).unwrap()));
        }
    }
    files.sort();
    let sources: Vec<SourceFile<'_>> =
        files.iter().map(|(name, text)| SourceFile { name, text }).collect();
    let imported = import(&sources).unwrap();

    let variables = |name: &str| Some(format!("value-of-{name}"));
    let config = config::read(&imported.yaml, &variables, &kinds());
    config.unwrap_or_else(|faults| panic!("{name}: {faults}\n{}", imported.yaml));
    for (_, secret) in &imported.secrets {
        assert!(!described(&imported).contains(secret), "{name} shows a secret");
    }

    let expected = folder.join(EXPECTED);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(expected, described(&imported)).unwrap();
    } else {
        assert_eq!(described(&imported), fs::read_to_string(expected).unwrap(), "{name}");
    }
}

#[test]
fn each_gateways_file_becomes_a_configuration() {
    for name in [
        "litellm",
        "claude-code-router",
        "claude-code-router-comments",
        "seed-a",
        "seed-b",
        "seed-c",
        "seed-c-clients",
        "seed-d",
        "portkey",
        "portkey-slugs",
        "helicone",
        "helicone-direct",
        "openrouter",
    ] {
        check(name);
    }
}

/// The keys of `LiteLLM` alone are no configuration: they come with its models.
#[test]
fn exported_keys_become_tenants_with_the_hashes_of_their_keys() {
    check("litellm-keys");
}

#[test]
fn what_nobody_knows_is_refused() {
    for text in ["a: 1", "- 1", "just text", "{"] {
        let file = SourceFile { name: "x.yaml", text };
        assert_eq!(import(&[file]).unwrap_err().file, "x.yaml", "{text}");
    }
}
