# Takes each event for a shell command. Speaks SCF's Runtime API over bash's own sockets.
# `answer TEXT` and `report TEXT` end the event.
call() { # METHOD PATH BODY
  local LC_ALL=C line length=0
  printf '%s /runtime/%s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length: %d\r\n\r\n%s' \
    "$1" "$2" "$SCF_RUNTIME_API_PORT" "${#3}" "$3" >&3
  read -r version status line <&3 || exit 1
  while read -r line <&3 && line=${line%$'\r'} && [ -n "$line" ]; do
    case "$line" in
      [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
      request_id:*) request_id=${line#*: } ;;
      time_limit_in_ms:*) time_limit=${line#*: } ;;
    esac
  done
  body=
  [ "$length" = 0 ] || read -r -N "$length" body <&3
}
answer() { call POST invocation/response "$1"; }
report() { call POST invocation/error "$1"; }

eval "$BEFORE_INIT"
exec 3<>"/dev/tcp/$SCF_RUNTIME_API/$SCF_RUNTIME_API_PORT"
call POST init/ready " "
count=0
while true; do
  call GET invocation/next ""
  count=$((count + 1))
  eval "$body"
done
