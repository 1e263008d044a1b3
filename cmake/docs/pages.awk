# A guide page as Doxygen reads it: named after its file, with pictures by their names alone, links to whole pages, and links to
# files that are no pages of the site left as their text.
NR == 1 && /^# / {
  page = FILENAME
  sub(/^.*\//, "", page)
  sub(/\.md$/, "", page)
  if (page != "README") $0 = $0 " {#guide_" page "}"
}
{
  rest = $0
  line = ""
  while (match(rest, /\[[^]]*\]\([^)]*\)/)) {
    link = substr(rest, RSTART, RLENGTH)
    before = substr(rest, 1, RSTART - 1)
    target = link
    sub(/^.*\]\(/, "", target)
    if (before ~ /!$/) {
      sub(/\(.*\//, "(", link)
    } else if (target ~ /^[a-z_]+\.md/) {
      sub(/#.*$/, ")", link)
    } else if (target !~ /^(https?:|#)/) {
      sub(/\]\([^)]*\)$/, "", link)
      link = substr(link, 2)
    }
    line = line before link
    rest = substr(rest, RSTART + RLENGTH)
  }
  print line rest
}
