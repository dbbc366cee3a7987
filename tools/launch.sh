# Sourced by regent and regentctl, which have set `root` (this checkout) and `entry` (the bundle's
# file to run). A bundle that is up to date costs one `find` of a few hundred files; only the owner
# of the tree ever builds.

say() { printf 'regent: %s\n' "$*" >&2; }

# A PATH cut short by cron, sudo or systemd must not hide a Node that is there.
find_node() {
  for candidate in "${REGENT_NODE:-}" node nodejs /usr/local/bin/node /usr/bin/node /usr/bin/nodejs; do
    [ -n "$candidate" ] || continue
    node=$(command -v "$candidate" 2>/dev/null) && return 0
  done
  say 'Node.js was not found.'
  say 'Regent needs Node 20.19 or newer. On Debian 13: apt-get install nodejs npm. Elsewhere: https://nodejs.org, or set REGENT_NODE to its path.'
  exit 1
}

# The stamp carries the moment the last build began to read the sources; directories count too, so
# that a deleted file is seen. The bundle also tells its commit.
sources_are_newer() {
  [ -f "$root/dist/$entry" ] && [ -f "$root/dist/stamp" ] || return 0
  [ -n "$(find "$root/src" "$root/bench" "$root/chaos" "$root/test/integration/support" "$root/tools" "$root/package.json" "$root/package-lock.json" "$root/.git/logs/HEAD" -newer "$root/dist/stamp" -print -quit 2>/dev/null)" ]
}

may_build() {
  [ -f "$root/tools/prepare.mjs" ] && [ -d "$root/src" ] && [ -w "$root" ] && { [ ! -e "$root/dist" ] || [ -w "$root/dist" ]; }
}

prepare() {
  if command -v flock >/dev/null 2>&1; then
    mkdir -p "$root/.regent" && flock -w 300 "$root/.regent/prepare.lock" "$node" "$root/tools/prepare.mjs" "$@"
  else
    "$node" "$root/tools/prepare.mjs" "$@"
  fi
}

find_node
if may_build; then
  need=
  sources_are_newer && need=bundle
  # Tests and the simulator are built and run from node_modules, the bundle does not need them.
  case "$entry ${1:-}" in "regent.js test" | "regent.js sim") need=tools ;; esac
  if [ -n "$need" ] && ! prepare "$need"; then
    [ "${1:-}" = test ] && printf '0 passed, 1 failed\n'
    exit 1
  fi
elif [ ! -f "$root/dist/$entry" ]; then
  say "there is no bundle in $root/dist, and this user may not write there to build one."
  say "As the owner of $root run: $root/regent version"
  exit 1
fi
# Two things that Node cannot do: launch.pl says which. The tools of an operator need neither.
launch=$root/dist/launch.pl
if [ "$entry" != regentctl.js ] && { [ $$ = 1 ] || [ -n "${NOTIFY_SOCKET:-}" ]; } && [ -f "$launch" ]; then
  perl=$(command -v perl || command -v /usr/bin/perl) && exec "$perl" "$launch" "$node" "$root/dist/$entry" "$@"
  say 'perl was not found (Debian package perl-base): orphans are not reaped, and systemd is told nothing.'
fi
exec "$node" "$root/dist/$entry" "$@"
