# Prints "file:line:code" for each line of C, without comments and with strings emptied. A // comment
# is shown as the word LINE_COMMENT.
FNR == 1 { inside = 0 }
{
    code = ""
    line = $0
    while (line != "") {
        if (inside) {
            end = index(line, "*/")
            if (!end) break
            line = substr(line, end + 2)
            inside = 0
        } else if (match(line, /^"([^"\\]|\\.)*"/)) {
            code = code "\"\""
            line = substr(line, RLENGTH + 1)
        } else if (match(line, /^'([^'\\]|\\.)*'/)) {
            code = code "0"
            line = substr(line, RLENGTH + 1)
        } else if (substr(line, 1, 2) == "/*") {
            inside = 1
            line = substr(line, 3)
        } else if (substr(line, 1, 2) == "//") {
            code = code "LINE_COMMENT"
            break
        } else {
            code = code substr(line, 1, 1)
            line = substr(line, 2)
        }
    }
    if (code !~ /^[ \t]*$/) print FILENAME ":" FNR ":" code
}
