#!/usr/bin/env bash
# Thirty lines that join, say and resume, in bash with wscat and jq: examples/short.sh [url] [room] [user]
# wscat loses what is typed before it is connected, so every line is said over a connection of its own.
url=${1:-ws://127.0.0.1:8080/ws} room=${2:-lobby} user=${3:-bash}
since=null # the position of the last message printed: what the next join gives back

frames() { jq -cn --arg user "$user" --arg room "$room" --argjson since "$since" "$@"; }
say() {
  wscat -c "$url" -s roomcast.v1 -w 1 -x "$(frames --arg data "$1" '[{type: "hello", $user},
    {type: "join", id: 1, $room, presence: "none"}, {type: "publish", $room, $data}]')" < <(exec sleep 5) >/dev/null
}

# Frames in; out comes the position after each of them, and what there is to show.
follow='def show: "#\(.seq) \(.from.user): \(.data | tojson)";
  foreach (inputs | fromjson? // {}) as $frame ({};
    if $frame.type == "joined" or $frame.type == "reset" then $frame | {epoch, seq}
    elif $frame.type == "message" then .seq = $frame.seq
    elif $frame.type == "epoch" then .epoch = $frame.epoch else . end;
    tojson + "\t" + ($frame | if .type == "joined" then (.messages[] | show), "* in \(.room)"
      elif .type == "message" then show elif .code then "* \(.code): \(.message)" else "" end,
      if .reason then "* \(.type): \(.reason)" else empty end))'

while IFS= read -r line; do say "$line"; done <&0 &
trap "kill $! 2>/dev/null" EXIT
while true; do
  join=$(frames '{type: "join", id: 1, $room} + if $since then {$since} else {} end')
  coproc LISTEN { wscat -c "$url" -s roomcast.v1 -w -1 -x "$(frames '{type: "hello", $user}')" -x "$join" |
    jq -nrR --unbuffered "$follow"; }
  exec {lines}<&"${LISTEN[0]}"
  while IFS=$'\t' read -r position line <&"$lines"; do
    [[ $position == *seq* ]] && since=$position
    [[ $line ]] && printf '%s\n' "$line"
  done
  exec {lines}<&-
  sleep "$((RANDOM % 2)).$((RANDOM % 10))5" # not all clients at once
done
