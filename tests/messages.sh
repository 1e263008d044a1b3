#!/bin/sh
# messages.sh <source folder>: the messages that examples/guide/errors.md lists are those of the library: each part between
# dots of omission stands in a header, where a text may be broken into several literals.
cd "$1" || exit 2
all=$(find include -name '*.hpp' -o -name '*.ipp' | xargs cat | tr '\n' ' ' | sed 's/" *"//g')
missing=0
while IFS= read -r part; do
  case $all in
    *"$part"*) ;;
    *) echo "no header says: $part"; missing=1 ;;
  esac
done <<LIST
$(sed -n 's/^| `\([^`]*\)`.*/\1/p' examples/guide/errors.md | sed 's/…/\n/g' | sed 's/^[ :]*//; s/[ =]*$//' | grep -E '.{9}')
LIST
exit $missing
