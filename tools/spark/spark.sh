# Shared by the scripts of this folder: `source` it.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

SPARK_VENV=$ROOT/.targets/spark

# Java 17 and PySpark, unless they are there.
setup_spark() {
  local requirements=$ROOT/tools/spark/requirements.txt stamp=$SPARK_VENV/.requirements.sha256 wanted
  command -v java >/dev/null || install_packages openjdk-17-jre-headless
  wanted=$(sha256sum <"$requirements")
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    install_packages python3-venv
    note "filling ${SPARK_VENV#"$ROOT"/} (Spark, about 460 MB)"
    mkdir -p "$ROOT/.targets"
    python3 -m venv --clear "$SPARK_VENV" || die "cannot create $SPARK_VENV" "is python3-venv installed for the python3 in PATH?"
    "$SPARK_VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
      --requirement "$requirements" || die "pip could not install the packages of $requirements" "is a Python package index reachable?"
    printf '%s\n' "$wanted" >"$stamp"
  fi
  export PYSPARK_PYTHON=$SPARK_VENV/bin/python PYSPARK_DRIVER_PYTHON=$SPARK_VENV/bin/python
}
