#!/bin/sh
# Draws a DOT file of `prof-analyze dag` with Graphviz.
#
#   tools/view/render-dot.sh GRAPH.dot PICTURE.{png,svg,pdf} [DPI]
#
# Graphs of a thousand operators are some 10,000 pixels wide and 7,000 high at 96 dpi: SVG scales, and
# for PNG fewer dpi fit what image viewers open.
set -eu
if [ $# -lt 2 ]; then
  sed -n '2,4s/^# *//p' "$0" >&2
  exit 2
fi
if ! command -v dot >/dev/null; then
  echo "render-dot: Graphviz is missing; on Debian: apt-get install graphviz" >&2
  exit 1
fi
exec dot "-T${2##*.}" "-Gdpi=${3:-72}" -o "$2" "$1"
