#!/bin/sh
# What Debian packages a set-up needs: installs them as root, otherwise prints the one line that does.
#   prerequisites.sh python   for `make run`
#   prerequisites.sh test     for `make test`
set -eu

case "$1" in
python)
    missing=""
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || missing="$missing python3"
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
    ;;
test)
    missing=""
    command -v chromium >/dev/null || missing="$missing chromium"
    command -v mosquitto_pub >/dev/null || missing="$missing mosquitto-clients"
    command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
    command -v influxd >/dev/null || missing="$missing influxdb"
    command -v victoria-metrics >/dev/null || missing="$missing victoria-metrics"
    command -v promtool >/dev/null || missing="$missing prometheus"
    command -v amtool >/dev/null || missing="$missing prometheus-alertmanager"
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
    command -v faketime >/dev/null || missing="$missing faketime"
    command -v openssl >/dev/null || missing="$missing openssl"
    fc-list 2>/dev/null | grep -qi thai || missing="$missing fonts-noto-core"
    command -v git >/dev/null || missing="$missing git"
    command -v npm >/dev/null || missing="$missing nodejs npm"
    ;;
*)
    echo "prerequisites.sh: python or test?" >&2
    exit 2
    ;;
esac

[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # one word for each package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    # Debian starts the servers that it installs, the broker on the port that `make run` listens to; the tests start
    # their own.
    for package in mosquitto influxdb victoria-metrics prometheus prometheus-alertmanager nginx-light; do
        case " $missing " in
        *" $package "*) systemctl disable --now "${package%-light}" >/dev/null 2>&1 || true ;;
        esac
    done
else
    echo "please run first: sudo apt-get install -y$missing" >&2
    exit 1
fi
