//! `lockgate check`: every error of a configuration file, each with its place.

use std::{fs, io, path::Path};

use config::{Config, ConfigError, ProviderKind, read};

/// Looks a variable of the environment up.
pub(crate) type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Prints every error of a file, or what is in it. Gives the configuration if it is good.
pub(crate) fn check(
    path: &Path,
    variables: Variables<'_>,
    kinds: &[ProviderKind],
    out: &mut dyn io::Write,
) -> io::Result<Option<Config>> {
    let Some(config) = load(path, variables, kinds, out)? else { return Ok(None) };
    if !report_files(path, &config, out)? {
        return Ok(None);
    }
    for warning in config.warnings() {
        writeln!(out, "{}: warning: {warning}", path.display())?;
    }
    writeln!(out, "{}: {}", path.display(), summary(&config))?;
    Ok(Some(config))
}

/// Reads a configuration file. Gives nothing when it is bad, after printing every error.
pub(crate) fn load(
    path: &Path,
    variables: Variables<'_>,
    kinds: &[ProviderKind],
    out: &mut dyn io::Write,
) -> io::Result<Option<Config>> {
    let file = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            writeln!(out, "{file}: cannot be read: {error}{}", reading_hint(&error))?;
            return Ok(None);
        }
    };

    let errors = match read(&text, variables, kinds) {
        Ok(config) => return Ok(Some(config)),
        Err(errors) => errors,
    };
    report(path, errors.iter(), out)?;
    Ok(None)
}

/// Prints what is wrong with the certificates and keys that a configuration names. Whether all can be
/// used.
pub(crate) fn report_files(
    path: &Path,
    config: &Config,
    out: &mut dyn io::Write,
) -> io::Result<bool> {
    let errors = edge::file_errors(config);
    if errors.is_empty() {
        return Ok(true);
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    report(path, config::placed(&text, errors).iter(), out)?;
    Ok(false)
}

/// What to do about a file that cannot be read, where its rights forbid it.
fn reading_hint(error: &io::Error) -> &'static str {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return "";
    }
    ". `lockgate init` and `import` make it readable to its owner alone, and the image runs as the user \
     65532: let that user read it (`chmod a+r config.yaml`; keys belong into .env), or run as its owner"
}

/// Prints errors, each with its place.
fn report<'f>(
    path: &Path,
    errors: impl ExactSizeIterator<Item = &'f ConfigError>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let (file, count) = (path.display(), errors.len());
    for error in errors {
        // `file:line:column:` is what editors jump to.
        let gap = if error.position.is_some() { "" } else { " " };
        writeln!(out, "{file}:{gap}{error}")?;
    }
    writeln!(out, "{file}: {}", counted(count, "fault"))
}

/// How much of everything there is, in a line.
fn summary(config: &Config) -> String {
    let counts = [
        (config.providers.len(), "provider"),
        (config.routes.len(), "route"),
        (config.models.len(), "model"),
        (config.prices.len(), "price"),
        (config.tenants.len(), "tenant"),
    ];
    counts.map(|(count, what)| counted(count, what)).join(", ")
}

/// A number and its noun.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ProviderKind; 1] = [ProviderKind {
        name: "ollama",
        needs_base_url: false,
        needs_key: false,
        takes_region: false,
    }];

    /// What is printed about a file with this text, and whether it is good.
    fn checked(name: &str, text: &str) -> (bool, String) {
        let path =
            std::env::temp_dir().join(format!("lockgate-check-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        let mut out = vec![];
        let good = check(&path, &|_| None, &KINDS, &mut out).unwrap().is_some();
        fs::remove_file(&path).unwrap();
        let text = String::from_utf8(out).unwrap();
        (good, text.replace(&path.display().to_string(), "config.yaml"))
    }

    #[test]
    fn a_good_file_is_summed_up() {
        let text = "providers: [{name: p, type: ollama}]\nmodels: [{name: m, provider: p}, {name: n, provider: p}]";
        assert_eq!(
            checked("good", text),
            (true, "config.yaml: 1 provider, 0 routes, 2 models, 0 prices, 0 tenants\n".to_owned())
        );
    }

    #[test]
    fn every_error_of_a_bad_file_is_a_line_that_editors_can_follow() {
        let text = "port: x\nproviders: [{name: p, type: ollama}]\ndefault_provider: q\n";
        assert_eq!(
            checked("bad", text),
            (
                false,
                "config.yaml:1:7: port: takes a whole number from 1 to 65535\n\
                 config.yaml:3:19: default_provider: names no provider: \"q\" (known: p)\n\
                 config.yaml: 2 faults\n"
                    .to_owned()
            )
        );
    }

    #[test]
    fn a_file_that_the_configuration_names_and_cannot_be_used_is_an_error() {
        let text = "ca_file: /nowhere/ca.pem\nproviders:\n- {name: p, type: ollama, ca_file: /nowhere/p.pem}\n\
                    tls: {cert: /nowhere/c.pem, key: /nowhere/k.pem}\n";
        let (good, printed) = checked("files", text);
        assert!(!good);
        for line in [
            "config.yaml:1:10: ca_file: /nowhere/ca.pem cannot be read: ",
            "config.yaml:3:36: providers[0].ca_file: /nowhere/p.pem cannot be read: ",
            "config.yaml:4:13: tls.cert: /nowhere/c.pem: cannot be read: ",
            "config.yaml:4:34: tls.key: /nowhere/k.pem: cannot be read: ",
            "config.yaml: 4 faults\n",
        ] {
            assert!(printed.contains(line), "{line} in {printed}");
        }
    }

    #[test]
    fn a_file_that_may_not_be_read_says_what_to_do() {
        assert!(reading_hint(&io::ErrorKind::PermissionDenied.into()).contains("chmod a+r"));
        assert_eq!(reading_hint(&io::ErrorKind::NotFound.into()), "");
    }

    #[test]
    fn a_file_that_is_not_there_is_bad() {
        let mut out = vec![];
        let checked = check(Path::new("/nowhere/config.yaml"), &|_| None, &KINDS, &mut out);
        assert!(checked.unwrap().is_none());
        assert!(
            String::from_utf8(out).unwrap().starts_with("/nowhere/config.yaml: cannot be read: ")
        );
    }
}
