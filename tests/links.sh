#!/bin/sh
# links.sh <source folder>: every relative link and picture of the markdown files leads to a file that there is.
cd "$1" || exit 2
missing=0
for page in README.md CHANGELOG.md $(find examples bench tests -name '*.md' -not -path '*/.venv*'); do
  folder=$(dirname "$page")
  for target in $(sed '/^```/,/^```/d' "$page" | grep -oP '\]\(\K(?!https?:|#)[^)#\s]+'); do
    if [ ! -e "$folder/$target" ]; then
      echo "$page: there is no $target"
      missing=1
    fi
  done
done
exit $missing
