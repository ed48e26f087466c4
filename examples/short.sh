#!/usr/bin/env bash
# Some thirty lines that join, say and resume, in bash with wscat and jq: examples/short.sh [url] [room] [user]
# wscat loses what is typed before it is connected, so every line is said over a connection of its own.
url=${1:-ws://127.0.0.1:8080/ws} room=${2:-lobby} user=${3:-bash}
since=null # the position of the last message printed: what the next join gives back

frames() { jq -cn --arg user "$user" --arg room "$room" --argjson since "$since" "$@"; }
say() {
  wscat -c "$url" -s roomcast.v1 -w 1 -x "$(frames --arg data "$1" '[{type: "hello", $user},
    {type: "join", id: 1, $room, presence: "none"}, {type: "publish", $room, $data}]')" < <(exec sleep 5) >/dev/null
}

# Frames in; out come the position after each, lines to show, and what a goodbye says.
follow='def show: "show #\(.seq) \(.from.user): \(.data | tojson)";
  foreach (inputs | fromjson? // {}) as $frame ({};
    if $frame.type == "joined" or $frame.type == "reset" then $frame | {epoch, seq}
    elif $frame.type == "message" then .seq = $frame.seq
    elif $frame.type == "epoch" then .epoch = $frame.epoch else . end;
    if .epoch then "since \(tojson)" else "quiet" end,
    ($frame | if .reason then "show * \(.type): \(.reason)" else empty end,
      if .type == "joined" then (.messages[] | show), "show * in \(.room)" elif .type == "message" then show
      elif .type == "closing" then "\(.reconnect) \(.afterMs // 0)"
      elif .type == "error" then "show * \(.code): \(.message)" else empty end))'

while IFS= read -r line; do say "$line"; done <&0 &
trap "kill $! 2>/dev/null" EXIT
while true; do
  join=$(frames '{type: "join", id: 1, $room} + if $since then {$since} else {} end') back=0
  coproc LISTEN { wscat -c "$url" -s roomcast.v1 -w -1 -x "$(frames '{type: "hello", $user}')" -x "$join" |
    jq -nrR --unbuffered "$follow"; }
  exec {lines}<&"${LISTEN[0]}"
  while read -r word rest <&"$lines"; do
    case $word in
      show) printf '%s\n' "$rest" ;;
      since) since=$rest ;;
      after) back=$((SECONDS + rest / 1000 + 1)) ;; # each client is told another moment
      never) echo '* not coming back' && exit 1 ;;
    esac
  done
  exec {lines}<&-
  sleep "$((back > SECONDS ? back - SECONDS : RANDOM % 2)).$((RANDOM % 10))5" # not all clients at once
done
