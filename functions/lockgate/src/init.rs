//! `lockgate init`: a first configuration, by three questions or by options.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use edge::settings::Environment;
use gateway::KeyedProvider;

use crate::{
    commands::{Failure, note},
    config_from_environment::{FoundProvider, config_yaml, generate_key, providers},
    private_file::{append_variables, write_new},
    provider_check::reach,
    settings::Sources,
};

const CONFIG: &str = "config.yaml";
const SCHEMA: &str = "config.schema.json";
const VARIABLES: &str = ".env";
/// The variable that holds the key of clients.
const CLIENT_KEY: &str = "GATEWAY_API_KEY";

/// What to begin with.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A type of provider, such as `openai`; more than one may be given [default: ask, or those whose keys are in the environment]
    #[arg(long = "provider", value_name = "TYPE")]
    providers: Vec<String>,
    /// The keys of these providers, in the same order [default: their variables, or ask]
    #[arg(long = "provider-key", value_name = "KEY")]
    keys: Vec<String>,
    /// The key that clients will send [default: a new one]
    #[arg(long, value_name = "KEY")]
    client_key: Option<String>,
    /// The folder that the files go to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Replace a configuration that is there
    #[arg(long)]
    force: bool,
    /// Do not ask providers whether the keys work
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    sources: Sources,
}

/// A provider that was chosen.
struct Chosen {
    kind: KeyedProvider,
    variable: String,
    /// The key, where it is not in the environment already.
    key: Option<String>,
}

impl Chosen {
    fn provider(&self) -> FoundProvider {
        FoundProvider { kind: self.kind, variable: self.variable.clone() }
    }
}

/// Writes the files, tests the keys and says what to do next.
pub(crate) async fn init(options: Options) -> Result<ExitCode, Failure> {
    let environment = options.sources.environment()?;
    // With the file that keys go to, which keeps the variables that it has.
    let written = Environment::with_file(&options.folder.join(VARIABLES), false);
    let written = written.map_err(Failure::Usage)?;
    let chosen = choose(&options, &environment, &written)?;
    let client_key = match options.client_key.clone() {
        Some(key) => key,
        None => ask_client_key()?,
    };

    let providers: Vec<FoundProvider> = chosen.iter().map(Chosen::provider).collect();
    let yaml = config_yaml(&providers, CLIENT_KEY, &environment);
    let comment = format!("# yaml-language-server: $schema={SCHEMA}\n");
    let at = |name: &str| options.folder.join(name);
    // First, since it refuses when there is a configuration: nothing else is touched then.
    write_new(&at(CONFIG), &format!("{comment}{yaml}"), options.force)?;
    // Replaced without asking: the schema is this version's, and nobody edits it.
    let schema = format!("{:#}\n", config::schema(&gateway::kinds()));
    std::fs::write(at(SCHEMA), schema)?;

    let keys = chosen.iter().filter_map(|it| Some((it.variable.clone(), it.key.clone()?)));
    let mut variables = vec![(CLIENT_KEY.to_owned(), client_key)];
    variables.extend(keys);
    for name in append_variables(&at(VARIABLES), &variables)? {
        note(&format!("{name} is in {VARIABLES} already and stays as it is"));
    }
    say(&format!("{CONFIG}, {SCHEMA} and {VARIABLES} are written."))?;

    // Read back from the files, so that what is tested is what `serve` will find.
    let environment = Environment::with_file(&at(VARIABLES), true).map_err(Failure::Usage)?;
    let variables = |name: &str| environment.get(name);
    let config = config::read(&yaml, &variables, &gateway::kinds());
    let config = config.map_err(|errors| Failure::Usage(errors.to_string()))?;
    let model = if options.offline {
        None
    } else {
        reach(config, &environment, &mut io::stdout()).await?.model
    };
    print_next(&chosen, model.as_deref(), &options.folder)?;
    Ok(ExitCode::SUCCESS)
}

/// The providers that options name, else those that the operator does, else those of the
/// environment.
fn choose(
    options: &Options,
    environment: &Environment,
    written: &Environment,
) -> Result<Vec<Chosen>, Failure> {
    let found: Vec<&str> = providers(environment).iter().map(|it| it.kind.name).collect();
    let names = if options.providers.is_empty() && io::stdin().is_terminal() {
        let known: Vec<&str> = KeyedProvider::all().map(|it| it.name).collect();
        say(&format!("Providers: {}", known.join(", ")))?;
        let answer = ask("Which ones, separated by commas?", &found.join(","))?;
        answer.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
    } else if options.providers.is_empty() {
        // A script cannot be asked, and gets what the environment has.
        found.iter().map(|it| (*it).to_owned()).collect()
    } else {
        options.providers.clone()
    };
    if names.is_empty() {
        let message = "no provider is chosen: give --provider, or set a variable such as \
                       OPENAI_API_KEY";
        return Err(Failure::Usage(message.to_owned()));
    }

    let mut chosen = vec![];
    for (index, name) in names.iter().enumerate() {
        let Some(kind) = KeyedProvider::all().find(|kind| kind.name == name) else {
            return Err(Failure::Usage(no_keyed_type(name)));
        };
        chosen.push(match options.keys.get(index) {
            Some(key) => with_given_key(kind, key, &[environment, written]),
            None => with_key(kind, environment)?,
        });
    }
    Ok(chosen)
}

/// Why a name is no type of provider that `init` can begin with.
fn no_keyed_type(name: &str) -> String {
    if gateway::kinds().iter().any(|kind| kind.name == name) {
        return format!(
            "{name} needs no key, so that `init` has nothing to test: put \
             `- {{ name: {name}, type: {name} }}` under `providers` of a {CONFIG} yourself"
        );
    }
    let known: Vec<&str> = KeyedProvider::all().map(|it| it.name).collect();
    format!("{name} is no type of provider (those that take a key: {})", known.join(", "))
}

/// A provider and the key that the operator gives, which no variable of the environment may take the
/// place of.
fn with_given_key(kind: KeyedProvider, key: &str, environments: &[&Environment]) -> Chosen {
    let default_name = kind.key_variables.first().copied().unwrap_or("PROVIDER_API_KEY");
    let is_free =
        |name: &String| environments.iter().all(|it| it.get(name).is_none_or(|value| value == key));
    let default_names = kind.key_variables.iter().map(|name| (*name).to_owned());
    let numbered = (1..).map(|number| format!("LOCKGATE_{default_name}_{number}"));
    let variable = default_names.chain(numbered).find(is_free);
    let variable = variable.unwrap_or_else(|| default_name.to_owned());
    Chosen { kind, variable, key: Some(key.to_owned()) }
}

/// A provider and its key: the environment's, or what the operator types.
fn with_key(kind: KeyedProvider, environment: &Environment) -> Result<Chosen, Failure> {
    let set = kind.key_variables.iter().find(|name| environment.get(name).is_some());
    let variable = set.or(kind.key_variables.first()).copied().unwrap_or("PROVIDER_API_KEY");
    let variable = variable.to_owned();
    if set.is_some() {
        return Ok(Chosen { kind, variable, key: None });
    }
    let key = if io::stdin().is_terminal() {
        ask(&format!("The key for {} ({variable})?", kind.name), "")?
    } else {
        String::new()
    };
    if key.is_empty() {
        let message = format!("{} needs a key: give --provider-key, or set {variable}", kind.name);
        return Err(Failure::Usage(message));
    }
    Ok(Chosen { kind, variable, key: Some(key) })
}

fn ask_client_key() -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        let key = ask("The key that your clients will send? (empty: a new one)", "")?;
        if !key.is_empty() {
            return Ok(key);
        }
    }

    let key = generate_key();
    let key = key.ok_or_else(|| Failure::Other("the system has no randomness".to_owned()))?;
    Ok(key.expose().to_owned())
}

fn print_next(chosen: &[Chosen], model: Option<&str>, folder: &Path) -> Result<(), Failure> {
    let known = || {
        let first = chosen.first()?;
        Some(format!("{}/{}", first.kind.name, first.kind.known_models().first()?))
    };
    let model = model.map(str::to_owned).or_else(known).unwrap_or_else(|| "MODEL".to_owned());
    let folder = folder.display();
    say(&format!(
        "\nStart it: cd {folder} && lockgate\nThen, with the key in {VARIABLES}:\n\n  \
         curl http://127.0.0.1:8080/v1/chat/completions \\\n    \
         -H \"Authorization: Bearer ${CLIENT_KEY}\" -H 'Content-Type: application/json' \\\n    \
         -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n\n  \
         from openai import OpenAI\n  \
         client = OpenAI(base_url=\"http://127.0.0.1:8080/v1\", api_key=\"…\")\n"
    ))
}

fn ask(question: &str, default: &str) -> Result<String, Failure> {
    let mut out = io::stdout();
    let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    write!(out, "{question}{shown} ")?;
    out.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let answer = line.trim();
    Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}
