#!/bin/sh
# Installs Lockgate as a service of systemd, upgrades it in place, or removes it.
#
# With --root everything goes below another directory and nothing is started: for images and packages.
set -eu

usage() {
    echo "usage: install.sh install|uninstall [--binary FILE] [--config FILE] [--root DIRECTORY] [--purge]" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
action=${1:-}
[ $# -gt 0 ] && shift
binary=target/release/lockgate
config=
root=
purge=no
while [ $# -gt 0 ]; do
    case $1 in
        --binary) binary=$2; shift 2 ;;
        --config) config=$2; shift 2 ;;
        --root) root=$2; shift 2 ;;
        --purge) purge=yes; shift ;;
        *) usage ;;
    esac
done

program=$root/usr/local/bin/lockgate
unit=$root/etc/systemd/system/lockgate.service
settings=$root/etc/lockgate
users=$root/usr/lib/sysusers.d/lockgate.conf

# A staged tree has no service manager.
is_live() { [ -z "$root" ] && command -v systemctl >/dev/null && [ -d /run/systemd/system ]; }

need_root() {
    if [ -z "$root" ] && [ "$(id -u)" -ne 0 ]; then
        echo "install.sh: run it as root, for example by sudo" >&2
        exit 1
    fi
}

make_user() {
    install -D -m 644 "$here/systemd/sysusers.conf" "$users"
    if [ -z "$root" ]; then
        if command -v systemd-sysusers >/dev/null; then
            systemd-sysusers "$users"
        elif ! id lockgate >/dev/null 2>&1; then
            useradd --system --home-dir /var/lib/lockgate --shell /usr/sbin/nologin lockgate
        fi
    fi
}

# The settings hold keys: nobody but the service reads them. Those that are there stay as they are.
put_settings() {
    install -d -m 700 "$settings"
    if [ -n "$config" ]; then
        install -m 600 "$config" "$settings/config.yaml"
    elif [ ! -e "$settings/config.yaml" ]; then
        install -m 600 "$here/systemd/config.yaml" "$settings/config.yaml"
    fi
    if [ ! -e "$settings/env" ]; then
        key=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
        (umask 077 && printf 'GATEWAY_API_KEY=%s\n' "$key" > "$settings/env")
    fi
    chmod 600 "$settings/config.yaml" "$settings/env"
    if [ -z "$root" ]; then
        chown -R lockgate:lockgate "$settings"
    fi
}

# The program that runs now is kept, so that an upgrade which does not answer can be taken back.
put_program() {
    install -d "$(dirname "$program")"
    [ -e "$program" ] && cp -p "$program" "$program.previous"
    install -m 755 "$binary" "$program.new"
    mv -f "$program.new" "$program"
}

take_back() {
    echo "install.sh: the new version does not answer" >&2
    if [ -e "$program.previous" ]; then
        mv -f "$program.previous" "$program"
        systemctl restart lockgate || true
        echo "install.sh: the previous version runs again" >&2
    fi
    systemctl --no-pager --lines 20 status lockgate >&2 || true
    exit 1
}

install_all() {
    [ -x "$binary" ] || { echo "install.sh: $binary is not there; run: make install" >&2; exit 1; }
    need_root
    make_user
    put_settings
    put_program
    install -D -m 644 "$here/systemd/lockgate.service" "$unit"
    install -D -m 644 "$here/../README.md" "$root/usr/local/share/doc/lockgate/README.md"
    if is_live; then
        systemctl daemon-reload
        systemctl enable --quiet lockgate
        # A program that fails its own check is no started service, and fails the restart.
        systemctl restart lockgate || take_back
        "$program" health --wait 20 --config "$settings/config.yaml" --env-file "$settings/env" || take_back
        rm -f "$program.previous"
    fi
    echo "Lockgate is installed. Its settings: $settings/config.yaml and $settings/env"
}

uninstall_all() {
    need_root
    if is_live; then
        systemctl disable --now --quiet lockgate || true
    fi
    rm -f "$program" "$program.previous" "$unit" "$users"
    rm -rf "$root/usr/local/share/doc/lockgate"
    if is_live; then
        systemctl daemon-reload
    fi
    if [ "$purge" = yes ]; then
        rm -rf "$settings" "$root/var/lib/lockgate"
    else
        echo "Kept: $settings and $root/var/lib/lockgate (--purge removes them)"
    fi
}

case $action in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) usage ;;
esac
