# Sourced by the scripts that start a JVM.
# shellcheck shell=bash

readonly REQUIRED=25
# shellcheck disable=SC2034
readonly NO_JDK="no JDK $REQUIRED was found in JAVA_HOME, on PATH, in /usr/lib/jvm, ~/.sdkman or ~/.jdks. Get one from \
https://adoptium.net/temurin/releases/?version=$REQUIRED or with 'sdk install java $REQUIRED-tem'."

# The major version of the JDK in $1, from the file "release" that every JDK has; nothing if there is none.
major_version() {
  [ -x "$1/bin/java" ] && [ -r "$1/release" ] || return 0
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
}

# The folder of the first JDK that is new enough; fails if there is none.
find_jdk() {
  local on_path="" home version
  if command -v java > /dev/null; then
    on_path=$(cd "$(dirname "$(readlink -f "$(command -v java)")")/.." && pwd)
  fi
  # AUDIOMAMBA_JDKS: the folder where the system keeps its JDKs.
  for home in "${JAVA_HOME:-}" "$on_path" "${AUDIOMAMBA_JDKS:-/usr/lib/jvm}"/* "$HOME"/.sdkman/candidates/java/* \
      "$HOME"/.jdks/* "${AUDIOMAMBA_JDKS:-/Library/Java/JavaVirtualMachines}"/*/Contents/Home; do
    version=$(major_version "$home")
    if [ -n "$version" ] && [ "$version" -ge "$REQUIRED" ]; then
      echo "$home"
      return
    fi
  done
  return 1
}
