#!/bin/sh
# What cargo runs in place of rustc for the crates of this repository, and for them alone, when it builds the addon: cargo-addon.mjs
# says why. `no` does not take a `yes` back, so the flag itself has to go. In sh, because what cargo shares with rustc (its jobserver)
# is inherited through it.
case " $* " in
*' oo_bandits_cold '*) exec "$@" ;;
esac
for argument; do
  shift
  [ "$argument" = -Cforce-frame-pointers=yes ] || set -- "$@" "$argument"
done
exec "$@"
