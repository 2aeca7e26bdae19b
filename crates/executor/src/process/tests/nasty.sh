#!/bin/sh
# A function that does what a function should not do. Usage: sh nasty.sh WHAT; it runs in a folder of its own.

# Says that process $1 is there, with whole lines only.
say() { echo "$1" > "$2.new" && mv "$2.new" "$2"; }

case "$1" in
ignore-term)
    trap '' TERM
    say up up
    while :; do sleep 0.05; done ;;
children)
    # In the group, on and on.
    sleep 600 & say $! pid
    [ -n "$2" ] && exit "$2"
    wait ;;
daemon)
    # In a session of its own, with nothing open. Its parent is gone.
    (setsid sh -c '. "$0"; say $$ pid; exec sleep 600' "$0" say > /dev/null 2>&1 < /dev/null &)
    while ! [ -e pid ]; do sleep 0.01; done
    [ -n "$2" ] && exit "$2"
    sleep 600 ;;
stranger)
    # The same, and without the environment by which it could be found.
    (setsid env -i sh -c '. "$0"; say $$ pid; exec sleep 600' "$0" say > /dev/null 2>&1 < /dev/null &)
    while ! [ -e pid ]; do sleep 0.01; done
    exit "$2" ;;
hold-pipes)
    # A grandchild that left the group keeps stdout and stderr open.
    (setsid sh -c '. "$0"; say $$ pid; exec sleep 600' "$0" say &)
    while ! [ -e pid ]; do sleep 0.01; done
    echo said ;;
flood)
    say up up
    exec yes 0123456789abcdef ;;
closes-output)
    exec > /dev/null 2>&1
    say up up
    sleep 600 ;;
fills-scratch)
    cd "$TRIPLINE_SCRATCH" && mkdir hidden && head -c 50000000 /dev/zero > hidden/file && chmod 000 hidden
    sleep 600 ;;
eats-memory)
    hog=0123456789abcdef
    while :; do hog=$hog$hog; done ;;
bomb)
    say up up
    while :; do sh "$0" bomb & done ;;
spy)
    # What it can read of others, one word each.
    for file in environ mem maps; do
        [ -n "$(head -c 100 "/proc/$SPIED/$file" 2> /dev/null | tr -d '\0')" ] && echo "$file"
    done
    cat "$SECRET" > /dev/null 2>&1 && echo secret
    ls "$(dirname "$SECRET")" > /dev/null 2>&1 && echo folder
    (echo x > "$(dirname "$SECRET")/new") 2> /dev/null && echo new
    kill -0 "$SPIED" 2> /dev/null && echo signal
    echo own > "$TRIPLINE_SCRATCH/file" && cat "$TRIPLINE_SCRATCH/file" ;;
say) ;;
*)
    echo "unknown: $1" >&2
    exit 2 ;;
esac
