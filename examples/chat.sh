#!/usr/bin/env bash
# A room in the terminal, in bash with wscat and jq: examples/chat.sh [url] [room] [user]
# It prints what is said, says what is typed, and after a lost connection prints exactly what it missed.
# wscat loses what is typed before it is connected, so every line is said over a connection of its own.
url=${1:-ws://127.0.0.1:8080/ws} room=${2:-lobby} user=${3:-bash}
since=null # the position of the last message printed, {"epoch","seq"}: what the next join gives back
failures=0 said=0

frames() { jq -cn --arg user "$user" --arg room "$room" --argjson since "$since" "$@"; }

say() { # tried again until it is acknowledged, under one key: what is stored already is not stored twice
  local publish
  # A frame that is too large ends the connection, and so it would each time it is said again.
  ((${#1} > 7500)) && echo '* too long' && return
  ((said += 1))
  publish=$(frames --arg data "$1" --arg key "$$-$EPOCHSECONDS-$said" '[{type: "hello", $user},
    {type: "join", id: 1, $room, presence: "none"}, {type: "publish", id: $key, $room, $data, $key}]')
  until wscat -c "$url" -s roomcast.v1 -w 1 -x "$publish" < <(exec sleep 5) | jq -neR 'any(inputs | fromjson?;
    .type == "ok" or (.type == "error" and (.retryable or .code == "not_joined" | not)))' >/dev/null; do sleep 1; done
}

# Frames in; out come lines to show, the position after each frame, and what a goodbye says.
follow='def show: "show #\(.seq) \(.from.user): \(.data | tojson)";
  foreach (inputs | fromjson? // {}) as $frame ({};
    if $frame.type == "joined" or $frame.type == "reset" then $frame | {epoch, seq}
    elif $frame.type == "message" then .seq = $frame.seq
    elif $frame.type == "epoch" then .epoch = $frame.epoch else . end;
    if .epoch then "since \(tojson)" else "quiet" end, ($frame |
      if .reason then "show * \(.type): \(.reason)" else empty end,
      if .type == "joined" then (.messages[] | show), "show * in \(.room)"
      elif .type == "message" then show
      elif .type == "closing" then "\(.reconnect) \(.afterMs // 0)"
      elif .type == "error" then "show * \(.code): \(.message)", "error" else empty end))'

while IFS= read -r line; do say "$line"; done <&0 &
trap "kill $! 2>/dev/null" EXIT
while true; do
  join=$(frames '{type: "join", id: 1, $room} + if $since then {$since} else {} end')
  # Its standard input is a pipe that ends with this script, and with it wscat does.
  coproc LISTEN { wscat -c "$url" -s roomcast.v1 -P -w -1 -x "$(frames '{type: "hello", $user}')" -x "$join" |
    jq -nrR --unbuffered "$follow"; }
  listener=$! back_at=0
  exec {lines}<&"${LISTEN[0]}"
  # The server pings every 25 s, which -P shows: 60 s of silence are a link that died without a word.
  while read -r -t 60 word rest <&"$lines" && [[ $word != error ]]; do
    case $word in
      show) printf '%s\n' "$rest" ;;
      since) since=$rest failures=0 ;;
      after) back_at=$((SECONDS + rest / 1000 + 1)) ;; # each client is told another moment
      never) exit 1 ;;
    esac
  done
  exec {lines}<&-
  kill "$listener" 2>/dev/null
  wait "$listener" 2>/dev/null
  if ((back_at > SECONDS)); then sleep $((back_at - SECONDS)); else sleep $((RANDOM % (1 << failures))); fi
  ((failures < 5 && ++failures))
done
