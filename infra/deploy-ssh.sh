#!/bin/sh
# Installs or upgrades Lockgate on a machine that is reached by SSH: copies the program and the service,
# restarts it, and takes the previous version back when the new one does not answer.
#
# usage: deploy-ssh.sh HOST BINARY [CONFIG]    HOST as ssh knows it; SSH holds the command and its options
set -eu

host=${1:?which host}
binary=${2:?which program}
config=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
ssh=${SSH:-ssh}

staged=$($ssh "$host" 'mktemp -d')
trap '$ssh "$host" "rm -rf $staged"' EXIT

# One archive over one connection: neither rsync nor scp needs to be there.
pack=$(mktemp -d)
mkdir -p "$pack/infra/systemd"
cp "$binary" "$pack/lockgate"
cp "$here/install.sh" "$pack/infra/"
cp "$here"/systemd/* "$pack/infra/systemd/"
cp "$here/../README.md" "$pack/"
options=
if [ -n "$config" ]; then
    cp "$config" "$pack/config.yaml"
    options="--config $staged/config.yaml"
fi
tar -C "$pack" -czf - . | $ssh "$host" "tar -C $staged -xzf -"
rm -rf "$pack"

become='sh'
[ "$($ssh "$host" 'id -u')" = 0 ] || become='sudo sh'
$ssh "$host" "$become $staged/infra/install.sh install --binary $staged/lockgate $options"
